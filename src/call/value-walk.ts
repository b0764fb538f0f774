import { Refusal } from "./refuse-value.js";

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
