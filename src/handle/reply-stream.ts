import { CallPromise, type OnUnheard } from "../call/call-promise.js";
import type { CallScope } from "../call/call-scope.js";
import { ambientCall, readerOf } from "../call/invoke.js";
import { ItemReader } from "../call/streams/item-reader.js";
import {
  type EncodedItems,
  type ItemSink,
  type ItemSource,
  lastStep,
  type PassableStream,
  passable,
  readerGone,
} from "../call/streams/item-source.js";
import { onceKey, StreamUse } from "../call/streams/stream-use.js";
import { type Code, ServingError } from "../failure/serving-error.js";
import { noteFailure, noteUnheard, type UnheardCall } from "./unheard-failure.js";

/** Constructor arguments of a `ReplyStream`. */
interface ReplyStreamDeps {
  /** Opens the call, when the first item is asked for. */
  readonly open: (sink: ItemSink) => ItemSource;
  /** Called once, with the first item. */
  readonly onFirst: () => void;
  /** Called once with the outcome of an opened call. */
  readonly onEnd: (outcome: Code | "ok", error: unknown) => void;
  /** Called when an item was asked for, failed, and its promise was never read. */
  readonly onUnheard?: OnUnheard | undefined;
  /** Schema of its items. */
  readonly itemSchema: unknown;
}

/**
 * Caller's end of a streaming call. An author reads it, or passes it on unread.
 *
 * The call is sent when the first item is asked for. A cancelled scope fails the pending `next()` at once; ending the
 * iteration early ends the call. The producer is asked for one item at a time, so nothing is buffered.
 */
export class ReplyStream implements AsyncIterableIterator<unknown>, ItemSink, ItemSource, PassableStream {
  readonly itemSchema: unknown;
  readonly #scope: CallScope;
  readonly #deps: ReplyStreamDeps;
  readonly #reader: ItemReader;
  readonly [onceKey] = new StreamUse(() => this.#name);
  /** Receiver of the items: the reader, or the sink to which they are passed on. */
  #sink: ItemSink;
  #source: ItemSource | undefined;
  #isUnread = true;
  #isBegun = false;
  #isEnded = false;
  /** True after `stop`, until the callee's side in this thread has ended. */
  #isLeaving = false;

  constructor(scope: CallScope, deps: ReplyStreamDeps) {
    this.#scope = scope;
    this.#deps = deps;
    this.itemSchema = deps.itemSchema;
    const { onUnheard } = deps;
    this.#reader = new ItemReader(
      this,
      () => this.#name,
      onUnheard && ((error, next) => onUnheard(error as ServingError, next, scope)),
    );
    this.#sink = this.#reader;
    scope.onCancel((reason) => {
      if (this.#isEnded) return;
      this.#end(reason.code, reason);
      this.#source?.stop();
      this.#sink.fail(reason);
    });
  }

  get [passable](): PassableStream {
    return this;
  }

  get isUnread(): boolean {
    return this.#isUnread;
  }

  /** True when another sink gets the items. */
  get #isPassedOn(): boolean {
    return this.#sink !== this.#reader;
  }

  get takesEncoded(): boolean {
    return this.#sink.takesEncoded;
  }

  get #name(): string {
    const { service, api } = this.#scope.call;
    return `the stream of ${service}.${api}`;
  }

  passTo(sink: ItemSink, reader?: object): ItemSource {
    this.#scope.readBy(reader as CallScope | undefined);
    this.#isUnread = false;
    this.#sink = sink;
    return this;
  }

  /** @throws {ServingError} `stream_used_twice`. */
  [Symbol.asyncIterator](): this {
    this[onceKey].read();
    return this;
  }

  next(): Promise<IteratorResult<unknown, undefined>> {
    if (this.#isPassedOn) return Promise.reject(this[onceKey].refuse("read"));
    this.#isUnread = false;
    return this.#reader.next();
  }

  return(): Promise<IteratorResult<unknown, undefined>> {
    if (this.#isPassedOn) return Promise.resolve(lastStep);
    this.#isUnread = false;
    return this.#reader.return();
  }

  /**
   * Asks for an item. Only for the receiver, as `stop` is; `item`, `encoded`, `end` and `fail` are for the callee's
   * side.
   */
  pull(): void {
    if (this.#isEnded) {
      const { reason } = this.#scope;
      if (reason === undefined) this.#sink.end();
      else this.#sink.fail(reason);
      return;
    }
    if (this.#source === undefined) {
      if (this.#scope.reader === undefined) this.#scope.readBy(readerOf(ambientCall()));
      this.#source = this.#deps.open(this);
    }
    this.#source.pull();
  }

  stop(): void {
    if (this.#isEnded) return;
    this.#isLeaving = true;
    this.#isEnded = true;
    // First, as across a process boundary: the callee sees that its reader has left, and the calls it has made end.
    this.#scope.cancel(readerGone());
    this.#end("ok");
    if (this.#source === undefined) this.end();
    else this.#source.stop();
  }

  item(value: unknown, isFresh: boolean): void {
    if (this.#isEnded) return;
    if (!this.#isBegun) this.#begin();
    this.#sink.item(value, isFresh);
  }

  encoded(items: EncodedItems): void {
    if (this.#isEnded) return;
    if (!this.#isBegun) this.#begin();
    this.#sink.encoded(items);
  }

  end(): void {
    if (this.#isEnded && !this.#isLeaving) return;
    if (!this.#isEnded) this.#end("ok");
    this.#isLeaving = false;
    this.#sink.end();
  }

  fail(error: unknown): void {
    if (this.#isLeaving) this.end();
    if (this.#isEnded) return;
    this.#end(error instanceof ServingError ? error.code : "internal", error);
    this.#sink.fail(error);
  }

  #begin(): void {
    this.#isBegun = true;
    this.#deps.onFirst();
  }

  #end(outcome: Code | "ok", error?: unknown): void {
    this.#isEnded = true;
    if (this.#source !== undefined) this.#deps.onEnd(outcome, error);
    else this.#scope.close();
  }
}

type Step = IteratorResult<unknown, undefined>;

/**
 * A stream whose input is a promise. It is opened when the input arrives, read or not.
 *
 * Items that are asked for before arrive in order. A failed input fails the first read; then the stream is over.
 */
export class LaterStream implements AsyncIterableIterator<unknown> {
  readonly #opened: Promise<AsyncIterableIterator<unknown>>;
  readonly #call: UnheardCall;
  #last: Promise<unknown> = Promise.resolve();
  #isRead = false;
  #isOver = false;
  readonly [onceKey]: StreamUse;

  constructor(opened: Promise<AsyncIterableIterator<unknown>>, call: UnheardCall) {
    this.#opened = opened;
    this.#call = call;
    this[onceKey] = new StreamUse(() => `the stream of ${call.callee}`);
    opened.catch((error: unknown) => noteUnheard(error, call, () => this.#isRead));
  }

  /** @throws {ServingError} `stream_used_twice`. */
  [Symbol.asyncIterator](): this {
    this[onceKey].read();
    return this;
  }

  next(): Promise<Step> {
    return this.#after((items) => items.next());
  }

  return(): Promise<Step> {
    this.#isRead = true;
    this.#isOver = true;
    // Does not wait for pending `next()` calls: those may be waiting for this very signal.
    return this.#opened.then(
      async (items) => (await items.return?.()) ?? over,
      () => over,
    );
  }

  #after(step: (items: AsyncIterableIterator<unknown>) => Promise<Step>): Promise<Step> {
    this.#isRead = true;
    const stepped = this.#last.then(async () => {
      if (this.#isOver) return over;
      try {
        return await step(await this.#opened);
      } catch (error) {
        this.#isOver = true;
        throw error;
      }
    });
    this.#last = stepped.catch(() => {});
    const promise: CallPromise<Step> = new CallPromise((resolve, reject) => {
      stepped.then(resolve, (error: unknown) => {
        noteFailure(promise, error, this.#call);
        reject(error);
      });
    });
    return promise;
  }
}

const over: Step = { done: true, value: undefined };
