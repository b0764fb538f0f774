import { fail } from "../failure/failures.js";

/** Attributes of a cookie, see RFC 6265. The defaults keep it from scripts, from other sites and from plain HTTP. */
export interface CookieOptions {
  /** Seconds for which the browser keeps it; 0 removes it. Default: until the browser is closed. */
  readonly maxAge?: number;
  /** Default `"/"`. */
  readonly path?: string;
  /** Default: the host of the request alone. */
  readonly domain?: string;
  /** False lets scripts of the page read it. Default `true`. */
  readonly httpOnly?: boolean;
  /** False lets it be sent without TLS. Browsers treat `http://localhost` as safe. Default `true`. */
  readonly secure?: boolean;
  /** Requests from other sites that carry it. Default `"lax"`. */
  readonly sameSite?: "strict" | "lax" | "none";
}

/**
 * Response to the HTTP request that called an api of the entry service. It is sent with the output, or before the first
 * item of a stream; a failure has a response of its own.
 *
 * In a call from a program or a test there is none: what is set is checked and dropped.
 *
 * Each method throws a `ServingError`, `response_refused`: for a value that HTTP doesn't allow; in a call from another
 * service, in a task, in a batch; after the first item of a stream, and when the call has ended.
 */
export interface CallResponse {
  /** Sets the status, 200 to 599. 204, 205 and 304 send no body. Default: the status of the contract. */
  status(code: number): void;
  /** Sets a header; a second value replaces the first. */
  header(name: string, value: string | number): void;
  /** Sets a cookie. Its value is sent in the form of `encodeURIComponent`. */
  cookie(name: string, value: string, options?: CookieOptions): void;
  /**
   * Removes a cookie from the browser.
   *
   * @param options The `path` and `domain` with which it was set: a browser keeps a cookie of another path or domain.
   */
  clearCookie(name: string, options?: Omit<CookieOptions, "maxAge">): void;
  /**
   * Sends the client to another URL. The output is still sent as the body.
   *
   * @param url    A path of this server, or a whole URL.
   * @param status 301, 302, 303, 307 or 308. Default 303: the client reads the URL with GET.
   */
  redirect(url: string | URL, status?: number): void;
}

/** Most characters of all headers that an api sets. Clients and proxies take about twice as many in total. */
const maxChars = 8 * 1024;
/** Most characters of one cookie that browsers keep. */
const maxCookieChars = 4096;

const nameForm = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/;
const valueForm = /^[\x20-\x7e\x80-\xff]*$/;
const urlForm = /^[\x21-\x7e]+$/;
const pathForm = /^\/[\x20-\x3a\x3c-\x7e]*$/;
const domainForm = /^\.?[a-z0-9-]+(\.[a-z0-9-]+)*$/i;

/** Headers that are not the api's to set, with the reason. */
const refusedHeaders: ReadonlyMap<string, string> = new Map([
  ...[
    ...["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"],
    ...["content-length", "date"],
  ].map((name) => [name, "it belongs to the connection, which the server manages"] as const),
  ["content-type", "it follows from the output and the accept header; return a Blob to choose it"],
  ["location", "use redirect()"],
  ["set-cookie", "use cookie()"],
  ["x-request-id", "ekiben sets it"],
]);

/** Parts of a response that an api has set. */
export class ResponseDraft {
  #status: number | undefined;
  readonly #headers = new Map<string, readonly [name: string, value: string]>();
  #chars = 0;

  get status(): number | undefined {
    return this.#status;
  }

  /** Headers in the order in which they were first set; `set-cookie` once for each cookie. */
  get headers(): readonly (readonly [name: string, value: string])[] {
    return [...this.#headers.values()];
  }

  setStatus(code: number): void {
    this.#status = code;
  }

  /**
   * Sets a header.
   *
   * @param key   Identity of the header: the next one with it replaces this one.
   * @returns False when the headers would be too large; nothing is set then.
   */
  setHeader(key: string, name: string, value: string): boolean {
    const former = this.#headers.get(key);
    const freed = former === undefined ? 0 : former[0].length + former[1].length;
    const chars = this.#chars - freed + name.length + value.length;
    if (chars > maxChars) return false;
    this.#chars = chars;
    this.#headers.set(key, [name, value]);
    return true;
  }

  /** The draft as text for another process. */
  get wireText(): string {
    return JSON.stringify([this.#status ?? null, this.headers]);
  }

  /** Returns the draft that another process sent; `undefined` for a text that is none. */
  static fromWire(text: string): ResponseDraft | undefined {
    const [status, headers] = parseList(text) ?? [];
    if (!(status === null || isStatus(status)) || !Array.isArray(headers)) return undefined;
    const draft = new ResponseDraft();
    if (status !== null) draft.setStatus(status);
    for (const [index, entry] of (headers as unknown[]).entries()) {
      const [name, value] = Array.isArray(entry) ? (entry as unknown[]) : [];
      if (typeof name !== "string" || typeof value !== "string") return undefined;
      if (!nameForm.test(name) || !valueForm.test(value)) return undefined;
      if (!draft.setHeader(String(index), name, value)) return undefined;
    }
    return draft;
  }
}

function parseList(text: string): unknown[] | undefined {
  try {
    const parts: unknown = JSON.parse(text);
    return Array.isArray(parts) ? parts : undefined;
  } catch {
    return undefined;
  }
}

const isStatus = (value: unknown): value is number =>
  Number.isInteger(value) && Number(value) >= 200 && Number(value) <= 599;

/** Fields of a call's scope that its response needs. */
interface AnsweringScope {
  readonly call: {
    readonly caller: { readonly service: string; readonly api: string };
    readonly request: { openResponse(): ResponseDraft };
  };
  readonly isEnded: boolean;
  /** Reason for which the response can't be changed any more, or never could. */
  readonly responseEnd: string | undefined;
}

/** The response of a running api. */
export class RunningResponse implements CallResponse {
  readonly #scope: AnsweringScope;

  constructor(scope: AnsweringScope) {
    this.#scope = scope;
  }

  status(code: number): void {
    if (!isStatus(code)) refuse("status", `${String(code)} is no status from 200 to 599`);
    this.#open("status")?.setStatus(code);
  }

  header(name: string, value: string | number): void {
    const what = `header ${String(name).slice(0, 80)}`;
    if (typeof name !== "string" || !nameForm.test(name)) refuse(what, "the name is not that of a header");
    const lower = name.toLowerCase();
    const reason = refusedHeaders.get(lower) ?? (lower.startsWith("ekiben-") ? "ekiben sets it" : undefined);
    if (reason !== undefined) refuse(what, reason);
    this.#set(what, lower, lower, readValue(what, value));
  }

  cookie(name: string, value: string, options: CookieOptions = {}): void {
    const what = `cookie ${String(name).slice(0, 80)}`;
    const text = formatCookie(what, { name, value, options });
    this.#set(what, `set-cookie ${name} ${options.domain ?? ""} ${options.path ?? "/"}`, "set-cookie", text);
  }

  clearCookie(name: string, options: Omit<CookieOptions, "maxAge"> = {}): void {
    this.cookie(name, "", { ...options, maxAge: 0 });
  }

  redirect(url: string | URL, status = 303): void {
    const target = String(url);
    if (!urlForm.test(target))
      refuse("redirect", "the URL is empty or holds spaces or other than ASCII; use new URL() or encodeURI()");
    if (![301, 302, 303, 307, 308].includes(status))
      refuse("redirect", `${String(status)} is not 301, 302, 303, 307 or 308`);
    this.#set("redirect", "location", "location", target);
    this.#open("redirect")?.setStatus(status);
  }

  #set(what: string, key: string, name: string, value: string): void {
    if (this.#open(what)?.setHeader(key, name, value) === false) {
      refuse(what, `the headers would have more than ${maxChars} characters`);
    }
  }

  /** Returns the draft of the response; `undefined` in a call from a program or a test. */
  #open(what: string): ResponseDraft | undefined {
    const { call, isEnded, responseEnd } = this.#scope;
    const { caller } = call;
    if (responseEnd !== undefined) refuse(what, responseEnd);
    if (isEnded) refuse(what, "the call has ended");
    if (caller.service === "http") return call.request.openResponse();
    if (caller.service !== "local") {
      refuse(
        what,
        `the call came from ${caller.service}.${caller.api}, not over HTTP; only the entry service's api that the request called has a response`,
      );
    }
    return undefined;
  }
}

function readValue(what: string, value: unknown): string {
  if (typeof value !== "string" && typeof value !== "number") refuse(what, `a ${typeof value} is no value of a header`);
  const text = String(value);
  if (!valueForm.test(text)) refuse(what, "the value holds line breaks or other characters that no header may have");
  return text;
}

/** A cookie as an author sets it. */
interface Cookie {
  readonly name: string;
  readonly value: string;
  readonly options: CookieOptions;
}

/** Formats a `set-cookie` header (RFC 6265, section 4.1). @param what Name of the cookie in messages. */
function formatCookie(what: string, { name, value, options }: Cookie): string {
  const { maxAge, path = "/", domain, httpOnly = true, secure = true, sameSite = "lax" } = options;
  if (typeof name !== "string" || !nameForm.test(name)) refuse(what, "the name is not that of a cookie");
  if (typeof value !== "string") refuse(what, `a ${typeof value} is no value of a cookie`);
  if (maxAge !== undefined && !Number.isSafeInteger(maxAge)) refuse(what, "maxAge is no whole number of seconds");
  if (!pathForm.test(path)) refuse(what, "path does not begin with / or holds a semicolon");
  if (domain !== undefined && !domainForm.test(domain)) refuse(what, "domain is no host name");
  if (!["strict", "lax", "none"].includes(sameSite)) refuse(what, 'sameSite is not "strict", "lax" or "none"');
  if (sameSite === "none" && !secure) refuse(what, 'browsers drop a cookie with sameSite "none" that is not secure');
  const isBound = /^__(host|secure)-/i.exec(name)?.[1]?.toLowerCase();
  if (isBound !== undefined && !secure) refuse(what, "browsers drop a cookie of this name that is not secure");
  if (isBound === "host" && (path !== "/" || domain !== undefined)) {
    refuse(what, "browsers drop a cookie of this name with a domain, or with another path than /");
  }
  const text = [
    `${name}=${encodeValue(what, value)}`,
    ...(maxAge === undefined ? [] : [`Max-Age=${maxAge}`]),
    `Path=${path}`,
    ...(domain === undefined ? [] : [`Domain=${domain}`]),
    ...(httpOnly ? ["HttpOnly"] : []),
    ...(secure ? ["Secure"] : []),
    `SameSite=${sameSite[0]?.toUpperCase()}${sameSite.slice(1)}`,
  ].join("; ");
  if (text.length > maxCookieChars) refuse(what, `it has ${text.length} characters; browsers keep ${maxCookieChars}`);
  return text;
}

function encodeValue(what: string, value: string): string {
  try {
    return encodeURIComponent(value);
  } catch {
    return refuse(what, "the value holds half of a character (a lone surrogate)");
  }
}

function refuse(what: string, problem: string): never {
  throw fail("response_refused", { what, problem });
}
