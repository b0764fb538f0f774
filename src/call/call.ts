import { randomBytes } from "node:crypto";
import { copyContext, freezeContext } from "./call-context.js";
import { ResponseDraft } from "./call-response.js";
import { copyValue } from "./copy-value.js";
import type { InputStream } from "./streams/item-source.js";

/**
 * Names that stand for callers that are no service, with what each is: in metrics, in failures and in
 * `currentCall().caller`. No service may have one of them.
 */
export const outsideCallers: Readonly<Record<string, string>> = {
  http: "the HTTP server",
  local: "a program or a test",
  schedule: "the schedule of a task",
};

/** Caller of a call. From outside, `service` is one of `outsideCallers`. */
export interface Caller {
  readonly service: string;
  readonly api: string;
}

/** Priority of a call where calls wait: `"background"` calls let interactive ones go first, for a limited time. */
export type Priority = "interactive" | "background";

/**
 * Data of one call inside the app, without its input.
 *
 * Plain apart from the request it belongs to, so that any channel can carry it.
 */
export interface Call {
  readonly service: string;
  readonly api: string;
  /** Time after which the answer is of no use: a reading of this thread's clock, `Infinity` for none. */
  readonly deadline: number;
  readonly caller: Caller;
  readonly request: RequestContext;
  /**
   * True for a call from the HTTP server: its input was just parsed and has no other owner, and its output is read at
   * once and never kept. Such values are always checked and need no copy.
   */
  readonly outside: boolean;
  readonly priority: Priority;
}

/**
 * Input of one call on the side of its caller: a value, or a stream of items.
 *
 * The value is the caller's own until `keep` copies it: the caller may change it as soon as the call is made.
 */
export class CallInput {
  #value: unknown;
  #isOwned: boolean;
  #stream: InputStream | undefined;

  /** @param isOwned True when the value has no other owner, so that it needs no copy. */
  constructor(value: unknown, isOwned: boolean) {
    this.#value = value;
    this.#isOwned = isOwned;
    this.#stream = undefined;
  }

  /** The value; `undefined` for an input that is a stream. */
  get value(): unknown {
    return this.#value;
  }

  /** True when the value has no other owner: it came from outside, or was copied. */
  get isOwned(): boolean {
    return this.#isOwned;
  }

  /** Source of the items, for an input that is a stream. */
  get stream(): InputStream | undefined {
    return this.#stream;
  }

  /**
   * True once an item of the stream was asked for. Items are taken once, so the call can't be sent to another replica.
   */
  get isTaken(): boolean {
    return this.#stream?.isTaken === true;
  }

  /**
   * Copies the value once, for a call that is sent later, or maybe twice.
   *
   * @throws {ServingError} `not_transferable`
   */
  keep(): void {
    if (!this.#isOwned && this.#stream === undefined) this.own(copyValue(this.#value, "input"));
  }

  /** Replaces the value by a copy that has no other owner. */
  own(copy: unknown): void {
    this.#value = copy;
    this.#isOwned = true;
  }

  /** Replaces the value, the caller's iterable, by the stream of its items. */
  useStream(stream: InputStream): void {
    this.#value = undefined;
    this.#stream = stream;
  }
}

/** Input of a call whose scope keeps none: a call that came over a channel, a batch, a direct call. */
export const noInput: CallInput = new CallInput(undefined, true);

/** W3C trace context (https://www.w3.org/TR/trace-context/) as it travels with a request. */
export interface TraceContext {
  /** 32 hex digits. */
  readonly traceId: string;
  /** Value of the `traceparent` header for further requests. */
  readonly traceparent: string;
  readonly tracestate: string | undefined;
}

const traceparentForm = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})/;
const idPrefix = randomBytes(6).toString("hex");
let lastId = 0;

/**
 * Id, headers, trace and context of one request, the same on all its hops.
 *
 * One object a request and process, shared by every call below it. Id and trace are made when first read, so that
 * calls between services of one process pay nothing for them.
 */
export class RequestContext {
  #headers: Readonly<Record<string, string>> | undefined;
  #id: string | undefined;
  #trace: TraceContext | undefined;
  #appContext: unknown;
  #response: ResponseDraft | undefined;
  #wireText: string | undefined;

  constructor(headers: Readonly<Record<string, string>> | undefined = noHeaders, id?: string) {
    this.#headers = headers;
    this.#id = id;
  }

  /**
   * Replaces the headers that arrived. Called before the first call is made, so that all calls see the same headers.
   */
  setHeaders(headers: Readonly<Record<string, string>>): void {
    this.#headers = headers;
  }

  /**
   * Sets the value that says who is asking: `currentCall().context`. Called before the first call is made.
   *
   * @throws {ServingError} `invalid_context`.
   */
  setAppContext(value: unknown): void {
    this.#appContext = copyContext(value);
  }

  /** Returns the context that another process sent. It is parsed when a part of it is first read. */
  static fromWire(text: string): RequestContext {
    const context = new RequestContext();
    context.#headers = undefined;
    context.#wireText = text;
    return context;
  }

  get headers(): Readonly<Record<string, string>> {
    if (this.#headers === undefined) this.#readWire();
    return this.#headers ?? noHeaders;
  }

  /** Id of the request: the caller's `x-request-id`, or one made here, unique across processes. */
  get id(): string {
    if (this.#headers === undefined) this.#readWire();
    this.#id ??= `${idPrefix}${(++lastId).toString(36).padStart(6, "0")}`;
    return this.#id;
  }

  /** Value that the app's `context` has given, frozen; `undefined` where there is none. */
  get appContext(): unknown {
    if (this.#headers === undefined) this.#readWire();
    return this.#appContext;
  }

  /** Returns the request as calls made for several requests see it: without the value that says who is asking. */
  withoutAppContext(): RequestContext {
    if (this.appContext === undefined) return this;
    const copy = new RequestContext(this.headers, this.id);
    copy.#trace = this.trace;
    return copy;
  }

  /**
   * Returns the request as a run for several callers sees it: without headers and context, which belong to one of them.
   * Id and trace stay, for the logs.
   */
  withoutCaller(): RequestContext {
    const { traceparent, tracestate } = this.trace;
    return new RequestContext(tracestate === undefined ? { traceparent } : { traceparent, tracestate }, this.id);
  }

  /** Response of the request as its api has set it in this process; `undefined` if it has set nothing. */
  get response(): ResponseDraft | undefined {
    return this.#response;
  }

  /** Returns the response that the api sets. */
  openResponse(): ResponseDraft {
    this.#response ??= new ResponseDraft();
    return this.#response;
  }

  /** Takes over the response that the api has set in another process. */
  takeResponse(response: ResponseDraft): void {
    this.#response = response;
  }

  get trace(): TraceContext {
    this.#trace ??= readTrace(this.headers) ?? startTrace();
    return this.#trace;
  }

  /** The context as text for another process. Made once, for any number of calls. */
  get wireText(): string {
    if (this.#wireText === undefined) {
      const { traceparent, tracestate } = this.trace;
      const parts = [this.id, this.headers, traceparent, tracestate ?? null];
      this.#wireText = JSON.stringify(this.#appContext === undefined ? parts : [...parts, this.#appContext]);
    }
    return this.#wireText;
  }

  /** The context as text, with these headers alone, in lower case: for what outlives the request. */
  textWith(names: readonly string[]): string {
    const { headers, wireText } = this;
    const kept = names.flatMap((name) => (Object.hasOwn(headers, name) ? [[name, headers[name]]] : []));
    const [id, , ...rest] = JSON.parse(wireText) as unknown[];
    return JSON.stringify([id, Object.fromEntries(kept), ...rest]);
  }

  /**
   * Parses the text. A text that can't be parsed counts as a request without headers: readers such as the log must not
   * fail.
   */
  #readWire(): void {
    const context = parseWire(this.#wireText ?? "");
    if (context === undefined) {
      this.#headers = noHeaders;
      this.#wireText = undefined;
      return;
    }
    const [id, headers, traceparent, tracestate, appContext] = context;
    this.#headers = Object.freeze(keepTexts(headers));
    this.#id = id;
    this.#appContext = freezeContext(appContext);
    this.#trace ??= readTrace({ traceparent, ...(tracestate !== null && { tracestate }) });
  }
}

type WireContext = readonly [
  id: string,
  headers: Readonly<Record<string, unknown>>,
  traceparent: string,
  tracestate: string | null,
  appContext?: unknown,
];

function parseWire(text: string): WireContext | undefined {
  let parts: unknown;
  try {
    parts = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(parts)) return undefined;
  const [id, headers, traceparent, tracestate] = parts as unknown[];
  const isContext =
    typeof id === "string" &&
    typeof headers === "object" &&
    headers !== null &&
    typeof traceparent === "string" &&
    (typeof tracestate === "string" || tracestate === null);
  return isContext ? (parts as unknown as WireContext) : undefined;
}

/** Keeps the text headers: one header of another type must not cost the others. */
function keepTexts(headers: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  const isText = (value: unknown) => typeof value === "string";
  const texts = Object.values(headers).every(isText)
    ? headers
    : Object.fromEntries(Object.entries(headers).filter(([, value]) => isText(value)));
  return texts as Readonly<Record<string, string>>;
}

const noHeaders: Readonly<Record<string, string>> = Object.freeze({});

function readTrace(headers: Readonly<Record<string, string>>): TraceContext | undefined {
  const traceparent = headers["traceparent"];
  const traceId = traceparent === undefined ? undefined : traceparentForm.exec(traceparent)?.[1];
  if (traceparent === undefined || traceId === undefined) return undefined;
  return { traceId, traceparent, tracestate: headers["tracestate"] };
}

/** Random bytes are drawn for many traces at once: a system call for each would cost more than the rest of a hop. */
const traceBytes = 24;
const drawnTraces = 256;
let drawn = Buffer.alloc(0);
let drawnAt = 0;

function startTrace(): TraceContext {
  if (drawnAt >= drawn.length) {
    drawn = randomBytes(traceBytes * drawnTraces);
    drawnAt = 0;
  }
  const hex = drawn.toString("hex", drawnAt, drawnAt + traceBytes);
  drawnAt += traceBytes;
  const traceId = hex.slice(0, 32);
  return { traceId, traceparent: `00-${traceId}-${hex.slice(32)}-00`, tracestate: undefined };
}
