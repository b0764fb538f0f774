import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { EncodedItems, ItemSink, ItemSource, PassableStream } from "../../call/streams/item-source.js";
import { type ServingError, unreachable } from "../../failure/serving-error.js";
import { toServingError } from "../../failure/to-serving-error.js";
import { cutStream, leaveConnection, needsDrain } from "../connection.js";
import { discardRest, type Exchange, exchangeOf } from "../exchange.js";
import type { HttpState } from "../http-state.js";
import { bytesType, eventsType, linesType, textType } from "../media-type.js";
import { type AnswerForm, type OutputForm, pickOffer } from "../output-form.js";
import { createFailureBody, type FailedApi, formatFailure, writeFailure } from "../write-failure.js";
import { encodeJson } from "../write-reply.js";
import { HttpStream } from "./body-items.js";

/**
 * Runs as the last `onSend` hook of a route that answers with streams. The author's hooks have run by then, without a
 * payload, which they can't change. Everything written afterwards bypasses Fastify.
 */
export function sendHead(_: FastifyRequest, reply: FastifyReply, payload: unknown, done: SendDone): void {
  const exchange = exchangeOf(reply);
  const { onHead } = exchange;
  exchange.onHead = undefined;
  if (onHead === undefined || payload !== undefined) done(null, payload);
  else onHead();
}

type SendDone = (error: Error | null, payload: unknown) => void;

/** A stream and the form it is written in. */
interface StreamAnswer {
  readonly items: PassableStream;
  /** Returns the value to write for an item. Default: the item. */
  readonly toItem?: (item: unknown) => unknown;
  readonly form: AnswerForm;
  readonly output: OutputForm;
  readonly api: FailedApi;
}

/**
 * Answers a request with the items of a stream. Each is sent as soon as it arrives; the next is asked for when the
 * client keeps up. Never throws.
 *
 * A failure before the first item becomes an ordinary response. A later failure ends the response visibly incomplete:
 * with an error event, or with a failure body as the last line and a connection cut off. The same holds for a stream
 * that was silent so long that its response began with a heartbeat.
 */
export function writeStream(http: HttpState, reply: FastifyReply, answer: StreamAnswer): void {
  new StreamWriter(http, exchangeOf(reply), answer).start();
}

/**
 * Takes the items of a stream, one per request. An item is read when it is given: it may be the author's own object.
 */
class StreamWriter implements ItemSink {
  readonly takesEncoded = false;
  readonly #http: HttpState;
  readonly #exchange: Exchange;
  readonly #answer: StreamAnswer;
  readonly #writing: StreamWriting;
  #source: ItemSource | undefined;
  #isPulling = false;
  #isAsked = false;
  #isOver = false;

  constructor(http: HttpState, exchange: Exchange, answer: StreamAnswer) {
    this.#http = http;
    this.#exchange = exchange;
    this.#answer = answer;
    this.#writing = new StreamWriting(http, exchange, answer, () => {
      this.#isOver = true;
      this.#source?.stop();
    });
  }

  start(): void {
    this.#source = this.#answer.items.passTo(this);
    this.#pull();
  }

  item(value: unknown, isFresh: boolean): void {
    if (this.#isOver) return;
    try {
      const stream = this.#writing.formFor(value);
      const chunk = this.#encode(value, stream, isFresh);
      if (chunk instanceof Promise) chunk.then((late) => this.#write(late, stream), this.#refuse);
      else this.#write(chunk, stream);
    } catch (error) {
      this.#refuse(error);
    }
  }

  encoded(items: EncodedItems): void {
    unreachable(`items of ${items.text.length} characters were passed on to a client`);
  }

  end(): void {
    if (this.#isOver || this.#exchange.isEnded) return;
    try {
      this.#writing.begin(this.#writing.formFor(undefined), () => this.#writing.end());
      this.#isOver = true;
    } catch (error) {
      this.fail(error);
    }
  }

  fail(error: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { api } = this.#answer;
    const stream = this.#writing.begun;
    if (stream === undefined) writeFailure(this.#http, this.#exchange.reply, error, api);
    else this.#writing.begin(stream, () => this.#writing.fail(toServingError(error, api.service, api.name)));
  }

  #encode(value: unknown, stream: StreamForm, isFresh: boolean): string | Uint8Array | Promise<string> {
    const { toItem, form } = this.#answer;
    const item = toItem === undefined ? value : toItem(value);
    // A stream of plain text or bytes may still hold other values when the api's schema does not say.
    if (stream.isRaw) {
      if (typeof item === "string") return item;
      // Copied unless the bytes are exclusively ours: the client may read slowly.
      if (item instanceof Uint8Array) return isFresh ? item : Buffer.from(item);
    }
    const encoded = encodeJson(item, form);
    if (encoded instanceof Promise) return encoded.then((late) => stream.frame(JSON.stringify(late)));
    return stream.frame(JSON.stringify(encoded));
  }

  #write(chunk: string | Uint8Array, stream: StreamForm): void {
    if (this.#isOver || this.#exchange.isEnded) return;
    this.#writing.begin(stream, () => {
      if (this.#isOver || this.#exchange.isEnded) return;
      if (this.#writing.write(chunk)) this.#pull();
      else this.#writing.whenDrained(() => this.#pull());
    });
  }

  /** Pulls in a loop: items that have already arrived would otherwise nest one call deeper each. */
  #pull(): void {
    this.#isAsked = true;
    if (this.#isPulling) return;
    this.#isPulling = true;
    while (this.#isAsked && !this.#isOver && !this.#exchange.isEnded) {
      this.#isAsked = false;
      this.#source?.pull();
    }
    this.#isPulling = false;
  }

  readonly #refuse = (error: unknown): void => {
    this.fail(error);
    this.#source?.stop();
  };
}

/** The response of one stream. It begins with the first item, or with a heartbeat when that takes long. */
class StreamWriting {
  readonly #http: HttpState;
  readonly #exchange: Exchange;
  readonly #answer: StreamAnswer;
  readonly #watched: HttpStream;
  readonly #response: ServerResponse;
  #stream: StreamForm | undefined;
  /** Writes that follow the head, while the author's hooks run before it. */
  #waiting: (() => void)[] | undefined;
  #hasHead = false;
  /** True when a heartbeat began the response before the api had given an item. */
  #isEarly = false;
  readonly #drop: () => void;

  /** @param drop Called when the response closes before the head of the stream was written. */
  constructor(http: HttpState, exchange: Exchange, answer: StreamAnswer, drop: () => void) {
    this.#drop = drop;
    this.#http = http;
    this.#exchange = exchange;
    this.#answer = answer;
    this.#response = exchange.reply.raw;
    this.#watched = HttpStream.of(http, exchange);
    this.#watched.beat = () => this.#beat();
  }

  /** The form of the stream, once its response has begun. */
  get begun(): StreamForm | undefined {
    return this.#stream;
  }

  /**
   * Returns the form of the stream. When the api's schema does not say, the first item decides.
   *
   * @throws {ServingError} `not_acceptable`.
   */
  formFor(first: unknown): StreamForm {
    const { form, output } = this.#answer;
    return this.#stream ?? streamFormOf(pickOffer(form, streamOffers(output, first)));
  }

  /** Runs `run` once the head is written: the author's `onSend` hooks add their headers first. */
  begin(stream: StreamForm, run: () => void): void {
    if (this.#hasHead) run();
    else if (this.#waiting !== undefined) this.#waiting.push(run);
    else this.#sendHead(stream, run);
  }

  #sendHead(stream: StreamForm, run: () => void): void {
    this.#stream = stream;
    this.#waiting = [run];
    const exchange = this.#exchange;
    const { reply } = exchange;
    reply.header("content-type", stream.contentType).header("cache-control", "no-store");
    // Asks nginx and similar proxies not to hold items back.
    reply.header("x-accel-buffering", "no");
    if (this.#http.isClosing) leaveConnection(reply);
    exchange.addResponse();
    exchange.onHead = () => {
      this.#writeHead();
      const waiting = this.#waiting ?? [];
      this.#waiting = [];
      for (const next of waiting) next();
    };
    reply.send();
    if (this.#hasHead) return;
    // A hook that fails is answered as usual. A hook that never ends is left when its client leaves.
    this.#response.once("close", () => {
      if (!this.#hasHead) this.#drop();
    });
  }

  /** Takes the response from Fastify, which would read the whole stream first, or pipe it and hide a failure. */
  #writeHead(): void {
    const { reply } = this.#exchange;
    this.#hasHead = true;
    reply.hijack();
    this.#response.writeHead(reply.statusCode, reply.getHeaders() as OutgoingHttpHeaders);
  }

  /** @returns True when the client keeps up; otherwise `whenDrained` reports when it does again. */
  write(chunk: string | Uint8Array): boolean {
    if (this.#isEarly) this.#noteLateResponse();
    this.#watched.hasMoved = true;
    this.#watched.hasSent = true;
    if (chunk.length === 0) {
      this.#response.flushHeaders();
      return true;
    }
    this.#exchange.bodyBytes += Buffer.byteLength(chunk);
    return this.#response.write(chunk);
  }

  whenDrained(run: () => void): void {
    const exchange = this.#exchange;
    const response = this.#response;
    exchange.guardWriting(this.#http.settings.bodyTimeoutMs);
    const done = () => {
      response.off("drain", done).off("close", done);
      if (response.writableEnded) return;
      exchange.guardWriting(0);
      run();
    };
    response.on("drain", done).on("close", done);
  }

  end(): void {
    if (this.#isEarly) this.#noteLateResponse();
    this.#response.end();
  }

  fail(failure: ServingError): void {
    const exchange = this.#exchange;
    const stream = this.#stream;
    if (exchange.isEnded || stream === undefined) return;
    exchange.failureId = failure.id;
    const body = formatFailure(createFailureBody(this.#http, failure, exchange.context.id));
    exchange.guardWriting(this.#http.settings.bodyTimeoutMs);
    if (stream.frameFailure !== undefined) this.#response.write(stream.frameFailure(body));
    if (stream.isExplicit) this.#response.end();
    else cutOff(this.#http, this.#response);
  }

  /** Writes a heartbeat, unless the client does not read what it has, or the form is not known yet. */
  #beat(): void {
    const { isEnded } = this.#exchange;
    if (isEnded || needsDrain(this.#response) || this.#response.writableEnded) return;
    const stream = this.#stream ?? this.#knownForm();
    if (stream?.signOfLife === undefined) return;
    const { signOfLife } = stream;
    this.#isEarly ||= this.#stream === undefined;
    this.begin(stream, () => {
      if (!this.#response.writableEnded) this.#response.write(signOfLife);
    });
  }

  /** Logs that the response was on its way before its api set a part of it. */
  #noteLateResponse(): void {
    this.#isEarly = false;
    const { context } = this.#exchange;
    if (context.response === undefined) return;
    const { service, name: api } = this.#answer.api;
    const { heartbeatMs } = this.#http.settings;
    const text = "what the api has set of its response was dropped: the first item came after a heartbeat had begun it";
    this.#http.log.warn({ service, api, requestId: context.id, heartbeatMs }, text);
  }

  #knownForm(): StreamForm | undefined {
    const { output } = this.#answer;
    return Object.keys(output.schema).length > 0 ? this.formFor(undefined) : undefined;
  }
}

/** Sends what was written and closes the connection without the end mark of a complete response. */
function cutOff(http: HttpState, response: ServerResponse): void {
  if (cutStream(response)) return;
  const { socket, req: request } = response;
  if (socket === null) response.destroy();
  // HTTP/1.0 marks the end of a response by closing. Only a reset tells an incomplete response apart.
  else if (request.httpVersion === "1.0") socket.resetAndDestroy();
  // Newer Node versions hold back writes of the same tick until the response is over: they must leave first.
  else process.nextTick(closeAfter, http, request, socket);
}

function closeAfter(http: HttpState, request: IncomingMessage, socket: Socket): void {
  if (request.complete) socket.destroySoon();
  else {
    // Closing a connection with unread bytes resets it, and the written bytes may be lost.
    socket.end();
    discardRest(http.time, request);
  }
}

/** A form in which the items of a stream become bytes. */
interface StreamForm {
  readonly contentType: string;
  /** True when items are sent as they are (text, bytes) instead of as JSON. */
  readonly isRaw: boolean;
  /** Frames one item: JSON text, or the item itself when raw. */
  frame(item: string): string;
  /** Frames a failure for a reader who already has items; `undefined` when the form has no room for it. */
  readonly frameFailure: ((body: string) => string) | undefined;
  /** Heartbeat that readers skip; `undefined` when every byte counts. */
  readonly signOfLife: string | undefined;
  /** True when the response may end normally after a failure, since no reader can miss it. */
  readonly isExplicit: boolean;
}

const utf8 = "; charset=utf-8";
const asIs = (item: string): string => item;

const events: StreamForm = {
  contentType: eventsType + utf8,
  isRaw: false,
  frame: (item) => `data: ${item}\n\n`,
  frameFailure: (body) => `event: error\ndata: ${body}\n\n`,
  signOfLife: ": \n\n",
  isExplicit: true,
};
const lines: StreamForm = {
  contentType: linesType + utf8,
  isRaw: false,
  frame: (item) => `${item}\n`,
  frameFailure: (body) => `${body}\n`,
  signOfLife: "\n",
  isExplicit: false,
};
const text: StreamForm = {
  contentType: textType + utf8,
  isRaw: true,
  frame: asIs,
  frameFailure: undefined,
  signOfLife: undefined,
  isExplicit: false,
};
const bytes: StreamForm = { ...text, contentType: bytesType };

const forms: ReadonlyMap<string, StreamForm> = new Map([
  [eventsType, events],
  [linesType, lines],
  [textType, text],
  [bytesType, bytes],
]);

/** Returns the form for a media type that `streamOffers` listed. */
const streamFormOf = (mediaType: string): StreamForm => forms.get(mediaType) ?? lines;

/**
 * Returns the media types that a stream may be written as, the default first. When the api's schema does not say, the
 * first item decides.
 */
function streamOffers({ schema, offers }: OutputForm, first: unknown): readonly string[] {
  if (Object.keys(schema).length > 0) return offers;
  if (typeof first === "string") return [textType, linesType, eventsType];
  if (first instanceof Uint8Array) return [bytesType, linesType, eventsType];
  return [linesType, eventsType];
}
