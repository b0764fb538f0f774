import { randomBytes } from "node:crypto";

/** W3C trace context (https://www.w3.org/TR/trace-context/) as it travels with a request. */
export interface TraceContext {
  /** 32 hex digits. */
  readonly traceId: string;
  /** The header to send onward. */
  readonly traceparent: string;
  readonly tracestate: string | undefined;
}

const traceparentForm = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})/;
const idPrefix = randomBytes(6).toString("hex");
let lastId = 0;

/**
 * What one request brings along on all its hops: id, headers and trace.
 *
 * One object a request, shared by every call below it. Id and trace are made when first read, so that calls between
 * services of one process pay nothing for them.
 */
export class RequestContext {
  readonly headers: Readonly<Record<string, string>>;
  #id: string | undefined;
  #trace: TraceContext | undefined;

  constructor(headers: Readonly<Record<string, string>> = noHeaders, id?: string) {
    this.headers = headers;
    this.#id = id;
  }

  /** Id of the request: the caller's `x-request-id`, else one of ekiben's own, unique across processes. */
  get id(): string {
    this.#id ??= `${idPrefix}${(++lastId).toString(36).padStart(6, "0")}`;
    return this.#id;
  }

  get trace(): TraceContext {
    this.#trace ??= readTrace(this.headers) ?? startTrace();
    return this.#trace;
  }
}

const noHeaders: Readonly<Record<string, string>> = Object.freeze({});

function readTrace(headers: Readonly<Record<string, string>>): TraceContext | undefined {
  const traceparent = headers["traceparent"];
  const traceId = traceparent === undefined ? undefined : traceparentForm.exec(traceparent)?.[1];
  if (traceparent === undefined || traceId === undefined) return undefined;
  return { traceId, traceparent, tracestate: headers["tracestate"] };
}

function startTrace(): TraceContext {
  const hex = randomBytes(24).toString("hex");
  const traceId = hex.slice(0, 32);
  return { traceId, traceparent: `00-${traceId}-${hex.slice(32)}-00`, tracestate: undefined };
}
