import { fail } from "../failure/failures.js";
import {
  arrayByDType,
  countElements,
  createKnownTensor,
  type DType,
  type DTypes,
  type Tensor,
  tensorProblem,
} from "./tensor.js";

type Sizes = readonly number[];
/** True for sizes of a known length. */
type IsKnown<S extends Sizes> = 0 extends 1 & S
  ? false
  : [S] extends [never]
    ? false
    : number extends S["length"]
      ? false
      : true;
/** Shape of a result; `any`, which fits everywhere, where the length is unknown. */
type Known<S extends Sizes, Shape> = IsKnown<S> extends true ? Shape : any;
type Rest<S extends Sizes> = S extends readonly [number, ...infer R extends Sizes] ? Readonly<R> : never;
/** Sizes in which the one of axis `A` is any number. `S` may be a union of the shapes of several tensors. */
type Joined<S extends Sizes, A extends number, Done extends Sizes = readonly []> = Done["length"] extends S["length"]
  ? Done
  : Joined<S, A, readonly [...Done, Done["length"] extends A ? number : S[Done["length"]]]>;

/**
 * Makes one tensor of tensors of equal shape, along a new first axis: three of `[384]` give `[3, 384]`, one gives `[1,
 * 384]`. The elements are copied.
 *
 * @throws {ServingError} `tensors_unfit` for an empty list, and for tensors that differ in dtype or shape.
 */
export function stack<D extends DType, const S extends Sizes, const T extends readonly Tensor<D, S>[]>(
  tensors: T & readonly Tensor<D, S>[],
): Tensor<D, Known<S, readonly [T["length"], ...S]>> {
  const [first, ...others] = readList("stack", tensors);
  const odd = others.findIndex(({ shape }) => !isSame(shape, first.shape));
  if (odd >= 0) throw unfit("stack", `${describe(others[odd] as Tensor, odd + 1)}, ${describe(first, 0)}`);
  return join([first, ...others], [tensors.length, ...first.shape], 0) as never;
}

/**
 * Joins tensors along one axis: `[2, 384]` and `[3, 384]` give `[5, 384]`. The elements are copied.
 *
 * @param axis The first one unless given.
 * @throws {ServingError} `tensors_unfit` for an empty list, an axis that the tensors lack, and tensors that differ in
 *   dtype or in another size.
 */
export function concat<D extends DType, const T extends readonly Tensor<D>[], const A extends number = 0>(
  tensors: T & readonly Tensor<D>[],
  axis?: A,
): Tensor<D, IsKnown<T[number]["shape"]> extends true ? Joined<T[number]["shape"], A> : any>;
export function concat(tensors: readonly Tensor[], axis = 0): Tensor {
  const [first, ...others] = readList("concat", tensors);
  if (!Number.isInteger(axis) || axis < 0 || axis >= first.shape.length) {
    throw unfit("concat", `there is no axis ${axis} in ${describe(first)}`);
  }
  const sizesBeside = (shape: Sizes) => shape.map((size, i) => (i === axis ? 0 : size));
  const odd = others.findIndex(({ shape }) => !isSame(sizesBeside(shape), sizesBeside(first.shape)));
  if (odd >= 0) {
    throw unfit("concat", `along axis ${axis}, ${describe(others[odd] as Tensor, odd + 1)}, ${describe(first, 0)}`);
  }
  const total = tensors.reduce((sum, { shape }) => sum + (shape[axis] as number), 0);
  return join([first, ...others], first.shape.with(axis, total), axis);
}

/**
 * Returns one row of a tensor, without its first axis: row 2 of `[3, 384]` is `[384]`. The elements are copied, so the
 * row doesn't keep the memory of the others. `stack([row(tensor, 2)])` is `[1, 384]`.
 *
 * @param index From 0.
 * @throws {ServingError} `tensors_unfit` for an index outside of the tensor.
 */
export function row<D extends DType, const S extends Sizes>(
  tensor: Tensor<D, S>,
  index: number,
): Tensor<D, Known<S, Rest<S>>> {
  const [only] = readList("row", [tensor]);
  const [rows, ...shape] = only.shape as Sizes;
  if (rows === undefined) throw unfit("row", "a tensor of shape [] has no rows");
  if (!Number.isInteger(index) || index < 0 || index >= rows) {
    throw unfit("row", `index ${index} is outside of ${describe(only)}`);
  }
  const length = countElements(shape);
  const data = only.data.slice(index * length, (index + 1) * length) as DTypes[D];
  return createKnownTensor(only.dtype, Object.freeze(shape), data) as never;
}

/** Reads a list of tensors of one dtype. */
function readList(name: string, tensors: readonly Tensor[]): readonly [Tensor, ...Tensor[]] {
  const [first] = tensors;
  if (first === undefined) throw unfit(name, "the list of tensors is empty");
  for (const [index, tensor] of tensors.entries()) {
    const problem = tensorProblem(tensor);
    if (problem !== undefined) throw unfit(name, tensors.length === 1 ? problem : `tensor ${index}: ${problem}`);
    if (tensor.dtype !== first.dtype) throw unfit(name, `${describe(tensor, index)}, ${describe(first, 0)}`);
  }
  return tensors as readonly [Tensor, ...Tensor[]];
}

/** Copies the elements of each tensor to their place in a new one. */
function join(tensors: readonly [Tensor, ...Tensor[]], shape: Sizes, axis: number): Tensor {
  const { dtype } = tensors[0];
  const data = new arrayByDType[dtype](countElements(shape)) as Float32Array;
  const blocks = countElements(shape.slice(0, axis));
  let at = 0;
  for (let block = 0; block < blocks; block++) {
    for (const { data: source } of tensors) {
      const length = source.length / blocks;
      data.set((source as Float32Array).subarray(block * length, (block + 1) * length), at);
      at += length;
    }
  }
  return createKnownTensor(dtype, Object.freeze([...shape]), data);
}

const isSame = (a: Sizes, b: Sizes): boolean => a.length === b.length && a.every((size, i) => size === b[i]);
const describe = ({ dtype, shape }: Tensor, index?: number): string =>
  `${index === undefined ? "" : `tensor ${index} is `}${dtype} [${shape.join(", ")}]`;
const unfit = (name: string, problem: string) => fail("tensors_unfit", { problem: `${name}(): ${problem}` });
