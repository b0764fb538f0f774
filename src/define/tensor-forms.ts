import { decodeBase64, encodeBase64 } from "../base/base64.js";
import type { HeldBytes } from "../held/held-bytes.js";
import {
  arrayByDType,
  countElements,
  createHeldTensor,
  createKnownTensor,
  type DType,
  type DTypes,
  heldProblem,
  isTensor,
  type Tensor,
  tensorProblem,
} from "./tensor.js";

/**
 * Reads a tensor from any of its forms: a tensor, nested arrays, or `{ dtype, shape, data }` with base64 data.
 *
 * @param rank Number of dimensions expected; tells a scalar from a list, and bounds the nesting.
 * @returns    The tensor, or the problem of the value in words.
 */
export function readTensor(value: unknown, dtype: DType, rank: number): Tensor | string {
  return Array.isArray(value) || typeof value === "number" || typeof value === "bigint"
    ? readNested(value, dtype, rank)
    : readWholeTensor(value, dtype, rank);
}

/** Reads a tensor from a tensor, or from `{ dtype, shape, data }` with base64 data. Clients ask for this form. */
export function readWholeTensor(value: unknown, dtype: DType, rank: number): Tensor | string {
  if (typeof value !== "object" || value === null) return `expected a tensor (${dtype}), got ${typeof value}`;
  // This check comes first: it does not read the elements, which may still be in a file.
  if (isTensor(value)) return value.dtype === dtype ? value : wrongDType(dtype, value.dtype);
  const candidate = value as { dtype?: unknown; shape?: unknown; data?: unknown };
  if (typeof candidate.data === "string") return readBase64(candidate, dtype, rank);
  return "expected a tensor: nested arrays, or { dtype, shape, data }";
}

/** Reads nested arrays. All lists are measured before memory is allocated: later ones may be shorter than the first. */
function readNested(value: unknown, dtype: DType, rank: number): Tensor | string {
  const shape: number[] = [];
  for (let level: unknown = value, depth = 0; Array.isArray(level) && depth <= rank; level = level[0], depth++) {
    shape.push(level.length);
  }
  if (shape.length !== rank) return `expected ${rank} dimensions, got ${shape.length > rank ? "more" : shape.length}`;
  let misfit = rank < 2 ? undefined : measure(value, shape, 0);
  if (misfit === undefined) {
    const data = new arrayByDType[dtype](countElements(shape));
    misfit = fill(value, { rank, data, at: 0, convert: converters[dtype] }, 0);
    if (misfit === undefined) return createTensor(dtype, shape, data);
  }
  return `${misfit.path === "" ? "it" : misfit.path} ${misfit.text}`;
}

/** Problem and its place. The path is built on the way back up, so that a valid value costs no path. */
interface Misfit {
  path: string;
  readonly text: string;
}

/** Checks that every list of one level is as long as the first. */
function measure(value: unknown, shape: readonly number[], depth: number): Misfit | undefined {
  const expected = shape[depth];
  if (!Array.isArray(value)) return { path: "", text: "is not a list; its neighbours are" };
  if (value.length !== expected) {
    return { path: "", text: `has ${value.length} elements, its neighbours ${expected}` };
  }
  if (depth === shape.length - 1) return undefined;
  for (let i = 0; i < value.length; i++) {
    const misfit = measure(value[i], shape, depth + 1);
    if (misfit !== undefined) return under(i, misfit);
  }
  return undefined;
}

interface Filling {
  readonly rank: number;
  readonly data: DTypes[DType];
  at: number;
  readonly convert: (element: unknown) => number | bigint | string;
}

function fill(value: unknown, filling: Filling, depth: number): Misfit | undefined {
  if (depth === filling.rank) {
    const element = filling.convert(value);
    if (typeof element === "string") return { path: "", text: element };
    (filling.data as { [index: number]: number | bigint })[filling.at++] = element;
    return undefined;
  }
  const list = value as readonly unknown[];
  for (let i = 0; i < list.length; i++) {
    const misfit = fill(list[i], filling, depth + 1);
    if (misfit !== undefined) return under(i, misfit);
  }
  return undefined;
}

function under(index: number, misfit: Misfit): Misfit {
  misfit.path = `[${index}]${misfit.path}`;
  return misfit;
}

const toFloat = (element: unknown): number | string => {
  if (typeof element !== "number") return `is ${named(element)}, expected a number`;
  return Number.isFinite(element) ? element : `is ${element}, expected a finite number`;
};

/** Checks a number. A finite float64 may be infinite as float32. */
const toFloat32 = (element: unknown): number | string => {
  const float = toFloat(element);
  return typeof float === "string" || Number.isFinite(Math.fround(float))
    ? float
    : `is ${float}, too large for float32`;
};

const toInteger =
  (least: number, most: number) =>
  (element: unknown): number | string => {
    if (typeof element !== "number" || !Number.isInteger(element)) return `is ${named(element)}, expected an integer`;
    return element >= least && element <= most ? element : `is ${element}, outside ${least} to ${most}`;
  };

/** Reads a 64-bit integer: a number while that is exact, else decimal digits in a string. */
const toInt64 = (element: unknown): bigint | string => {
  if (typeof element === "bigint") return BigInt.asIntN(64, element) === element ? element : `is outside int64`;
  if (Number.isSafeInteger(element)) return BigInt(element as number);
  if (typeof element === "number" && Number.isInteger(element)) {
    return "is an integer that a JSON number does not carry exactly; send its digits as text";
  }
  if (typeof element !== "string" || !/^-?\d{1,19}$/.test(element)) return `is ${named(element)}, expected an integer`;
  return toInt64(BigInt(element));
};

const converters = {
  float32: toFloat32,
  float64: toFloat,
  // Without the notes, bundlers would keep all this in pages, which read no nested arrays.
  int32: /* @__PURE__ */ toInteger(-2_147_483_648, 2_147_483_647),
  int64: toInt64,
  uint8: /* @__PURE__ */ toInteger(0, 255),
} satisfies Record<DType, (element: unknown) => number | bigint | string>;

function readBase64(
  value: { dtype?: unknown; shape?: unknown; data?: unknown },
  dtype: DType,
  rank: number,
): Tensor | string {
  if (value.dtype !== dtype) return wrongDType(dtype, value.dtype);
  if (!Array.isArray(value.shape)) return "shape must be an array of sizes";
  if (value.shape.length !== rank) return `expected ${rank} dimensions, got ${value.shape.length}`;
  const text = value.data as string;
  const bytes = decodeBase64(text);
  if (bytes === undefined) return "data is not base64";
  return tensorFromBytes(dtype, value.shape, bytes);
}

/**
 * Makes a tensor over little-endian bytes. Copies them only if they do not start at a multiple of the element size.
 *
 * @returns The tensor, or the problem in words.
 */
export function tensorFromBytes(dtype: DType, shape: readonly number[], bytes: Uint8Array): Tensor | string {
  const array = arrayByDType[dtype];
  const width = array.BYTES_PER_ELEMENT;
  if (bytes.byteLength % width !== 0) return `data has ${bytes.byteLength} bytes, not a multiple of ${width}`;
  const aligned = bytes.byteOffset % width === 0 ? bytes : new Uint8Array(bytes);
  const data = new array(aligned.buffer as ArrayBuffer, aligned.byteOffset, bytes.byteLength / width);
  return createTensor(dtype, shape, data);
}

/** Makes a tensor over held bytes, which stay in their file. */
export const tensorFromHeld = (dtype: DType, shape: readonly number[], bytes: HeldBytes): Tensor | string =>
  heldProblem(dtype, shape, bytes.byteLength) ?? createHeldTensor(dtype, shape, bytes);

function createTensor(dtype: DType, shape: readonly number[], data: DTypes[DType]): Tensor | string {
  return tensorProblem({ dtype, shape, data }) ?? createKnownTensor(dtype, Object.freeze([...shape]), data);
}

/** Names the missing conversion if the other dtype is one of a tensor: most callers have forgotten it. */
function wrongDType(dtype: DType, actual: unknown): string {
  const text = `expected dtype ${dtype}, got ${named(actual)}`;
  return typeof actual === "string" && Object.hasOwn(arrayByDType, actual)
    ? `expected dtype ${dtype}, got ${actual}; in NumPy, send x.astype("${dtype}")`
    : text;
}

/** Converts a tensor to the JSON form that `readTensor` reads: `{ dtype, shape, data }` with `data` in base64. */
export function encodeTensor(value: Tensor): { dtype: DType; shape: readonly number[]; data: string } {
  return { dtype: value.dtype, shape: value.shape, data: encodeBase64(tensorBytes(value)) };
}

/**
 * Converts a 64-bit integer to the JSON form that `readTensor` reads: a number while that is exact, else decimal
 * digits.
 */
export function encodeInteger(value: bigint): number | string {
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value.toString();
}

/** Returns the elements of a tensor as bytes, without a copy. */
export function tensorBytes(value: Tensor): Uint8Array {
  return new Uint8Array(value.data.buffer, value.data.byteOffset, value.data.byteLength);
}

function named(value: unknown): string {
  if (typeof value === "number" || typeof value === "boolean" || value === null) return String(value);
  return value === undefined ? "missing" : `a ${Array.isArray(value) ? "list" : typeof value}`;
}
