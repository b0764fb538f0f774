import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { FastifyReply } from "fastify";
import type { ServingError } from "../failure/serving-error.js";
import { toServingError } from "../failure/to-serving-error.js";
import { discardRest } from "./discard-rest.js";
import type { Edge } from "./edge.js";
import { EdgeStream } from "./edge-stream.js";
import { encodeJson } from "./encode-json.js";
import { type Exchange, exchangeOf } from "./exchange.js";
import { type AnswerForm, type OutputForm, pickOffer } from "./output-form.js";
import { type StreamForm, streamFormOf, streamOffers } from "./stream-form.js";
import { createFailureBody, type FailedApi, formatFailure } from "./write-failure.js";

/** What one stream is written as. */
export interface StreamAnswer {
  readonly items: AsyncIterableIterator<unknown>;
  readonly form: AnswerForm;
  readonly output: OutputForm;
  readonly api: FailedApi;
}

/**
 * Answers a request with the items of a stream: each is sent as soon as it is there, and the next asked for only when the
 * client keeps up.
 *
 * A failure before the first item is thrown and becomes an ordinary response. A later one ends the response so that nobody
 * takes it for complete: with an error event, or with a last line that is a failure body and a connection cut off. So does
 * one of a stream that was silent for so long that its response had to begin with a sign of life.
 */
export async function writeStream(edge: Edge, reply: FastifyReply, answer: StreamAnswer): Promise<void> {
  const { items, form, api } = answer;
  const exchange = exchangeOf(reply);
  const writing = new StreamWriting(edge, exchange, answer);
  try {
    for (;;) {
      const step = await items.next();
      const stream = writing.formFor(step.done === true ? undefined : step.value);
      const chunk = step.done === true ? "" : await encodeItem(step.value, stream, form);
      if (exchange.isEnded) return;
      writing.begin(stream);
      if (step.done === true) break;
      await writing.write(chunk);
    }
    writing.end();
  } catch (error) {
    if (!writing.hasBegun) throw error;
    writing.fail(toServingError(error, api.service, api.name));
  } finally {
    await items.return?.();
  }
}

async function encodeItem(item: unknown, stream: StreamForm, form: AnswerForm): Promise<string | Uint8Array> {
  // A plain stream of an api whose schema says nothing may still hold other values.
  if (stream.isRaw && (typeof item === "string" || item instanceof Uint8Array)) return item;
  return stream.frame(JSON.stringify(await encodeJson(item, form)));
}

/** The response of one stream: begins with its first item, or with a sign of life where that is long in coming. */
class StreamWriting {
  readonly #edge: Edge;
  readonly #exchange: Exchange;
  readonly #answer: StreamAnswer;
  readonly #watched: EdgeStream;
  readonly #response: ServerResponse;
  #stream: StreamForm | undefined;

  constructor(edge: Edge, exchange: Exchange, answer: StreamAnswer) {
    this.#edge = edge;
    this.#exchange = exchange;
    this.#answer = answer;
    this.#response = exchange.reply.raw;
    this.#watched = EdgeStream.of(edge, exchange);
    this.#watched.beat = () => this.#beat();
  }

  get hasBegun(): boolean {
    return this.#stream !== undefined;
  }

  /** How the stream is written; an api whose schema says nothing is told by its first item. @throws {ServingError} `not_acceptable`. */
  formFor(first: unknown): StreamForm {
    const { form, output } = this.#answer;
    return this.#stream ?? streamFormOf(pickOffer(form, streamOffers(output, first)));
  }

  /** The response is Fastify's no longer: it would read the whole stream, or pipe it without a word on failure. */
  begin(stream: StreamForm): void {
    if (this.#stream !== undefined) return;
    this.#stream = stream;
    const { reply } = this.#exchange;
    reply.hijack();
    this.#response.writeHead(200, {
      ...(reply.getHeaders() as OutgoingHttpHeaders),
      "content-type": stream.contentType,
      "cache-control": "no-store",
      // Asks nginx and its like not to hold items back.
      "x-accel-buffering": "no",
      ...(this.#edge.isClosing && { connection: "close" }),
    });
  }

  async write(chunk: string | Uint8Array): Promise<void> {
    const exchange = this.#exchange;
    const response = this.#response;
    this.#watched.hasMoved = true;
    this.#watched.hasSent = true;
    if (chunk.length === 0) {
      response.flushHeaders();
      return;
    }
    exchange.bodyBytes += Buffer.byteLength(chunk);
    if (response.write(chunk)) return;
    exchange.guardWriting(this.#edge.settings.bodyTimeoutMs);
    await new Promise<void>((resolve) => {
      const done = () => {
        response.off("drain", done).off("close", done);
        resolve();
      };
      response.on("drain", done).on("close", done);
    });
    exchange.guardWriting(0);
  }

  end(): void {
    this.#response.end();
  }

  fail(failure: ServingError): void {
    const exchange = this.#exchange;
    const stream = this.#stream;
    if (exchange.isEnded || stream === undefined) return;
    exchange.failureId = failure.id;
    const body = formatFailure(createFailureBody(this.#edge, failure, exchange.context.id));
    exchange.guardWriting(this.#edge.settings.bodyTimeoutMs);
    if (stream.frameFailure !== undefined) this.#response.write(stream.frameFailure(body));
    if (stream.isExplicit) this.#response.end();
    else cutOff(this.#edge, this.#response);
  }

  /** Nothing is written to a client that does not read what it has, or before the form is known. */
  #beat(): void {
    const { isEnded } = this.#exchange;
    if (isEnded || this.#response.writableNeedDrain || this.#response.writableEnded) return;
    const stream = this.#stream ?? this.#knownForm();
    if (stream?.signOfLife === undefined) return;
    this.begin(stream);
    this.#response.write(stream.signOfLife);
  }

  #knownForm(): StreamForm | undefined {
    const { output } = this.#answer;
    return Object.keys(output.schema).length > 0 ? this.formFor(undefined) : undefined;
  }
}

/** Sends what was written and closes the connection without the end that a complete response has. */
function cutOff(edge: Edge, response: ServerResponse): void {
  const { socket, req: request } = response;
  if (socket === null) response.destroy();
  // HTTP/1.0 knows no other end than the connection's: only a reset tells it from a complete response.
  else if (request.httpVersion === "1.0") socket.resetAndDestroy();
  else if (request.complete) socket.destroySoon();
  else {
    // A connection that is closed with unread bytes is reset, and what was written may be lost.
    socket.end();
    discardRest(edge.time, request);
  }
}
