import { AsyncLocalStorage } from "node:async_hooks";
import { LRUCache } from "lru-cache";
import type { Clock } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import { CallScope, type CallTime, type ReplySink } from "../call/call-scope.js";
import { copyValue } from "../call/copy-value.js";
import { nameOption } from "../call/passed-deadline.js";
import { copySelf } from "../call/value-walk.js";
import { arrayByDType, countElements, type Tensor } from "../define/tensor.js";
import { fail } from "../failure/failures.js";
import { ServingError } from "../failure/serving-error.js";
import { messageOf } from "../failure/to-serving-error.js";
import type { CacheStats } from "../observe/call-stats.js";
import type { ApiSettings, CacheSettings } from "../options/settings.js";
import { fingerprintValue, packValue } from "../transport/stored-value.js";
import { noteJoined } from "./lane.js";

// Answers of one api in one replica: those that are kept, and the runs that will make more.
//
// AC1  Equal calls in flight are one run. A run belongs to no call: it has a scope and a deadline of its own, and runs
//      in no caller's async context. A run that waits as a background call gives way to a run for an interactive one,
//      which answers the calls of both.
// AC2  Each call waits no longer than its own deadline, and leaves alone. The run is cancelled when the last call that
//      waits for it has left; a call that comes later begins another one.
// AC3  A run that reaches its own deadline fails no call that has time left: those begin another run together.
// AC4  Only answers of runs that were not cancelled are kept, for `ttlMs` from the moment they came. Failures never
//      are.
// AC5  At most `maxEntries` answers of at most `maxBytes` together are kept. The one that was not asked for the longest
//      goes first; an answer that is larger by itself is not kept.
// AC6  A kept answer is a copy that nobody gets: each call has a copy of it. A call whose copy can't be made fails
//      alone.

/** Begins the run of a first call. Gives its outcome to `reply`, once; never throws. */
export type BeginRun = (scope: CallScope, input: unknown, reply: ReplySink) => void;

/** Parts that a cache is made with. */
interface AnswerCacheDeps {
  readonly settings: CacheSettings;
  readonly stats: CacheStats;
  readonly clock: Clock;
  /** Opens the scope of a run that is begun for a first call. */
  readonly openScope: (first: CallScope) => CallScope;
  readonly begin: BeginRun;
  /** Returns what answers depend on besides the input; see `CacheOptions.key`. */
  readonly key: (() => unknown) | undefined;
}

interface KeptAnswer {
  readonly value: unknown;
  readonly expiresAt: number;
}

export class AnswerCache {
  readonly #deps: AnswerCacheDeps;
  readonly #kept: LRUCache<string, KeptAnswer>;
  readonly #runs = new Map<string, SharedRun>();
  readonly #outside = AsyncLocalStorage.snapshot();
  readonly #readSize = () => ({ entries: this.#kept.size, bytes: this.#kept.calculatedSize });

  constructor(deps: AnswerCacheDeps) {
    const { maxEntries, maxBytes } = deps.settings;
    this.#deps = deps;
    this.#kept = new LRUCache({ max: maxEntries, maxSize: maxBytes });
    deps.stats.sizes.add(this.#readSize);
  }

  /**
   * Returns the answer for an input, or its promise.
   *
   * @throws {ServingError} `cache_key_failed` for an input, or a text of `key`, that can't be compared.
   */
  answer(input: unknown, scope: CallScope): unknown {
    const key = readKey(input, this.#deps.key);
    if (typeof key === "string") return this.#find(key, input, scope);
    return key.then((text) => this.#find(text, input, scope));
  }

  /** Keeps nothing any more. Runs end with the calls that wait for them. */
  close(): void {
    this.#deps.stats.sizes.delete(this.#readSize);
    this.#kept.clear();
  }

  #find(key: string, input: unknown, scope: CallScope): unknown {
    if (scope.isEnded) throw scope.reason ?? fail("cancelled", { reason: "its caller has ended" });
    const kept = this.#kept.get(key);
    if (kept !== undefined && this.#deps.clock.now() < kept.expiresAt) {
      this.#deps.stats.hits++;
      return copyValue(kept.value, "output");
    }
    if (kept !== undefined) this.#kept.delete(key);
    return new Promise((output, failure) => {
      const waiter = new Waiter({ key, input, scope, output, failure });
      scope.onCancel(waiter.leave);
      this.#join(waiter);
    });
  }

  #join(waiter: Waiter): void {
    const { stats, clock, openScope, begin } = this.#deps;
    const { key, input, scope } = waiter.call;
    const running = this.#runs.get(key);
    if (running !== undefined && !running.givesWayTo(scope)) {
      stats.joined++;
      running.add(waiter);
      return;
    }
    stats.misses++;
    const moved = running?.giveWay() ?? [];
    const run: SharedRun = new SharedRun(openScope(scope), {
      ended: () => {
        if (this.#runs.get(key) === run) this.#runs.delete(key);
      },
      // A call whose own deadline has come too is about to be told so.
      late: (left) => {
        for (const each of left) if (each.call.scope.expiresAt > clock.now()) this.#join(each);
      },
      made: (value) => this.#keep(key, value),
    });
    this.#runs.set(key, run);
    for (const each of [waiter, ...moved]) run.add(each);
    this.#outside(() => begin(run.scope, input, run));
  }

  /** @returns False for an answer that is not kept. */
  #keep(key: string, value: unknown): boolean {
    const { settings, clock } = this.#deps;
    if (settings.ttlMs === 0) return false;
    const size = measureValue(value) + 2 * key.length;
    this.#kept.set(key, { value, expiresAt: clock.now() + settings.ttlMs }, { size });
    return this.#kept.has(key);
  }
}

/** Api whose answers are kept, and the replica that keeps them. */
interface CachedApi {
  readonly service: string;
  readonly api: string;
  readonly settings: ApiSettings;
  readonly key: AnswerCacheDeps["key"];
  readonly stats: CacheStats;
  readonly time: CallTime;
  readonly log: Logger;
  readonly begin: BeginRun;
}

/**
 * Creates the cache of one api. Without a `key`, a run sees no headers and no context: its answer is for all callers.
 */
export function createCache({ service, api, settings, key, stats, time, log, begin }: CachedApi): AnswerCache {
  const own: CallTime = { ...time, nameLimit: () => nameOption(service, api, settings.timeoutFrom) };
  const openScope = (first: CallScope): CallScope => {
    const { caller, request, priority } = first.call;
    const now = time.clock.now();
    const deadline = now + settings.timeoutMs;
    const seen = key === undefined ? request.withoutCaller() : request;
    const call = { service, api, caller, request: seen, priority, deadline, outside: true };
    const scope = new CallScope(call, undefined, own, now);
    scope.runBy({ log });
    scope.endResponse("the answer is kept for other requests too, so it can't set the response of one");
    noteJoined(scope, [first]);
    return scope;
  };
  const kept = settings.cache as CacheSettings;
  return new AnswerCache({ settings: kept, stats, clock: time.clock, openScope, begin, key });
}

/** One call that waits for a run. */
interface WaitingCall {
  readonly key: string;
  readonly input: unknown;
  readonly scope: CallScope;
  readonly output: (value: unknown) => void;
  readonly failure: (error: ServingError) => void;
}

class Waiter {
  readonly call: WaitingCall;
  run: SharedRun | undefined;
  readonly leave = (reason: ServingError): void => {
    this.run?.remove(this, reason);
    this.call.failure(reason);
  };

  constructor(call: WaitingCall) {
    this.call = call;
  }

  /** Stops following the call, which has its answer. */
  rest(): WaitingCall {
    this.call.scope.offCancel(this.leave);
    return this.call;
  }
}

interface RunEvents {
  /** Called once the run takes no further calls. */
  readonly ended: () => void;
  /** Called with the calls that waited when the run reached its own deadline. */
  readonly late: (left: readonly Waiter[]) => void;
  /** Called with the answer, which has no other owner. Returns true when it is kept. */
  readonly made: (value: unknown) => boolean;
}

/** One run of the author's function, for all calls that wait for it. */
class SharedRun implements ReplySink {
  readonly scope: CallScope;
  readonly #events: RunEvents;
  readonly #waiters = new Set<Waiter>();
  #isOver = false;

  constructor(scope: CallScope, events: RunEvents) {
    this.scope = scope;
    this.#events = events;
    scope.onCancel(() => {
      const left = this.#end();
      if (left.length > 0) events.late(left);
    });
  }

  add(waiter: Waiter): void {
    waiter.run = this;
    this.#waiters.add(waiter);
  }

  /** True when the run waits in a queue as a background call, and the call that asks is interactive. */
  givesWayTo({ priority }: CallScope): boolean {
    const { scope } = this;
    return priority === "interactive" && scope.priority === "background" && scope.queuedIn !== undefined;
  }

  /** Ends a run that waits, for another one. @returns The calls that wait for it. */
  giveWay(): Waiter[] {
    const left = this.#end();
    this.scope.cancel(fail("cancelled", { reason: "an interactive call with the same input has begun a run" }));
    return left;
  }

  /** Removes a call that has left. The last one ends the run (AC2). */
  remove(waiter: Waiter, reason: ServingError): void {
    this.#waiters.delete(waiter);
    if (this.#waiters.size > 0 || this.#isOver) return;
    this.#end();
    this.scope.cancel(reason);
  }

  output(value: unknown): void {
    if (this.#isOver) return;
    let own: unknown;
    try {
      own = copyValue(value, "output");
    } catch (error) {
      this.failure(error as ServingError);
      return;
    }
    const isKept = this.#events.made(own);
    const left = this.#end();
    const last = left.at(-1);
    for (const waiter of left) {
      const { output, failure } = waiter.rest();
      try {
        output(isKept || waiter !== last ? copyValue(own, "output") : own);
      } catch (error) {
        failure(error as ServingError);
      }
    }
  }

  failure(error: ServingError): void {
    for (const waiter of this.#end()) waiter.rest().failure(error);
  }

  #end(): Waiter[] {
    if (this.#isOver) return [];
    this.#isOver = true;
    const left = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of left) waiter.run = undefined;
    this.#events.ended();
    return left;
  }
}

/** Longest text of `key`. */
const maxKeyChars = 10_000;

/**
 * Returns a text that is the same for equal inputs of callers with equal texts. It is short, whatever the input is.
 *
 * @returns A promise only if the input holds a `Blob` or `File`.
 */
function readKey(input: unknown, key: AnswerCacheDeps["key"]): string | Promise<string> {
  const caller = key === undefined ? "" : key();
  if (typeof caller !== "string" || caller.length > maxKeyChars) {
    throw fail("cache_key_failed", { problem: `cache.key returned ${formatKey(caller)}` });
  }
  let packed: ReturnType<typeof packValue>;
  try {
    packed = packValue(input, "input");
  } catch (error) {
    throw refuseInput(error);
  }
  const join = (bytes: Uint8Array) => `${fingerprintValue(bytes)} ${caller}`;
  if (!(packed instanceof Promise)) return join(packed);
  return packed.then(join, (error: unknown) => {
    throw refuseInput(error);
  });
}

function formatKey(key: unknown): string {
  if (typeof key === "string") return `${key.length} characters, more than ${maxKeyChars}`;
  return key instanceof Promise ? "a promise, not a text" : `${typeof key}, not a text`;
}

function refuseInput(error: unknown): unknown {
  if (!(error instanceof ServingError) || error.id !== "not_transferable") return error;
  return fail("cache_key_failed", { problem: `the checked input can't be compared: ${messageOf(error)}` });
}

/** Bytes of an object or list beside its items, and of a number, text or other small value beside its characters. */
const objectBytes = 64;
const smallBytes = 16;

/** Reads no element: they may be in a file, which stays there. */
const measureTensor = ({ dtype, shape }: Tensor): number =>
  countElements(shape) * arrayByDType[dtype].BYTES_PER_ELEMENT;

/** Returns the bytes that a copied value takes in memory, roughly. Values are at most `maxValueDepth` levels deep. */
export function measureValue(value: unknown): number {
  if (typeof value === "string") return smallBytes + 2 * value.length;
  if (typeof value !== "object" || value === null) return smallBytes;
  if (ArrayBuffer.isView(value)) return objectBytes + value.byteLength;
  if (value instanceof Blob) return objectBytes + value.size;
  if (copySelf in value) return objectBytes + measureTensor(value as unknown as Tensor);
  let bytes = objectBytes;
  if (Array.isArray(value) || value instanceof Set) {
    for (const item of value) bytes += typeof item === "number" ? 8 : measureValue(item);
  } else if (value instanceof Map) {
    for (const [key, item] of value) bytes += measureValue(key) + measureValue(item);
  } else {
    for (const [key, item] of Object.entries(value)) bytes += smallBytes + key.length + measureValue(item);
  }
  return bytes;
}
