import type { CacheFileOptions } from "../options/app-file.js";
import type { ApiKind } from "./handle-type.js";
import { isStreamSchema } from "./schema.js";

/**
 * Options of `cache` in the contract of an `idempotent` api: equal calls in flight are one call, and answers are kept.
 */
export interface CacheOptions extends Omit<CacheFileOptions, "ttlMs"> {
  /** Milliseconds for which an answer is kept; 0 keeps none, and equal calls in flight are still one call. */
  readonly ttlMs: number;
  /**
   * Returns what an answer depends on besides the input, as text, such as the tenant of `currentCall()`. Only calls
   * with the same text share answers. Without it, the function sees neither headers nor context of its callers, since
   * its answer goes to others too.
   */
  readonly key?: () => string;
}

/** Parts of a contract that decide whether answers can be kept. */
interface CacheableContract {
  readonly input?: unknown;
  readonly cache?: CacheOptions;
  readonly idempotent?: boolean;
}

/** Returns the reason why answers of an api can't be kept; `undefined` when they can, or nothing asks for it. */
export function cacheProblem({ cache, idempotent, input }: CacheableContract, kind: ApiKind): string | undefined {
  if (cache === undefined) return undefined;
  if (typeof cache !== "object" || cache === null || Array.isArray(cache)) return "cache is not an object of options";
  if (kind === "task") return "a task can't have a cache: give its submissions a key instead, submit(input, { key })";
  if (kind === "stream") return "an api that yields a stream can't have a cache: its items are never all there";
  if (isStreamSchema(input)) return "an api that takes a stream can't have a cache: two streams can't be compared";
  if (idempotent !== true) return "an api with a cache is not marked idempotent: true, so its calls may have effects";
  if (cache.key !== undefined && typeof cache.key !== "function") return "cache.key is not a function";
  return undefined;
}
