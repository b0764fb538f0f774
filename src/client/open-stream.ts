import { leavable } from "../base/follow-states.js";
import { fail } from "../failure/client-failures.js";
import { holdInput, type PreparedCall, parseValue, placeOf, prepareCall } from "./call-api.js";
import type { CallLimit } from "./call-limit.js";
import type { ClientCallOptions } from "./client-type.js";
import { createLimit, cutOff, type Endpoint, parseFailure, type RemoteApi, sendRequest } from "./endpoint.js";
import { repeatCall } from "./repeat-call.js";

/** Names JSON too: a failure before the first item comes in that form. */
const accept = "text/event-stream, application/json; tensors=base64; q=0.5";

/**
 * Opens a stream of an api over HTTP. The request is made when the first item is asked for. The stream can be read
 * once.
 *
 * Leaving the loop early ends the request, which cancels the call on the server. A stream that ends without an error
 * has been received whole.
 *
 * @throws {ServingError} from `next()`: the failure that the server answered with, at the start or later;
 *   `connect_failed`, `connection_lost` when it is cut off, `deadline_exceeded`, `cancelled`, `not_transferable`.
 */
export function openStream(
  endpoint: Endpoint,
  api: RemoteApi,
  given: unknown,
  options: ClientCallOptions = {},
): AsyncIterableIterator<unknown> {
  const input = holdInput(given);
  const items = readInCall(endpoint, api, options, async function* (limit) {
    let call: PreparedCall | undefined;
    try {
      const { sending, ...rules } = (call = await prepareCall(endpoint, limit, { api, input, options, accept }));
      // A stream whose items have begun is not repeated.
      const response = await repeatCall(() => sendRequest(endpoint, limit, sending), rules);
      const url = endpoint.base + api.route;
      for await (const event of readEvents(response, limit, url)) yield readItem(event, api, url);
    } finally {
      call?.upload?.stop();
    }
  });
  let isRead = false;
  return {
    ...items,
    [Symbol.asyncIterator]() {
      if (isRead)
        throw fail("stream_used_twice", { stream: `the stream of ${api.name}`, first: "read", second: "read" });
      isRead = true;
      return this;
    },
  };
}

/** Reads items in a call that begins with the first item, and ends with the last or when its reader leaves. */
export function readInCall<T>(
  endpoint: Endpoint,
  api: RemoteApi,
  options: ClientCallOptions | undefined,
  read: (limit: CallLimit) => AsyncGenerator<T, void, undefined>,
): AsyncIterableIterator<T, void, undefined> {
  let limit: CallLimit | undefined;
  async function* run(): AsyncGenerator<T, void, undefined> {
    // Its time begins with its first item, also where the call had waited for the apis.
    limit = createLimit(endpoint, placeOf(api), { ...options, startedAt: performance.now() });
    try {
      yield* read(limit);
    } finally {
      limit.abandon();
    }
  }
  return leavable(run(), () => limit?.abandon());
}

/** Reads the events of a response. @throws {ServingError} `invalid_response`, `connection_lost`; the limit's reason. */
export async function* readEvents(response: Response, limit: CallLimit, url: string): AsyncGenerator<StreamEvent> {
  const contentType = response.headers.get("content-type") ?? "";
  if (response.body === null || !contentType.startsWith("text/event-stream")) {
    throw fail("invalid_response", { url, problem: `a stream came as ${contentType || "no content-type"}` });
  }
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const body: ResponseBodyReader = { reader, decoder: new TextDecoder("utf-8", { fatal: true }) };
  const parser = new EventParser();
  try {
    for (let isDone = false; !isDone; ) {
      const piece = await readPiece(body, limit, url);
      isDone = piece.isDone;
      yield* parser.add(piece.text);
    }
  } finally {
    void reader.cancel().catch(() => {});
  }
  if (parser.isInside) throw cutOff(url);
}

interface ResponseBodyReader {
  readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  /** Keeps the first bytes of a character until the rest arrives. */
  readonly decoder: InstanceType<typeof TextDecoder>;
}

async function readPiece({ reader, decoder }: ResponseBodyReader, limit: CallLimit, url: string) {
  let piece: Awaited<ReturnType<typeof reader.read>>;
  try {
    piece = await limit.guard(reader.read());
  } catch (cause) {
    throw limit.reason ?? cutOff(url, cause);
  }
  const { done, value } = piece;
  try {
    return { isDone: done, text: decoder.decode(value, { stream: !done }) };
  } catch (cause) {
    // A stream that ends inside a character may simply have been cut off.
    if (done) throw cutOff(url);
    throw fail("invalid_response", { url, problem: "it is not UTF-8" }, { cause });
  }
}

function readItem(event: StreamEvent, api: RemoteApi, url: string): unknown {
  return parseValue(readEvent(event, url), api, url);
}

/** Returns the text of an event. @throws {ServingError} the failure that an error event has. */
export function readEvent({ name, data }: StreamEvent, url: string): string {
  if (name !== "error") return data;
  const origin = { url, status: 200, requestId: "" };
  throw parseFailure(data, origin) ?? fail("invalid_response", { url, problem: `an error event says ${data}` });
}

/**
 * One event of a `text/event-stream`
 * (https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream).
 */
interface StreamEvent {
  /** `"message"` when the server named none. */
  readonly name: string;
  readonly data: string;
}

/** Assembles events from pieces of text that begin and end anywhere. */
export class EventParser {
  #rest = "";
  #name = "";
  #data: string[] = [];

  /** True when an event has begun and its end has not arrived. */
  get isInside(): boolean {
    return this.#rest !== "" || this.#data.length > 0 || this.#name !== "";
  }

  /** Adds a piece of text. Returns the events that end in it. */
  add(piece: string): StreamEvent[] {
    const end = piece.lastIndexOf("\n");
    if (end < 0) {
      this.#rest += piece;
      return [];
    }
    const lines = (this.#rest + piece.slice(0, end)).split("\n");
    this.#rest = piece.slice(end + 1);
    const events: StreamEvent[] = [];
    for (const line of lines) {
      const text = line.endsWith("\r") ? line.slice(0, -1) : line;
      if (text !== "") this.#addLine(text);
      else if (this.#data.length > 0) events.push(this.#take());
      else this.#name = "";
    }
    return events;
  }

  #addLine(line: string): void {
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#name = value;
  }

  #take(): StreamEvent {
    const event = { name: this.#name || "message", data: this.#data.join("\n") };
    this.#name = "";
    this.#data = [];
    return event;
  }
}
