import { fail } from "../failure/fail.js";
import { type CallBounds, CallLimit, type CallPlace } from "./call-limit.js";
import type { ClientCallOptions } from "./client-type.js";
import { createFailure } from "./read-failure.js";

/** What `connect()` may be told. */
export interface ConnectOptions {
  /** Time for reading the schema, and for each call that says nothing else, in milliseconds. Default: none. */
  readonly timeoutMs?: number;
  /** Sent with every request, e.g. `{ authorization: "Bearer …" }`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Used for every request. Default: the platform's own. */
  readonly fetch?: typeof globalThis.fetch;
  /** Cancels connecting and, later, every call of the client. */
  readonly signal?: AbortSignal;
}

/** A server and how to reach it. */
export interface Endpoint {
  /** Without a slash at its end. */
  readonly base: string;
  readonly options: ConnectOptions;
}

/** @throws {ServingError} `connect_failed` for what is no http URL. In a browser a path is one, of the page's own server. */
export function createEndpoint(url: string | URL, options: ConnectOptions): Endpoint {
  const page = (globalThis as { location?: { href: string } }).location?.href;
  let parsed: URL;
  try {
    parsed = new URL(url, page);
  } catch (cause) {
    throw fail("connect_failed", { url: String(url), problem: "that is not a URL" }, { cause });
  }
  if (parsed.protocol !== "http:" && parsed.protocol !== "https:") {
    throw fail("connect_failed", { url: String(url), problem: `${parsed.protocol} is neither http: nor https:` });
  }
  return { base: parsed.origin + parsed.pathname.replace(/\/+$/, ""), options };
}

/** The limit of one call at an endpoint. */
export function createLimit({ options }: Endpoint, place: CallPlace, call: ClientCallOptions = {}): CallLimit {
  const bounds: CallBounds = {
    timeoutMs: call.timeoutMs ?? options.timeoutMs,
    signals: [options.signal, call.signal],
    place,
  };
  return new CallLimit(bounds);
}

/** One request to an endpoint. */
export interface Sending {
  readonly method: "GET" | "POST" | "PUT";
  /** Begins with a slash. */
  readonly path: string;
  /** Of the client itself; they win over those of the caller. */
  readonly headers: Readonly<Record<string, string>>;
  readonly callHeaders?: Readonly<Record<string, string>> | undefined;
  readonly body?: string | Blob | FormData | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | undefined;
  readonly place: CallPlace;
}

/**
 * Sends a request and gives its response when that is a success.
 *
 * @throws {ServingError} `connect_failed`; the failure the server answered with; why the limit ended the call.
 */
export async function sendRequest(endpoint: Endpoint, limit: CallLimit, sending: Sending): Promise<Response> {
  const { method, path, body, place } = sending;
  const url = endpoint.base + path;
  const headers = new Headers(endpoint.options.headers);
  for (const [name, value] of Object.entries(sending.callHeaders ?? {})) headers.set(name, value);
  for (const [name, value] of Object.entries(sending.headers)) headers.set(name, value);
  const { remainingMs } = limit;
  if (remainingMs !== undefined) headers.set("ekiben-timeout-ms", String(remainingMs));
  const send = endpoint.options.fetch ?? globalThis.fetch;
  const duplex = body instanceof ReadableStream ? { duplex: "half" as const } : undefined;
  const init = { method, headers, signal: limit.signal, ...(body !== undefined && { body }), ...duplex };
  let response: Response;
  try {
    response = await limit.guard(send(url, init));
  } catch (cause) {
    throw limit.reason ?? fail("connect_failed", { url, problem: describeCause(cause) }, { ...place, cause });
  }
  if (response.ok) return response;
  throw createFailure(response, url, await readText(response, limit, url));
}

/**
 * The whole body of a response as text.
 *
 * @throws {ServingError} `invalid_response` when it is cut off; why the limit ended the call.
 */
export async function readText(response: Response, limit: CallLimit, url: string): Promise<string> {
  try {
    return await limit.guard(response.text());
  } catch (cause) {
    throw limit.reason ?? cutOff(url, cause);
  }
}

/** A body that ended before its end. */
export const cutOff = (url: string, cause?: unknown) => {
  const problem = cause === undefined ? "the answer was cut off" : `the answer was cut off: ${describeCause(cause)}`;
  return fail("invalid_response", { url, problem }, { cause });
};

/** What fetch says is in its error's cause: "fetch failed" tells nobody anything. */
function describeCause(error: unknown): string {
  const { cause } = error as { cause?: { message?: string; code?: string } };
  return cause?.message || cause?.code || (error instanceof Error ? error.message : String(error));
}
