import type { Readable } from "node:stream";
import { createDeferred, type Deferred } from "../base/deferred.js";
import { lastStep } from "../call/item-feed.js";
import { fail } from "../failure/fail.js";
import type { EdgeStream } from "./edge-stream.js";
import type { ItemCutter } from "./item-cutter.js";

// The items of a request's body, read while it comes in and, it may be, while the answer goes out.
//
// I1  The body is read on only while somebody waits for an item, so at most a chunk and an unfinished item are held, and a
//     client that is faster than the api is slowed down by its own socket.
// I2  A reader that leaves does not stop the client: what is left is read and thrown away, since a client that can't get rid
//     of its body may never read the answer.

type Step = IteratorResult<unknown, undefined>;

export class BodyItems implements AsyncIterableIterator<unknown> {
  readonly #source: Readable;
  readonly #cutter: ItemCutter;
  readonly #watched: EdgeStream;
  #waiting: Deferred<Step> | undefined;
  /** The body's end has come, or nobody reads any more. */
  #isEnded = false;
  #error: unknown;

  /** Listeners stay to the end of the request: an error must find one even when nobody reads any more. */
  constructor(source: Readable, cutter: ItemCutter, watched: EdgeStream) {
    this.#source = source;
    this.#cutter = cutter;
    this.#watched = watched;
    source.pause();
    source.on("data", (chunk: Uint8Array) => this.#receive(chunk));
    source.on("end", () => this.#finish());
    source.on("error", () => this.#fail(clientGone()));
    source.on("close", () => this.#fail(clientGone()));
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Step> {
    if (this.#waiting !== undefined) {
      const again = () => this.next();
      return this.#waiting.promise.then(again, again);
    }
    const step = this.#take();
    if (step !== undefined) return Promise.resolve(step);
    if (this.#error !== undefined) return this.#throw();
    if (this.#isEnded) return Promise.resolve(lastStep);
    this.#waiting = createDeferred();
    this.#source.resume();
    return this.#waiting.promise;
  }

  return(): Promise<Step> {
    this.#isEnded = true;
    this.#error = undefined;
    this.#waiting?.resolve(lastStep);
    this.#waiting = undefined;
    this.#source.resume();
    return Promise.resolve(lastStep);
  }

  #receive(chunk: Uint8Array): void {
    this.#watched.hasMoved = true;
    if (this.#isEnded) return;
    try {
      this.#cutter.push(chunk);
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#answer();
  }

  #finish(): void {
    if (this.#isEnded) return;
    this.#cutter.end();
    this.#answer();
    this.#isEnded = true;
    this.#waiting?.resolve(lastStep);
    this.#waiting = undefined;
  }

  /** Gives what has come to whoever waits, and reads on only when it was not enough (I1). */
  #answer(): void {
    const waiting = this.#waiting;
    const step = waiting === undefined ? undefined : this.#take();
    if (waiting !== undefined && step === undefined) return;
    this.#source.pause();
    this.#waiting = undefined;
    if (step !== undefined) waiting?.resolve(step);
  }

  /** @returns `undefined` when no item is there whole, also when what is there can't be one. */
  #take(): Step | undefined {
    try {
      const item = this.#cutter.take();
      if (item === undefined) return undefined;
      this.#watched.hasMoved = true;
      return { done: false, value: item.value };
    } catch (error) {
      this.#fail(error);
      return undefined;
    }
  }

  #fail(error: unknown): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#source.resume();
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) this.#error = error;
    else waiting.reject(error);
  }

  #throw(): Promise<Step> {
    const error = this.#error;
    this.#error = undefined;
    return Promise.reject(error);
  }
}

const clientGone = () => fail("cancelled", { reason: "the client closed the connection" });
