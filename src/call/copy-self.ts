/** The arrays that tensors and values may hold. */
export type PortableArray = Uint8Array | Float32Array | Float64Array | Int32Array | BigInt64Array;

/** A tensor as `copyValue` sees it: any object made by `Tensor` says how it copies itself. */
export const copySelf: unique symbol = Symbol.for("ekiben.copySelf");

export interface SelfCopying {
  /** @param copyElements Copies what the object holds. */
  [copySelf](copyElements: <T extends PortableArray>(source: T) => T): unknown;
}
