import type { ApiKind } from "../define/handle-type.js";
import type { JsonSchema } from "../define/schema.js";
import { fail } from "../failure/client-failures.js";
import { type Code, isCode, ServingError } from "../failure/serving-error.js";
import { type CallBounds, CallLimit, type CallPlace } from "./call-limit.js";
import type { ClientCallOptions } from "./client-type.js";

/** Options of `connect()` and `client()`. */
export interface ConnectOptions {
  /** Time for reading the schema, and for each call without its own, in milliseconds. Default: none. */
  readonly timeoutMs?: number;
  /** Headers sent with every request, e.g. `{ authorization: "Bearer …" }`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Used for every request. Default: the platform's own. */
  readonly fetch?: typeof globalThis.fetch;
  /** Cancels connecting and, later, every call of the client. */
  readonly signal?: AbortSignal;
  /**
   * Most further attempts of a call after a failure that allows one: the server refused it before it began, or the api
   * is idempotent and the call was lost. The pause is the one that the server asks for. Default: 0.
   */
  readonly retries?: number;
}

/** A server, and the options for requests to it. */
export interface Endpoint {
  /** Address without a slash at its end. */
  readonly base: string;
  readonly options: ConnectOptions;
}

/**
 * Parses the address of a server. A browser also accepts a path, on the server of the page.
 *
 * @throws {ServingError} `connect_failed` for an address that is no http URL.
 */
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

/** Options of a call that has waited for its client to connect. */
export interface StartedOptions extends ClientCallOptions {
  /** Reading of `performance.now()` when the call was made. */
  readonly startedAt?: number;
}

/** Creates the limit of one call at an endpoint. */
export function createLimit(
  { options }: Pick<Endpoint, "options">,
  place: CallPlace,
  call: StartedOptions = {},
): CallLimit {
  const bounds: CallBounds = {
    timeoutMs: call.timeoutMs ?? options.timeoutMs,
    setBy: call.timeoutMs === undefined ? "timeoutMs of connect()" : "timeoutMs of this call",
    startedAt: call.startedAt,
    signals: [options.signal, call.signal],
    place,
  };
  return new CallLimit(bounds);
}

/** Returns the number of further attempts that a call may make. */
export const retriesOf = ({ options }: Endpoint, call: ClientCallOptions = {}): number =>
  call.retries ?? options.retries ?? 0;

/** One request to an endpoint. */
export interface Sending {
  readonly method: "GET" | "POST" | "PUT";
  /** Begins with a slash. */
  readonly path: string;
  /** Headers of the client itself; they replace the caller's headers. */
  readonly headers: Readonly<Record<string, string>>;
  readonly callHeaders?: Readonly<Record<string, string>> | undefined;
  readonly body?: string | Blob | FormData | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | undefined;
  readonly keepalive?: boolean | undefined;
  readonly place: CallPlace;
}

/**
 * Sends a request and returns its response when that is a success.
 *
 * @throws {ServingError} `connect_failed`, `connection_lost`, `fetch_timeout`; the failure that the server answered
 *   with; the reason with which the limit ended the call.
 */
export async function sendRequest(endpoint: Endpoint, limit: CallLimit, sending: Sending): Promise<Response> {
  const { method, path, body, place, keepalive } = sending;
  const url = endpoint.base + path;
  const headers = new Headers(endpoint.options.headers);
  for (const [name, value] of Object.entries(sending.callHeaders ?? {})) headers.set(name, value);
  for (const [name, value] of Object.entries(sending.headers)) headers.set(name, value);
  const { remainingMs } = limit;
  if (remainingMs !== undefined) headers.set("ekiben-timeout-ms", String(remainingMs));
  const own = endpoint.options.fetch;
  const send = own ?? globalThis.fetch;
  const duplex = body instanceof ReadableStream ? { duplex: "half" as const } : undefined;
  // A redirect would send the caller's headers, and perhaps the input, to an address the caller did not name.
  const init = {
    method,
    headers,
    signal: limit.signal,
    redirect: "manual" as const,
    ...(body !== undefined && { body }),
    ...(keepalive === true && { keepalive }),
    ...duplex,
    ...(own === undefined && unhurriedInit()),
  };
  let response: Response;
  try {
    response = await limit.guard(send(url, init));
  } catch (cause) {
    throw limit.reason ?? createRejection(url, cause, place);
  }
  if (response.ok) return response;
  if (isRedirect(response)) throw fail("connect_failed", { url, problem: formatRedirect(response) }, place);
  throw createFailure(response, url, await readText(response, limit, url));
}

/** True for a redirect. A page sees only that there was one. */
const isRedirect = ({ type, status }: Response): boolean =>
  type === "opaqueredirect" || [301, 302, 303, 307, 308].includes(status);

function formatRedirect({ headers }: Response): string {
  const location = headers.get("location");
  return `it redirects${location === null ? "" : ` to ${location}`}, which the client does not follow; name the address itself`;
}

/**
 * Reads the whole body of a response as text.
 *
 * @throws {ServingError} `connection_lost` when it is cut off; the reason with which the limit ended the call.
 */
export async function readText(response: Response, limit: CallLimit, url: string): Promise<string> {
  try {
    return await limit.guard(response.text());
  } catch (cause) {
    throw limit.reason ?? cutOff(url, cause);
  }
}

/**
 * Creates the failure for a `fetch` without a response: the server can't be reached, went away, or `fetch` hit a
 * limit of its own.
 */
function createRejection(url: string, cause: unknown, place: CallPlace): ServingError {
  const code = codeOf(cause);
  const details = { url, problem: formatCause(cause) };
  if (isTimeout(code)) return fail("fetch_timeout", details, { ...place, cause });
  const isLost = code === "ECONNRESET" || code === "EPIPE" || code === "UND_ERR_SOCKET";
  return fail(isLost ? "connection_lost" : "connect_failed", details, { ...place, cause });
}

/** Creates the failure for a body that was cut off. */
export const cutOff = (url: string, cause?: unknown): ServingError => {
  if (isTimeout(codeOf(cause))) return fail("fetch_timeout", { url, problem: formatCause(cause) }, { cause });
  const problem = cause === undefined ? "the answer was cut off" : `the answer was cut off: ${formatCause(cause)}`;
  return fail("connection_lost", { url, problem }, { cause });
};

const isTimeout = (code: unknown): boolean => code === "UND_ERR_HEADERS_TIMEOUT" || code === "UND_ERR_BODY_TIMEOUT";

/** Returns Node's error code; browsers give none. */
export function codeOf(error: unknown): unknown {
  const { cause, code } = (error ?? {}) as { cause?: { code?: unknown } | null; code?: unknown };
  return cause?.code ?? code;
}

/** Describes an error by its cause: the message of `fetch` itself is only "fetch failed". */
function formatCause(error: unknown): string {
  const { cause } = error as { cause?: { message?: string; code?: string } };
  return cause?.message || cause?.code || (error instanceof Error ? error.message : String(error));
}

/** The used part of the object that Node's `fetch` passes requests to. */
interface Dispatcher {
  dispatch(options: object, handler: unknown): boolean;
}

/**
 * Returns the dispatcher that Node's `fetch` uses; `undefined` on other platforms. Since undici 8 (Node 26) it stands
 * under a second key. Undici 7.29 (Node 24.21) fills both, and uses the first.
 */
function readGlobal(): Dispatcher | undefined {
  const all = globalThis as {
    readonly process?: { readonly versions?: { readonly undici?: string } };
    readonly [key: symbol]: Dispatcher | undefined;
  };
  const key = Number.parseInt(all.process?.versions?.undici ?? "", 10) >= 8 ? 2 : 1;
  return all[Symbol.for(`undici.globalDispatcher.${key}`)];
}

/**
 * Options against the limits of Node's `fetch`, which gives up after 300 s without headers, and after 300 s without a
 * byte of the body.
 */
const withoutLimits = { headersTimeout: 0, bodyTimeout: 0 };

const unhurried: Dispatcher = {
  dispatch: (options, handler) => readGlobal()?.dispatch({ ...options, ...withoutLimits }, handler) ?? false,
};

/**
 * Returns options for a `fetch` without time limits of its own. In Node this is a dispatcher that passes each request
 * to the program's dispatcher, such as a proxy's, without limits. Other platforms have no such limit and get no
 * option.
 */
function unhurriedInit(): Pick<RequestInit, never> {
  const init: { readonly dispatcher?: object } = readGlobal() === undefined ? {} : { dispatcher: unhurried };
  return init as Pick<RequestInit, never>;
}

/** One api of a server, as `/schema.json` describes it. */
export interface RemoteApi {
  /** Name of the entry service. */
  readonly service: string;
  readonly name: string;
  /** HTTP path. */
  readonly route: string;
  readonly kind: ApiKind;
  /** True when running the api twice for one call does no harm. */
  readonly isIdempotent: boolean;
  /** Content types that the items of a streamed input may be sent as. */
  readonly uploads: readonly string[];
  /** Paths of files in the input that a form can carry as parts. */
  readonly filePaths: readonly string[];
  /** Schema of the output, or of one item of a stream. */
  readonly output: JsonSchema;
}

/**
 * Asks a server for its apis.
 *
 * @throws {ServingError} `connect_failed`, `invalid_response`, `deadline_exceeded`, `cancelled`; the failure that the
 *   server answers with.
 */
export async function readRoutes(endpoint: Endpoint, limit: CallLimit): Promise<readonly RemoteApi[]> {
  const url = endpoint.base + schemaPath;
  const place = { service: url, api: "" };
  const headers = { accept: "application/json" };
  const response = await sendRequest(endpoint, limit, { method: "GET", path: schemaPath, headers, place });
  return parseRoutes(await readText(response, limit, url), url);
}

/** Path of the list of apis. */
export const schemaPath = "/schema.json";

function parseRoutes(text: string, url: string): RemoteApi[] {
  const refuse = (problem: string): ServingError => fail("invalid_response", { url, problem });
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw refuse("its schema is not JSON");
  }
  const { name, routes } = (document ?? {}) as { name?: unknown; routes?: unknown };
  if (typeof name !== "string" || !Array.isArray(routes)) throw refuse("its schema names no service and routes");
  return routes.flatMap((entry: unknown) => {
    const api = (entry ?? {}) as { [K in keyof RemoteApi]?: unknown };
    if (typeof api.name !== "string" || typeof api.route !== "string" || !api.route.startsWith("/")) {
      throw refuse("its schema has a route without name and path");
    }
    // A newer server may have kinds of api that this client can't call. The others work.
    if (api.kind !== "unary" && api.kind !== "stream" && api.kind !== "task") return [];
    const output = typeof api.output === "object" && api.output !== null ? (api.output as JsonSchema) : {};
    const { input, idempotent, file_paths: paths } = entry as Readonly<Record<string, unknown>>;
    const uploads = readUploads(input);
    const filePaths = Array.isArray(paths) ? paths.filter((path) => typeof path === "string") : [];
    const { name: own, route, kind } = api;
    return [{ service: name, name: own, route, kind, isIdempotent: idempotent === true, uploads, filePaths, output }];
  });
}

function readUploads(input: unknown): string[] {
  const { is_stream: isStream, media_types: types } = (input ?? {}) as { is_stream?: unknown; media_types?: unknown };
  return isStream === true && Array.isArray(types) ? types.filter((type) => typeof type === "string") : [];
}

/** Origin of a failure: the `cause` of a ServingError that a server answered with. */
export interface FailureOrigin {
  readonly url: string;
  readonly status: number;
  /** Also in the server's access log; `""` for an answer that is not ekiben's. */
  readonly requestId: string;
  /** Time of the header `retry-after`, in milliseconds; absent without one. */
  readonly retryAfterMs?: number;
}

/**
 * Creates the failure that a server answered with: the same class with the same fields.
 *
 * Any other answer comes from a proxy or another server: `connect_failed` for the statuses that say that no server is
 * behind a proxy, else `invalid_response`.
 */
function createFailure(response: Response, url: string, text: string): ServingError {
  const { status } = response;
  const retryAfterMs = readRetryAfter(response.headers.get("retry-after"));
  const cause: FailureOrigin = { url, status, requestId: "", ...(retryAfterMs !== undefined && { retryAfterMs }) };
  const failure = parseFailure(text, cause);
  if (failure !== undefined) return failure;
  const problem = `HTTP ${status}${response.statusText === "" ? "" : ` ${response.statusText}`}`;
  if (status === 502 || status === 503 || status === 504) return fail("connect_failed", { url, problem }, { cause });
  const excerpt = text.length > 200 ? `${text.slice(0, 200)}…` : text;
  return fail("invalid_response", { url, problem: excerpt === "" ? problem : `${problem}: ${excerpt}` }, { cause });
}

/** Reads `retry-after`: seconds, or a date. */
function readRetryAfter(value: string | null): number | undefined {
  const ms = Number(value ?? Number.NaN) * 1000;
  const left = Number.isNaN(ms) ? Date.parse(value ?? "") - Date.now() : ms;
  return Number.isNaN(left) ? undefined : Math.max(0, left);
}

/**
 * Reads a failure body; `undefined` for any other text.
 *
 * @param origin Its status is 200 in a stream.
 */
export function parseFailure(text: string, origin: FailureOrigin): ServingError | undefined {
  let body: Record<string, unknown>;
  try {
    body = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
  if (typeof body !== "object" || body === null || typeof body["error"] !== "string" || !isCode(body["code"])) {
    return undefined;
  }
  const read = (key: string) => (typeof body[key] === "string" ? (body[key] as string) : undefined);
  return new ServingError({
    code: body["code"] as Code,
    id: read("id"),
    message: body["error"],
    details: toRecord(body["details"]),
    service: read("service"),
    api: read("api"),
    incident: read("incident"),
    retryable: typeof body["retryable"] === "boolean" ? body["retryable"] : undefined,
    httpStatus: origin.status === 200 ? undefined : origin.status,
    cause: { ...origin, requestId: read("requestId") ?? "" } satisfies FailureOrigin,
  });
}

const toRecord = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
