import { fail } from "../failure/fail.js";
import type { ServingError } from "../failure/serving-error.js";
import { type CallBounds, CallLimit, type CallPlace } from "./call-limit.js";
import type { ClientCallOptions } from "./client-type.js";
import { createFailure } from "./read-failure.js";
import { unhurriedInit } from "./unhurried.js";

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
    setBy: call.timeoutMs === undefined ? "timeoutMs of connect()" : "timeoutMs of this call",
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
 * @throws {ServingError} `connect_failed`, `connection_lost`, `fetch_timeout`; the failure the server answered with; why the limit ended the call.
 */
export async function sendRequest(endpoint: Endpoint, limit: CallLimit, sending: Sending): Promise<Response> {
  const { method, path, body, place } = sending;
  const url = endpoint.base + path;
  const headers = new Headers(endpoint.options.headers);
  for (const [name, value] of Object.entries(sending.callHeaders ?? {})) headers.set(name, value);
  for (const [name, value] of Object.entries(sending.headers)) headers.set(name, value);
  const { remainingMs } = limit;
  if (remainingMs !== undefined) headers.set("ekiben-timeout-ms", String(remainingMs));
  const own = endpoint.options.fetch;
  const send = own ?? globalThis.fetch;
  const duplex = body instanceof ReadableStream ? { duplex: "half" as const } : undefined;
  // A redirect would take the headers of the caller, and perhaps its input, to another place than it named.
  const init = {
    method,
    headers,
    signal: limit.signal,
    redirect: "manual" as const,
    ...(body !== undefined && { body }),
    ...duplex,
    ...(own === undefined && unhurriedInit()),
  };
  let response: Response;
  try {
    response = await limit.guard(send(url, init));
  } catch (cause) {
    throw limit.reason ?? describeRejection(url, cause, place);
  }
  if (response.ok) return response;
  if (isRedirect(response)) throw fail("connect_failed", { url, problem: describeRedirect(response) }, place);
  throw createFailure(response, url, await readText(response, limit, url));
}

/** A page is told no more of a redirect than that it is one. */
const isRedirect = ({ type, status }: Response): boolean =>
  type === "opaqueredirect" || [301, 302, 303, 307, 308].includes(status);

function describeRedirect({ headers }: Response): string {
  const location = headers.get("location");
  return `it redirects${location === null ? "" : ` to ${location}`}, which the client does not follow; name the address itself`;
}

/**
 * The whole body of a response as text.
 *
 * @throws {ServingError} `connection_lost` when it is cut off; why the limit ended the call.
 */
export async function readText(response: Response, limit: CallLimit, url: string): Promise<string> {
  try {
    return await limit.guard(response.text());
  } catch (cause) {
    throw limit.reason ?? cutOff(url, cause);
  }
}

/** Why `fetch` gave no response: a server that can't be reached, one that was and is gone, or a limit of `fetch` itself. */
function describeRejection(url: string, cause: unknown, place: CallPlace): ServingError {
  const code = codeOf(cause);
  const details = { url, problem: describeCause(cause) };
  if (isTimeout(code)) return fail("fetch_timeout", details, { ...place, cause });
  const isLost = code === "ECONNRESET" || code === "EPIPE" || code === "UND_ERR_SOCKET";
  return fail(isLost ? "connection_lost" : "connect_failed", details, { ...place, cause });
}

/** Why a body ended before its end. */
export const cutOff = (url: string, cause?: unknown): ServingError => {
  if (isTimeout(codeOf(cause))) return fail("fetch_timeout", { url, problem: describeCause(cause) }, { cause });
  const problem = cause === undefined ? "the answer was cut off" : `the answer was cut off: ${describeCause(cause)}`;
  return fail("connection_lost", { url, problem }, { cause });
};

const isTimeout = (code: unknown): boolean => code === "UND_ERR_HEADERS_TIMEOUT" || code === "UND_ERR_BODY_TIMEOUT";

/** Node's own code of what went wrong; browsers give none. */
function codeOf(error: unknown): unknown {
  const { cause, code } = (error ?? {}) as { cause?: { code?: unknown } | null; code?: unknown };
  return cause?.code ?? code;
}

/** What fetch says is in its error's cause: "fetch failed" tells nobody anything. */
function describeCause(error: unknown): string {
  const { cause } = error as { cause?: { message?: string; code?: string } };
  return cause?.message || cause?.code || (error instanceof Error ? error.message : String(error));
}
