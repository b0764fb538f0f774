import { fail } from "../../failure/failures.js";
import type { ServingError } from "../../failure/serving-error.js";
import type { CallScope } from "../call-scope.js";
import { currentScope } from "../invoke.js";

/** Key of the use of a stream that ekiben returned. */
export const onceKey: unique symbol = Symbol.for("ekiben.streamUse");

/**
 * Lets a stream be used once: two readers would share its items, and the placement would decide which of them got
 * which.
 */
export class StreamUse {
  readonly #stream: () => string;
  #first: string | undefined;

  /** @param stream Name of the stream, in words; called only to refuse. */
  constructor(stream: () => string) {
    this.#stream = stream;
  }

  get stream(): string {
    return this.#stream();
  }

  /**
   * Marks the stream as used. @param use `"given to Sink.sum"`. @throws {ServingError} `stream_used_twice` after the
   * first.
   */
  take(use: string): void {
    if (this.#first !== undefined) throw this.refuse(use);
    this.#first = use;
  }

  /** Marks the stream as read by a loop of the author. @throws {ServingError} as `take`. */
  read(): void {
    const scope = currentScope();
    this.take(scope === undefined ? "read" : `read in ${scope.call.service}.${scope.call.api}`);
  }

  refuse(use: string): ServingError {
    return fail("stream_used_twice", { stream: this.stream, first: this.#first ?? "read", second: use });
  }
}

/** Returns the name of an input that is a stream. */
export const nameInput = ({ call }: CallScope): string => `the input of ${call.service}.${call.api}`;

/** A stream made by ekiben: it is its own iterator. */
interface OwnStream extends AsyncIterator<unknown> {
  readonly [onceKey]?: StreamUse;
}

/** Iterators, and streams of other libraries, already in use. A generator returns the same iterator each time. */
const foreign = new WeakMap<object, StreamUse>();

/**
 * Returns the iterator of a stream, for one use.
 *
 * @throws {ServingError} `stream_used_twice` where it is already used, also when that use is over. Any error of its own
 * iterator function.
 */
export function takeItems(source: AsyncIterable<unknown>, use: string): AsyncIterator<unknown> {
  const own = (source as unknown as OwnStream)[onceKey];
  if (own !== undefined) {
    own.take(use);
    return source as unknown as OwnStream;
  }
  if (isReadOnce(source)) {
    takeForeign(source, source, use);
    return source[Symbol.asyncIterator]();
  }
  const items = source[Symbol.asyncIterator]();
  takeForeign(items, source, use);
  return items;
}

/**
 * Marks a foreign stream as used.
 *
 * @param items Object that can be used once.
 * @param source Origin of the items; names the stream.
 * @throws {ServingError} as `takeItems`.
 */
export function takeForeign(items: object, source: object, use: string): void {
  let known = foreign.get(items);
  if (known === undefined) foreign.set(items, (known = new StreamUse(() => formatSource(source))));
  known.take(use);
}

/** Returns the name of a stream, in words. */
export const nameStream = (source: object): string =>
  (source as unknown as OwnStream)[onceKey]?.stream ?? formatSource(source);

/** True for streams of the web and of Node, which return a new iterator over the same items at each request. */
function isReadOnce(source: object): boolean {
  const { getReader, pipe, read } = source as { getReader?: unknown; pipe?: unknown; read?: unknown };
  return typeof getReader === "function" || (typeof pipe === "function" && typeof read === "function");
}

/** `"an AsyncGenerator"`. */
function formatSource(source: object): string {
  const name = Object.prototype.toString.call(source).slice(8, -1);
  const kind = name === "Object" ? source.constructor?.name || "iterable" : name;
  return `${/^[AEIOU]/i.test(kind) ? "an" : "a"} ${kind}`;
}
