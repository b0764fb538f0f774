import { fail } from "../failure/failures.js";

// How large a value may become when it is written out: what it holds twice is written twice, and what a list lacks is written too.
//
// G1  A value without shared parts may be as large as memory allows: it was there already.
// G2  One that shares its parts may become `maxGrowth` times as large as it is, and always `freeVisits` objects.

/** Objects and lists that any value may have. */
const freeVisits = 1 << 20;
const maxGrowth = 4;
/** Longer lists are asked whether they hold what their length says. */
const longList = 1 << 20;
const samples = 64;

let visits = 0;
let allowed = freeVisits;

/** Thrown by `countVisit` where a value has more than was allowed before anybody asked whether it shares its parts. */
const manyVisits = Symbol("many visits");

/**
 * Walks through `value`, which counts its visits by `countVisit`; from the start again where it has many and may have them.
 *
 * Walks do not overlap. What is counted is kept beside the value: a place that refers to each value in turn would cost the
 * collector more than the count.
 *
 * @param free Objects and lists that the value may have whatever it shares. Default 2^20.
 * @throws {Refusal} where the value grows out of proportion (G2).
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

/** @returns How many visits the value may have. */
function judge(value: unknown): number {
  const distinct = countDistinct(value);
  if (visits > distinct * maxGrowth) {
    throw new Refusal(`more than ${allowed} values when written out, since it holds the same objects many times`);
  }
  return visits * 2;
}

/** Objects of a value, each counted once, as far as the walk has come. */
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

/** @throws {Refusal} for a list that mostly lacks the items that its length says it has. */
export function refuseSparse(list: readonly unknown[]): void {
  if (isSparse(list)) throw new Refusal(`a list of length ${list.length} that lacks most of its items`);
}

/** Of long lists a few places are asked. */
function isSparse(list: readonly unknown[]): boolean {
  if (list.length <= longList) return false;
  let present = 0;
  for (let i = 0; i < samples; i++) if (Math.floor((list.length / samples) * i) in list) present++;
  return present < samples / 2;
}

/** The arrays that tensors and values may hold. */
export type PortableArray = Uint8Array | Float32Array | Float64Array | Int32Array | BigInt64Array;

/** A tensor as `copyValue` sees it: any object made by `Tensor` says how it copies itself. */
export const copySelf: unique symbol = Symbol.for("ekiben.copySelf");

export interface SelfCopying {
  /** @param copyElements Copies what the object holds. */
  [copySelf](copyElements: <T extends PortableArray>(source: T) => T): unknown;
}

/** Deeper than this a value is refused; it is then almost certainly a cycle. */
export const maxValueDepth = 100;

/** What made a value impossible to send, and where: the path grows on the way back up, so that the good case builds none. */
export class Refusal {
  path = "";
  readonly what: string;
  constructor(what: string) {
    this.what = what;
  }
}

/**
 * Whatever was thrown while an item was looked at, with one more step at the start of its path if it is a refusal.
 *
 * @param step How the item is reached from what holds it: an index, or a text like `".name"`.
 */
export function addStep(thrown: unknown, step: string | number): unknown {
  if (thrown instanceof Refusal) thrown.path = (typeof step === "number" ? `[${step}]` : step) + thrown.path;
  return thrown;
}

/**
 * Whatever was thrown while a value was looked at; of a refusal, the failure its caller gets. Promises inside the value are settled.
 *
 * @returns `not_transferable` (an input) or `output_not_transferable` for a refusal, naming the path.
 */
export function refuseValue(thrown: unknown, name: "input" | "output", value: unknown): unknown {
  settlePromises(value);
  if (!(thrown instanceof Refusal)) return thrown;
  const id = name === "input" ? "not_transferable" : "output_not_transferable";
  return fail(id, { path: name + thrown.path, what: thrown.what });
}

/** What a value that can't be sent is, in words: `"a function"`. */
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

/** A value nested too deeply. */
export const tooDeep = (): Refusal => new Refusal(`nested more than ${maxValueDepth} levels deep, or contains itself`);

/** A record that would set the prototype of whatever it is assigned to. */
export const forbiddenKey = (): Refusal => new Refusal("an object with a key __proto__");

/** Items of a value that are looked at; of what is larger the rest is left alone. */
const maxLooks = 100_000;

/**
 * Finds the promises inside a value that was refused, and keeps each from being an unhandled rejection when it fails later:
 * whoever would have awaited it was told already that it is in the wrong place. Never throws.
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
      // A value that can't be looked into holds no promise that anybody could await.
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
