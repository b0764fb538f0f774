import type { Readable } from "node:stream";
import { ItemReader } from "../../call/streams/item-reader.js";
import { type ItemSource, lastStep } from "../../call/streams/item-source.js";
import { fail } from "../../failure/failures.js";
import type { Exchange } from "../exchange.js";
import type { ApiRoute, HttpState } from "../http-state.js";
import { isJsonType, isLinesType, type MediaType, parseMediaType } from "../media-type.js";
import { refuseEncoding, refuseType } from "../read-body.js";
import { bodyFailure } from "../read-bytes.js";
import { ChunkCutter, type CutItem, type ItemCutter, LineCutter } from "./item-cutter.js";
import type { WatchedStream } from "./stream-watch.js";

// The items of a request's body, read while it comes in and, it may be, while the answer goes out.
//
// I1  The body is read on only while somebody waits for an item, so at most a chunk and an unfinished item are held, and a
//     client that is faster than the api is slowed down by its own socket.
// I2  Nobody holds the event loop by many small items: after `burstItems` of them the others have a turn, and after `turnMs` no
//     more is read in a turn, in which Node gives up to 32 chunks, of blank lines alone as well.
// I3  A reader that leaves does not stop the client: what is left is read and thrown away, since a client that can't get rid
//     of its body may never read the answer.

/** Some milliseconds of checks and calls. */
const burstItems = 256;
/** Milliseconds of one turn after which nothing more is read in it. */
const turnMs = 4;

export class BodyItems implements ItemSource {
  /** What the api reads. */
  readonly items = new ItemReader(this, () => "the body of a request");
  readonly #source: Readable;
  readonly #cutter: ItemCutter;
  readonly #watched: HttpStream;
  #isPulled = false;
  #isStopped = false;
  /** Items given since others last had a turn (I2). */
  #given = 0;
  /** When the first chunk of this turn came. */
  #turnBegan: number | undefined;
  /** Until the next turn nothing is read. */
  #isResting = false;
  /** How the body ended, once it has. */
  #end: { readonly error: unknown } | undefined;

  /** Listeners stay to the end of the request: an error must find one even when nobody reads any more. */
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

  /** What has come already is given at once; the body is read on only when that was not enough (I1). */
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

  /** Gives what was asked for, if it is there. */
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

  /** Nothing is pulled while a long item is parsed: the next is asked for when this one was given. */
  readonly #giveLong = (value: unknown): void => {
    if (!this.#isStopped) this.items.item(value);
  };

  readonly #failLong = (error: unknown): void => {
    if (this.#isStopped) return;
    this.#end = { error };
    this.#source.resume();
    this.items.fail(error);
  };

  /** @returns `undefined` when no item is there whole, also when what is there can't be one: that is how the body ends then. */
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

/** A request whose body or answer is a stream: ended when nothing moves on it, and shown to be alive while it is silent. */
export class HttpStream implements WatchedStream {
  hasMoved = false;
  hasSent = false;
  /** Writes what means nothing, where the form of the answer has room for it. */
  beat: () => void = () => {};
  readonly #exchange: Exchange;

  private constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  /** The stream of an exchange, watched until the exchange ends; one, also where body and answer are both streams. */
  static of(http: HttpState, exchange: Exchange): HttpStream {
    if (exchange.watched instanceof HttpStream) return exchange.watched;
    const stream = new HttpStream(exchange);
    exchange.watched = stream;
    http.streams.add(stream);
    return stream;
  }

  expire(idleMs: number): void {
    this.#exchange.cancel(fail("stream_idle", { idleMs, waitingFor: this.#exchange.pending }));
  }
}

/**
 * The items of a request's body, for an api whose input is a stream; they are read as the api asks for them.
 *
 * @returns `undefined` where the body is to be read as a whole: a list in JSON, or none at all.
 * @throws {ServingError} `unsupported_media_type`, `unsupported_content_encoding`. What is wrong with an item is said when it is read.
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
  if (isLinesType(essence)) return new LineCutter(http.settings, charset);
  return input.takesChunks && isChunkType(essence) ? new ChunkCutter() : undefined;
}

/** Whatever has no form of its own that would have to be taken apart: a recording, say, under its own name. */
const isChunkType = (essence: string): boolean =>
  essence !== "" && !essence.startsWith("multipart/") && essence !== "application/x-www-form-urlencoded";

type Step = IteratorResult<unknown, undefined>;

/**
 * The items of a list that came as the input of a stream; after each `burstItems` of them, others have a turn.
 *
 * A list that is there whole would otherwise be read to its end without pause, and nothing else be answered meanwhile.
 */
export class PacedItems implements AsyncIterableIterator<unknown> {
  readonly #list: readonly unknown[];
  #at = 0;

  constructor(list: readonly unknown[]) {
    this.#list = list;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Step> {
    if (this.#at >= this.#list.length) return Promise.resolve(lastStep);
    const step: Step = { done: false, value: this.#list[this.#at++] };
    if (this.#at % burstItems !== 0) return Promise.resolve(step);
    return new Promise((resolve) => void setImmediate(resolve, step));
  }

  return(): Promise<Step> {
    this.#at = this.#list.length;
    return Promise.resolve(lastStep);
  }
}
