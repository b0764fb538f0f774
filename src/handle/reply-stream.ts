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

/** What a streaming call is made of. */
interface ReplyStreamDeps {
  /** Opens the call, when the first item is asked for. */
  readonly open: (sink: ItemSink) => ItemSource;
  /** Of a call that was opened, once. */
  readonly onEnd: (outcome: Code | "ok") => void;
  /** An author has asked for an item, it has failed, and nobody has looked at it. */
  readonly onUnheard?: OnUnheard | undefined;
  /** What its items were checked against. */
  readonly itemSchema: unknown;
}

/**
 * The caller's end of a streaming call: read by an author, or passed on unread.
 *
 * Lazy: the call is sent when the first item is asked for. A cancelled scope fails the pending `next()` at once; ending
 * the iteration early ends the call. The producer is asked for one item at a time, so nothing is buffered.
 */
export class ReplyStream implements AsyncIterableIterator<unknown>, ItemSink, ItemSource, PassableStream {
  readonly itemSchema: unknown;
  readonly #scope: CallScope;
  readonly #deps: ReplyStreamDeps;
  readonly #reader: ItemReader;
  readonly [onceKey] = new StreamUse(() => this.#name);
  /** Who gets the items: the reader, or whoever they are passed to. */
  #sink: ItemSink;
  #source: ItemSource | undefined;
  #isUnread = true;
  #isEnded = false;
  /** Nobody wants more of it, and what it has left in this thread has not ended yet. */
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
      this.#end(reason.code);
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

  /** Somebody else gets its items. */
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

  /** For whoever gets the items alone, as are `stop`, `item`, `encoded`, `end` and `fail` for the two sides of the call. */
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
    // First, and as over a border: its code sees that nobody reads any more, and whatever it has called ends.
    this.#scope.cancel(readerGone());
    this.#end("ok");
    if (this.#source === undefined) this.end();
    else this.#source.stop();
  }

  item(value: unknown, isFresh: boolean): void {
    if (!this.#isEnded) this.#sink.item(value, isFresh);
  }

  encoded(items: EncodedItems): void {
    if (!this.#isEnded) this.#sink.encoded(items);
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
    this.#end(error instanceof ServingError ? error.code : "internal");
    this.#sink.fail(error);
  }

  #end(outcome: Code | "ok"): void {
    this.#isEnded = true;
    if (this.#source !== undefined) this.#deps.onEnd(outcome);
    else this.#scope.close();
  }
}

type Step = IteratorResult<unknown, undefined>;

/**
 * A stream whose input is a promise: it is opened when that has come, whether or not somebody reads by then.
 *
 * What is asked for meanwhile comes in order. An input that fails is told to its reader once; the stream is then over.
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
    // Not after what is asked for: that may be waiting for the very signal that this gives.
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
