import type { Readable } from "node:stream";
import { ItemReader } from "../../call/streams/item-reader.js";
import { type ItemSource, lastStep } from "../../call/streams/item-source.js";
import type { Revive } from "../../define/revive-input.js";
import { fail } from "../../failure/failures.js";
import type { Exchange } from "../exchange.js";
import type { ApiRoute, HttpState } from "../http-state.js";
import { isJsonType, isLinesType, type MediaType, parseMediaType } from "../media-type.js";
import { refuseEncoding, refuseType } from "../read-body.js";
import { bodyFailure } from "../read-bytes.js";
import { ChunkCutter, type CutItem, type ItemCutter, LineCutter, RevivingCutter } from "./item-cutter.js";
import type { WatchedStream } from "./stream-watch.js";

// Reads the items of a request's body while it arrives, also while the answer is being sent.
//
// HI1  The body is read only while a reader waits for an item. So at most a chunk and an unfinished item are held,
//      and a client that is faster than the api is slowed down by its own socket.
// HI2  Many small items do not block the event loop: after `burstItems` of them it gets a turn, and after `turnMs`
//      nothing more is read in the same turn. Node may deliver up to 32 chunks in a turn, even of blank lines alone.
// HI3  A reader that leaves does not stop the client: the rest is read and discarded, since a client that can't send
//      all of its body may never read the answer.

/** Items per turn of the event loop: a few milliseconds of checks and calls. */
const burstItems = 256;
/** Milliseconds of one turn after which nothing more is read in it. */
const turnMs = 4;

export class BodyItems implements ItemSource {
  /** Items for the api to read. */
  readonly items = new ItemReader(this, () => "the body of a request");
  readonly #source: Readable;
  readonly #cutter: ItemCutter;
  readonly #watched: HttpStream;
  #isPulled = false;
  #isStopped = false;
  /** Items given since the event loop last had a turn (HI2). */
  #given = 0;
  /** Time of the first chunk in this turn. */
  #turnBegan: number | undefined;
  /** True when nothing more is read in this turn. */
  #isResting = false;
  /** Set once the body has ended; holds the error, if one ended it. */
  #end: { readonly error: unknown } | undefined;

  /** The listeners stay until the request ends: an error must find one even when nobody reads any more. */
  constructor(source: Readable, cutter: ItemCutter, watched: HttpStream) {
    this.#source = source;
    this.#cutter = cutter;
    this.#watched = watched;
    source.pause();
    source.on("data", (chunk: Uint8Array) => this.#receive(chunk));
    source.on("end", () => this.#finish());
    source.on("error", (error) => this.#fail(bodyFailure(error)));
    source.on("close", () => this.#fail(bodyFailure(undefined)));
  }

  /** Gives an item that has already arrived at once. Reads on only when there is none (HI1). */
  pull(): void {
    this.#isPulled = true;
    if (this.#given < burstItems) {
      this.#goOn();
      return;
    }
    this.#given = 0;
    setImmediate(() => this.#goOn());
  }

  stop(): void {
    this.#isStopped = true;
    this.#source.resume();
    this.items.end();
  }

  #goOn(): void {
    this.#give();
    if (this.#isPulled && !this.#isResting) this.#source.resume();
  }

  #receive(chunk: Uint8Array): void {
    this.#watched.hasMoved = true;
    this.#given = 0;
    if (this.#isStopped || this.#end !== undefined) return;
    if (this.#turnBegan === undefined) this.#beginTurn();
    try {
      this.#cutter.push(chunk);
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#give();
    if (this.#end !== undefined) return;
    this.#isResting = performance.now() - (this.#turnBegan as number) >= turnMs;
    if (!this.#isPulled || this.#isResting) this.#source.pause();
  }

  #beginTurn(): void {
    this.#turnBegan = performance.now();
    setImmediate(() => {
      this.#turnBegan = undefined;
      if (!this.#isResting) return;
      this.#isResting = false;
      if (this.#isPulled || this.#isStopped) this.#source.resume();
    });
  }

  #finish(): void {
    if (this.#isStopped || this.#end !== undefined) return;
    this.#cutter.end();
    this.#end = { error: undefined };
    this.#give();
  }

  #fail(error: unknown): void {
    if (this.#isStopped || this.#end !== undefined) return;
    this.#end = { error };
    this.#source.resume();
    this.#give();
  }

  /** Gives the item that was asked for, if it has arrived. */
  #give(): void {
    if (!this.#isPulled || this.#isStopped) return;
    const item = this.#take();
    if (item !== undefined) {
      this.#isPulled = false;
      this.#given++;
      this.#watched.hasMoved = true;
      if (item.value instanceof Promise) item.value.then(this.#giveLong, this.#failLong);
      else this.items.item(item.value);
    } else if (this.#end !== undefined) {
      this.#isPulled = false;
      if (this.#end.error === undefined) this.items.end();
      else this.items.fail(this.#end.error);
    }
  }

  /** Gives an item that was parsed in turns. Nothing is pulled meanwhile: the next item is asked for after this one. */
  readonly #giveLong = (value: unknown): void => {
    if (!this.#isStopped) this.items.item(value);
  };

  readonly #failLong = (error: unknown): void => {
    if (this.#isStopped) return;
    this.#end = { error };
    this.#source.resume();
    this.items.fail(error);
  };

  /** @returns The next complete item; `undefined` when there is none, or when it is invalid and ends the body. */
  #take(): CutItem | undefined {
    try {
      return this.#cutter.take();
    } catch (error) {
      this.#end = { error };
      this.#source.resume();
      return undefined;
    }
  }
}

/**
 * A request whose body or answer is a stream. It is ended when nothing moves on it; heartbeats keep it alive while it
 * is silent.
 */
export class HttpStream implements WatchedStream {
  hasMoved = false;
  hasSent = false;
  /** Writes a heartbeat, when the form of the answer has one. */
  beat: () => void = () => {};
  readonly #http: HttpState;
  readonly #exchange: Exchange;

  private constructor(http: HttpState, exchange: Exchange) {
    this.#http = http;
    this.#exchange = exchange;
  }

  /**
   * Returns the stream of an exchange, watched until the exchange ends. Body and answer share one when both are
   * streams.
   */
  static of(http: HttpState, exchange: Exchange): HttpStream {
    if (exchange.watched instanceof HttpStream) return exchange.watched;
    const stream = new HttpStream(http, exchange);
    exchange.watched = stream;
    http.streams.add(stream);
    return stream;
  }

  expire(idleMs: number): void {
    const from = this.#http.settings.limitsFrom?.streamIdleMs;
    this.#exchange.cancel(fail("stream_idle", { idleMs, from, waitingFor: this.#exchange.pending }));
  }
}

/**
 * Returns the items of a request's body, for an api whose input is a stream. They are read as the api asks for them.
 *
 * @returns `undefined` when the body is to be read as a whole: a list in JSON, or no body.
 * @throws {ServingError} `unsupported_media_type`, `unsupported_content_encoding`. Errors in an item are thrown when
 *   it is read.
 */
export function readItems(
  http: HttpState,
  exchange: Exchange,
  route: ApiRoute,
): AsyncIterable<unknown> | Iterable<unknown> | undefined {
  const { request } = exchange.reply;
  const { headers } = request;
  const type = parseMediaType(headers["content-type"]);
  if (isJsonType(type.essence)) return undefined;
  const source = request.body as Readable | null | undefined;
  const isEmpty = source === undefined || source === null;
  if (isEmpty && (headers["content-length"] === undefined || type.essence === "")) return undefined;
  const cutter = createCutter(http, route, type);
  if (cutter === undefined) throw refuseType(route, headers);
  refuseEncoding(request);
  return isEmpty ? [] : new BodyItems(source, cutter, HttpStream.of(http, exchange)).items;
}

function createCutter(http: HttpState, { input }: ApiRoute, { essence, charset }: MediaType): ItemCutter | undefined {
  if (isLinesType(essence)) {
    const lines = new LineCutter(http.settings, charset);
    return input.revive === undefined ? lines : new RevivingCutter(lines, input.revive);
  }
  return input.takesChunks && isChunkType(essence) ? new ChunkCutter() : undefined;
}

/** True for types without an inner structure to parse, such as a recording under its own type. */
const isChunkType = (essence: string): boolean =>
  essence !== "" && !essence.startsWith("multipart/") && essence !== "application/x-www-form-urlencoded";

type Step = IteratorResult<unknown, undefined>;

/**
 * Iterates over a list that is the input of a stream. The event loop gets a turn after each `burstItems` items.
 *
 * Without pauses a complete list would be read to its end while nothing else is answered.
 */
export class PacedItems implements AsyncIterableIterator<unknown> {
  readonly #list: readonly unknown[];
  readonly #revive: Revive | undefined;
  #at = 0;

  /** @param revive Turns JSON forms into what the api takes. */
  constructor(list: readonly unknown[], revive?: Revive) {
    this.#list = list;
    this.#revive = revive;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Step> {
    if (this.#at >= this.#list.length) return Promise.resolve(lastStep);
    const item = this.#list[this.#at++];
    const value = this.#revive === undefined ? item : this.#revive(item);
    if (value instanceof Promise) return value.then((revived: unknown) => ({ done: false, value: revived }));
    const step: Step = { done: false, value };
    if (this.#at % burstItems !== 0) return Promise.resolve(step);
    return new Promise((resolve) => void setImmediate(resolve, step));
  }

  return(): Promise<Step> {
    this.#at = this.#list.length;
    return Promise.resolve(lastStep);
  }
}
