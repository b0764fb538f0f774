import { fail } from "../failure/failures.js";

// Limits the size of a value when it is written out: a part that is shared twice is written twice, and a missing item
// of a list is written too.
//
// KV1  A value without shared parts may be as large as memory allows: it was there already.
// KV2  A value that shares its parts may become `maxGrowth` times as large as it is, and always `freeVisits` objects.

/** Objects and lists that any value may have. */
const freeVisits = 1 << 20;
const maxGrowth = 4;
/** Longer lists are checked for missing items. */
const longList = 1 << 20;
const samples = 64;

let visits = 0;
let allowed = freeVisits;

/** Thrown by `countVisit` when a value has more visits than allowed before it was checked for shared parts. */
const manyVisits = Symbol("many visits");

/**
 * Walks through `value`, which counts its visits by `countVisit`. The walk starts again where the value has many visits
 * and may have them.
 *
 * Walks do not overlap. The counts are kept beside the value: a field that refers to each value in turn would cost the
 * garbage collector more than the count.
 *
 * @param free Objects and lists that the value may have with any sharing. Default 2^20.
 * @throws {Refusal} where the value grows out of proportion (KV2).
 */
export function walkBounded<V, T>(value: V, walk: (value: V) => T, free = freeVisits): T {
  visits = 0;
  allowed = free;
  try {
    return walk(value);
  } catch (thrown) {
    if (thrown !== manyVisits) throw thrown;
  }
  return walkBounded(value, walk, judge(value));
}

/** Counts one object or list. */
export function countVisit(): void {
  if (++visits > allowed) throw manyVisits;
}

/** @returns The number of visits that the value may have. */
function judge(value: unknown): number {
  const distinct = countDistinct(value);
  if (visits > distinct * maxGrowth) {
    throw new Refusal(`more than ${allowed} values when written out, since it holds the same objects many times`);
  }
  return visits * 2;
}

/** Counts the objects of a value, each once, up to the position of the walk. */
function countDistinct(value: unknown): number {
  const seen = new Set<object>();
  const open: unknown[] = [value];
  while (open.length > 0 && seen.size < visits) {
    const item = open.pop();
    if (typeof item !== "object" || item === null || seen.has(item)) continue;
    seen.add(item);
    for (const part of partsOf(item)) if (typeof part === "object") open.push(part);
  }
  return seen.size;
}

function partsOf(item: object): Iterable<unknown> {
  if (item instanceof Map) return [...item.keys(), ...item.values()];
  if (item instanceof Set) return item;
  if (Array.isArray(item)) return isSparse(item) ? [] : item;
  return ArrayBuffer.isView(item) ? [] : Object.values(item);
}

/** @throws {Refusal} for a list that lacks most of the items of its length. */
export function refuseSparse(list: readonly unknown[]): void {
  if (isSparse(list)) throw new Refusal(`a list of length ${list.length} that lacks most of its items`);
}

/** Checks a few positions of a long list. */
function isSparse(list: readonly unknown[]): boolean {
  if (list.length <= longList) return false;
  let present = 0;
  for (let i = 0; i < samples; i++) if (Math.floor((list.length / samples) * i) in list) present++;
  return present < samples / 2;
}

/** Arrays that tensors and values may hold. */
export type PortableArray = Uint8Array | Float32Array | Float64Array | Int32Array | BigInt64Array;

/** Key of the method with which a tensor copies itself, for `copyValue`: any object made by `Tensor` has it. */
export const copySelf: unique symbol = Symbol.for("ekiben.copySelf");

export interface SelfCopying {
  /** @param copyElements Copies the array that the object holds. */
  [copySelf](copyElements: <T extends PortableArray>(source: T) => T): unknown;
}

/** Largest depth of a value. A deeper one is refused: it is almost certainly a cycle. */
export const maxValueDepth = 100;

/**
 * Reason and path of a value that can't be sent. The path grows on the way back up, so that a good value builds none.
 */
export class Refusal {
  path = "";
  readonly what: string;
  constructor(what: string) {
    this.what = what;
  }
}

/**
 * Returns the error of an item; a refusal gets one more step at the start of its path.
 *
 * @param step Path step from the parent to the item: an index, or a text like `".name"`.
 */
export function addStep(thrown: unknown, step: string | number): unknown {
  if (thrown instanceof Refusal) thrown.path = (typeof step === "number" ? `[${step}]` : step) + thrown.path;
  return thrown;
}

/**
 * Returns the error of a value; for a refusal, the failure for its caller. Promises inside the value are settled.
 *
 * @returns `not_transferable` (an input) or `output_not_transferable` for a refusal, with the path.
 */
export function refuseValue(thrown: unknown, name: "input" | "output", value: unknown): unknown {
  settlePromises(value);
  if (!(thrown instanceof Refusal)) return thrown;
  const id = name === "input" ? "not_transferable" : "output_not_transferable";
  return fail(id, { path: name + thrown.path, what: thrown.what });
}

/** Returns words for a value that can't be sent: `"a function"`. */
export function formatValue(value: unknown): string {
  if (typeof value === "function") return "a function";
  if (typeof value === "symbol") return "a symbol";
  try {
    return formatObject(value as object);
  } catch {
    return "an object that can't be read";
  }
}

function formatObject(value: object): string {
  if (value instanceof Promise) return "a Promise (await it first)";
  if (ArrayBuffer.isView(value)) return `a ${value.constructor.name}`;
  const name: unknown = value.constructor?.name;
  return typeof name === "string" && name !== "" ? `an instance of class ${name}` : "an object that is not plain data";
}

/** Refusal of a value nested too deeply. */
export const tooDeep = (): Refusal => new Refusal(`nested more than ${maxValueDepth} levels deep, or contains itself`);

/** Refusal of a record that would set the prototype of the object it is assigned to. */
export const forbiddenKey = (): Refusal => new Refusal("an object with a key __proto__");

/** Items of a value that are searched at most; the rest is ignored. */
const maxLooks = 100_000;

/**
 * Finds the promises inside a refused value, and keeps each from becoming an unhandled rejection when it fails later:
 * the code that would have awaited it already knows that it is in the wrong place. Never throws.
 */
export function settlePromises(value: unknown): void {
  const seen = new Set<object>();
  const open: unknown[] = [value];
  for (let looks = 0; open.length > 0 && looks < maxLooks; looks++) {
    const item = open.pop();
    if (typeof item !== "object" || item === null || seen.has(item)) continue;
    seen.add(item);
    try {
      if (item instanceof Promise) Promise.prototype.then.call(item, undefined, ignore);
      else if (!ArrayBuffer.isView(item)) addItems(item, open);
    } catch {
      // A value that can't be read holds no promise that could be awaited.
    }
  }
}

function addItems(holder: object, open: unknown[]): void {
  if (holder instanceof Map) for (const [key, item] of holder) open.push(key, item);
  else if (Array.isArray(holder) && holder.length <= maxLooks) for (const item of holder) open.push(item);
  else if (holder instanceof Set) for (const item of holder) open.push(item);
  else for (const key of Object.keys(holder).slice(0, maxLooks)) open.push(readItem(holder, key));
}

function readItem(holder: object, key: string): unknown {
  try {
    return (holder as Record<string, unknown>)[key];
  } catch {
    return undefined;
  }
}

const ignore = (): void => {};
