import { fail } from "../../failure/failures.js";
import type { ServingError } from "../../failure/serving-error.js";
import type { CallScope } from "../call-scope.js";
import { currentScope } from "../invoke.js";

/** Under this key a stream that ekiben gives says who uses it. */
export const onceKey: unique symbol = Symbol.for("ekiben.streamUse");

/** Lets a stream be used once: two readers would share its items, and which of them got which would depend on the placement. */
export class StreamUse {
  readonly #stream: () => string;
  #first: string | undefined;

  /** @param stream What it is, in words; asked for only to refuse. */
  constructor(stream: () => string) {
    this.#stream = stream;
  }

  get stream(): string {
    return this.#stream();
  }

  /** @param use What becomes of the stream: `"given to Sink.sum"`. @throws {ServingError} `stream_used_twice` for any but the first. */
  take(use: string): void {
    if (this.#first !== undefined) throw this.refuse(use);
    this.#first = use;
  }

  /** By a loop of an author's. @throws {ServingError} as `take`. */
  read(): void {
    const scope = currentScope();
    this.take(scope === undefined ? "read" : `read in ${scope.call.service}.${scope.call.api}`);
  }

  refuse(use: string): ServingError {
    return fail("stream_used_twice", { stream: this.stream, first: this.#first ?? "read", second: use });
  }
}

/** What a stream is that an api gets as its input. */
export const nameInput = ({ call }: CallScope): string => `the input of ${call.service}.${call.api}`;

/** A stream of ekiben's own: it is its own iterator. */
interface OwnStream extends AsyncIterator<unknown> {
  readonly [onceKey]?: StreamUse;
}

/** Iterators, and streams of other libraries, that somebody was given: of a generator, say, each asks for the same one. */
const foreign = new WeakMap<object, StreamUse>();

/**
 * The iterator of a stream, for one use.
 *
 * @throws {ServingError} `stream_used_twice` where it is used already, also when that use is over. What its own iterator function throws.
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

/** @param items What can be used once. @param source What it was made of; gives it its name. @throws {ServingError} as `takeItems`. */
export function takeForeign(items: object, source: object, use: string): void {
  let known = foreign.get(items);
  if (known === undefined) foreign.set(items, (known = new StreamUse(() => formatSource(source))));
  known.take(use);
}

/** What a stream is, in words. */
export const nameStream = (source: object): string =>
  (source as unknown as OwnStream)[onceKey]?.stream ?? formatSource(source);

/** Streams of the web and of Node, which make a new iterator over the same items each time they are asked. */
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
