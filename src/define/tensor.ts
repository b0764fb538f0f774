import { copySelf, type SelfCopying } from "../call/value-walk.js";
import { fail } from "../failure/client-failures.js";
import type { HeldBytes } from "../held/held-bytes.js";

/** Typed array of each dtype. Little-endian on the wire, as in memory. */
export interface DTypes {
  float32: Float32Array;
  float64: Float64Array;
  int32: Int32Array;
  int64: BigInt64Array;
  uint8: Uint8Array;
}

export type DType = keyof DTypes;

export const arrayByDType = {
  float32: Float32Array,
  float64: Float64Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
} as const;

type KnownOrAny<S extends readonly number[]> = number extends S["length"] ? any : S;

/**
 * An n-dimensional array in row-major order: `data.length` is the product of `shape`; `[]` is a scalar of length 1.
 *
 * The static type carries dtype and shape. A tensor made with a `number[]` of unknown length is assignable to every
 * shape, and is checked at run time.
 */
export interface Tensor<D extends DType = DType, S extends readonly number[] = any> {
  readonly dtype: D;
  readonly shape: S;
  readonly data: DTypes[D];
}

/** Skips the check, for callers that know that dtype, shape and data agree and that the shape is frozen. */
const known: unique symbol = Symbol("known");

/**
 * Property `data` of a tensor whose elements are still held. The first read loads the elements; from then on the tensor
 * is like any other, since writes into its elements can't be seen. It is an own property, as `data` of any other tensor
 * is, and the same descriptor for all, so that the engine keeps it fast.
 */
const untouchedData: PropertyDescriptor & ThisType<DenseTensor> = {
  enumerable: true,
  configurable: true,
  get() {
    return DenseTensor.touch(this);
  },
  set(value: DTypes[DType]) {
    DenseTensor.replace(this, value);
  },
};

class DenseTensor implements Tensor, SelfCopying {
  readonly dtype: DType;
  readonly shape: readonly number[];
  declare readonly data: DTypes[DType];
  /** Elements that were not read yet. */
  #held: HeldElements | undefined;
  /** Elements that were held and have been read. */
  #touched: DTypes[DType] | undefined;

  constructor(dtype: DType, shape: readonly number[], data: DTypes[DType] | HeldElements, trust?: typeof known) {
    const isHeld = data instanceof HeldElements;
    const problem = trust === known || isHeld ? undefined : tensorProblem({ dtype, shape, data });
    if (problem !== undefined) throw fail("invalid_input", { issues: [{ path: "", message: problem }] });
    this.dtype = dtype;
    this.shape = trust === known ? shape : Object.freeze([...shape]);
    if (isHeld) {
      this.#held = data;
      Object.defineProperty(this, "data", untouchedData);
    } else {
      this.data = data;
    }
  }

  static touch(tensor: DenseTensor): DTypes[DType] {
    const held = tensor.#held;
    if (held !== undefined) {
      const bytes = held.bytes.take();
      tensor.#touched = new arrayByDType[held.dtype](bytes.buffer as ArrayBuffer, bytes.byteOffset, held.length);
      tensor.#held = undefined;
    }
    return tensor.#touched as DTypes[DType];
  }

  static replace(tensor: DenseTensor, data: DTypes[DType]): void {
    tensor.#held = undefined;
    tensor.#touched = data;
  }

  /** Returns the held bytes of an unread tensor; `undefined` for any other, and for one whose fields were replaced. */
  static heldIn(value: unknown): HeldBytes | undefined {
    if (typeof value !== "object" || value === null || !(#held in value)) return undefined;
    const { dtype, shape } = value;
    const held = value.#held;
    return held !== undefined && held.dtype === dtype && held.shape === shape ? held.bytes : undefined;
  }

  /** Shows the elements in `util.inspect`. */
  [Symbol.for("nodejs.util.inspect.custom")](): unknown {
    return this.#held === undefined && this.#touched === undefined
      ? this
      : new DenseTensor(this.dtype, this.shape, this.data, known);
  }

  [copySelf](copyElements: <T extends DTypes[DType]>(source: T) => T): Tensor {
    const held = this.#held;
    if (held !== undefined && DenseTensor.heldIn(this) !== undefined) {
      held.bytes.share();
      return new DenseTensor(held.dtype, held.shape, held, known);
    }
    // The constructor checks again: the fields may have been replaced since.
    const { dtype, shape, data } = new DenseTensor(this.dtype, this.shape, this.data);
    return createKnownTensor(dtype, shape, copyElements(data));
  }
}

/** Held elements, with the dtype and shape with which they arrived: a tensor may have got others since. */
class HeldElements {
  readonly bytes: HeldBytes;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly length: number;

  constructor(bytes: HeldBytes, dtype: DType, shape: readonly number[]) {
    this.bytes = bytes;
    this.dtype = dtype;
    this.shape = shape;
    this.length = bytes.byteLength / arrayByDType[dtype].BYTES_PER_ELEMENT;
  }
}

/**
 * Makes a tensor whose elements are read when `data` is read. A service that only passes the tensor on never reads
 * them.
 *
 * @throws {ServingError} `invalid_input` if the bytes are not those of the dtype and the shape.
 */
export function createHeldTensor(dtype: DType, shape: readonly number[], bytes: HeldBytes): Tensor {
  const problem = heldProblem(dtype, shape, bytes.byteLength);
  if (problem !== undefined) throw fail("invalid_input", { issues: [{ path: "", message: problem }] });
  const own = Object.freeze([...shape]);
  return new DenseTensor(dtype, own, new HeldElements(bytes, dtype, own), known);
}

/** Returns the held bytes of an unread tensor; `undefined` for any other value. */
export const heldBytesOf = (value: unknown): HeldBytes | undefined => DenseTensor.heldIn(value);

/** Makes a tensor of parts that are known to agree. @param shape Frozen; it may be shared. */
export function createKnownTensor(dtype: DType, shape: readonly number[], data: DTypes[DType]): Tensor {
  return new DenseTensor(dtype, shape, data, known);
}

/**
 * Makes a tensor over `data` without copying it. Its `shape` is a copy, and frozen.
 *
 * @throws {ServingError} `invalid_input` if the array is not of the dtype, or its length not the product of `shape`.
 */
export const Tensor: {
  new <D extends DType, const S extends readonly number[]>(
    dtype: D,
    shape: S,
    data: DTypes[D],
  ): Tensor<D, KnownOrAny<S>>;
} = DenseTensor as never;

/** True for a tensor: made by `Tensor`, or a plain object with the same fields. */
export function isTensor(value: unknown): value is Tensor {
  if (value instanceof DenseTensor) return true;
  if (typeof value !== "object" || value === null || !("dtype" in value)) return false;
  return tensorProblem(value as Tensor) === undefined;
}

/** Returns the problem of a tensor's parts; `undefined` when they agree. */
export function tensorProblem({ dtype, shape, data }: Tensor): string | undefined {
  const array = Object.hasOwn(arrayByDType, dtype) ? arrayByDType[dtype] : undefined;
  if (array === undefined) return `dtype ${String(dtype)} is not one of ${Object.keys(arrayByDType).join(", ")}`;
  if (!(data instanceof array)) return `data of a ${dtype} tensor must be a ${array.name}`;
  return sizeProblem(shape, data.length);
}

/** Returns the number of elements of a shape; 1 for that of a scalar, `[]`. */
export const countElements = (shape: readonly number[]): number => shape.reduce((product, dim) => product * dim, 1);

function sizeProblem(shape: unknown, length: number): string | undefined {
  if (!Array.isArray(shape)) return "shape must be an array of sizes";
  const problem = shapeProblem(shape);
  if (problem !== undefined) return problem;
  const size = countElements(shape as readonly number[]);
  return size === length ? undefined : `shape [${shape}] needs ${size} elements, data has ${length}`;
}

/** Returns the problem of the parts of a tensor whose elements are held; `undefined` when they agree. */
export function heldProblem(dtype: DType, shape: readonly number[], byteLength: number): string | undefined {
  if (!Object.hasOwn(arrayByDType, dtype))
    return `dtype ${String(dtype)} is not one of ${Object.keys(arrayByDType).join(", ")}`;
  return sizeProblem(shape, byteLength / arrayByDType[dtype].BYTES_PER_ELEMENT);
}

/** Most axes of a tensor: the limit of NumPy. */
const maxDims = 64;
/** Most rows of a tensor without elements: such a shape is cheap to send, and each row is a list for its reader. */
const maxEmptyRows = 10_000;

/** Returns the problem of the sizes alone. It quotes no more of them than a message has room for. */
function shapeProblem(shape: readonly unknown[]): string | undefined {
  if (shape.length > maxDims) return `shape has ${shape.length} sizes, at most ${maxDims} are taken`;
  let rows = 1;
  let isEmpty = false;
  for (const dim of shape) {
    if (!Number.isSafeInteger(dim) || (dim as number) < 0) {
      return `shape has an entry ${String(dim).slice(0, 40)} that is not a size`;
    }
    isEmpty ||= dim === 0;
    if (!isEmpty) rows *= dim as number;
  }
  if (!isEmpty || rows <= maxEmptyRows) return undefined;
  return `shape [${shape}] has ${rows} rows without an element, at most ${maxEmptyRows} are taken`;
}
