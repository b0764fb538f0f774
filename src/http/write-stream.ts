import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { FastifyReply } from "fastify";
import type { ServingError } from "../failure/serving-error.js";
import { toServingError } from "../failure/to-serving-error.js";
import type { Edge } from "./edge.js";
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
 * takes it for complete: with an error event, or with a last line that is a failure body and a connection cut off.
 */
export async function writeStream(edge: Edge, reply: FastifyReply, answer: StreamAnswer): Promise<void> {
  const { items, form, output, api } = answer;
  const exchange = exchangeOf(reply);
  try {
    const first = await items.next();
    const offers = streamOffers(output, first.done === true ? undefined : first.value);
    const stream = streamFormOf(pickOffer(form, offers));
    const chunk = first.done === true ? "" : await encodeItem(first.value, stream, form);
    if (exchange.isEnded) return;
    const response = beginResponse(edge, reply, stream);
    try {
      await writeChunk(edge, exchange, response, chunk);
      for (let step = first; step.done !== true && !exchange.isEnded; ) {
        step = await items.next();
        if (step.done !== true) await writeChunk(edge, exchange, response, await encodeItem(step.value, stream, form));
      }
      response.end();
    } catch (error) {
      endFailed(edge, exchange, { response, stream, failure: toServingError(error, api.service, api.name) });
    }
  } finally {
    await items.return?.();
  }
}

/** The response is Fastify's no longer: it would read the whole stream, or pipe it without a word on failure. */
function beginResponse(edge: Edge, reply: FastifyReply, { contentType }: StreamForm): ServerResponse {
  reply.hijack();
  reply.raw.writeHead(200, {
    ...(reply.getHeaders() as OutgoingHttpHeaders),
    "content-type": contentType,
    "cache-control": "no-store",
    // Asks nginx and its like not to hold items back.
    "x-accel-buffering": "no",
    ...(edge.isClosing && { connection: "close" }),
  });
  return reply.raw;
}

async function encodeItem(item: unknown, stream: StreamForm, form: AnswerForm): Promise<string | Uint8Array> {
  // A plain stream of an api whose schema says nothing may still hold other values.
  if (stream.isRaw && (typeof item === "string" || item instanceof Uint8Array)) return item;
  return stream.frame(JSON.stringify(await encodeJson(item, form)));
}

async function writeChunk(edge: Edge, exchange: Exchange, response: ServerResponse, chunk: string | Uint8Array) {
  if (exchange.isEnded) return;
  if (chunk.length === 0) {
    response.flushHeaders();
    return;
  }
  exchange.bodyBytes += Buffer.byteLength(chunk);
  if (response.write(chunk)) return;
  exchange.guardWriting(edge.settings.bodyTimeoutMs);
  await new Promise<void>((resolve) => {
    const done = () => {
      response.off("drain", done).off("close", done);
      resolve();
    };
    response.on("drain", done).on("close", done);
  });
  exchange.guardWriting(0);
}

interface FailedStream {
  readonly response: ServerResponse;
  readonly stream: StreamForm;
  readonly failure: ServingError;
}

function endFailed(edge: Edge, exchange: Exchange, { response, stream, failure }: FailedStream): void {
  if (exchange.isEnded) return;
  exchange.failureId = failure.id;
  const body = formatFailure(createFailureBody(edge, failure, exchange.context.id));
  exchange.guardWriting(edge.settings.bodyTimeoutMs);
  if (stream.frameFailure !== undefined) response.write(stream.frameFailure(body));
  if (stream.isExplicit) response.end();
  else cutOff(response);
}

/** Sends what was written and closes the connection without the end that a complete response has. */
function cutOff(response: ServerResponse): void {
  const { socket } = response;
  if (socket === null) response.destroy();
  // HTTP/1.0 knows no other end than the connection's: only a reset tells it from a complete response.
  else if (response.req.httpVersion === "1.0") socket.resetAndDestroy();
  else socket.destroySoon();
}
