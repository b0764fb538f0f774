import { randomBytes } from "node:crypto";
import type { FastifyReply } from "fastify";
import { readField } from "../failure/read-thrown.js";
import type { ServingError } from "../failure/serving-error.js";
import { toServingError } from "../failure/to-serving-error.js";
import { leaveConnection } from "./connection.js";
import { exchangeOf } from "./exchange.js";
import type { HttpState } from "./http-state.js";
import { jsonBodyType } from "./media-type.js";
import { encodeJson } from "./write-reply.js";

/** Body of every failure over HTTP. */
interface FailureBody {
  readonly error: string;
  readonly code: string;
  readonly id: string;
  readonly service: string;
  readonly api: string;
  readonly details: Readonly<Record<string, unknown>>;
  /** Id of the log line with the stack; set when the text is masked. */
  readonly incident?: string;
  readonly requestId: string;
}

/** The api that a request was for. */
export interface FailedApi {
  readonly service: string;
  readonly name: string;
}

/**
 * Answers a request with a failure. Does nothing when no client is left or the response has begun.
 *
 * @param place Service and api, for a failure that names neither.
 */
export function writeFailure(http: HttpState, reply: FastifyReply, error: unknown, place?: FailedApi): void {
  const exchange = exchangeOf(reply);
  if (reply.sent || exchange.isEnded) return;
  const failure = toServingError(error, place?.service ?? "", place?.name ?? "");
  exchange.failureId = failure.id;
  const body = createFailureBody(http, failure, exchange.context.id);
  const text = formatFailure(body);
  exchange.bodyBytes = Buffer.byteLength(text);
  // An author may have thrown any number.
  const isStatus = Number.isInteger(failure.httpStatus) && failure.httpStatus >= 400 && failure.httpStatus <= 599;
  const status = isStatus ? failure.httpStatus : 500;
  if (!exchange.hasCalled) http.onRefusal(status, failure.id);
  reply.code(status).header("content-type", jsonBodyType);
  const retryAfter = retryAfterSeconds(failure);
  if (retryAfter !== undefined) reply.header("retry-after", String(retryAfter));
  // Names the accepted encodings (RFC 9110, section 12.5.3).
  if (failure.id === "unsupported_content_encoding") reply.header("accept-encoding", "identity");
  // Required for this status (RFC 9110, section 11.6.1). A plugin of the author may have set its own.
  if (failure.httpStatus === 401 && !reply.hasHeader("www-authenticate")) {
    reply.header("www-authenticate", challengeOf(failure));
  }
  if (http.isClosing) leaveConnection(reply);
  reply.send(text);
}

/** Returns the challenge of a 401: the failure's own, else the scheme of tokens and keys. */
function challengeOf({ details }: ServingError): string {
  const challenge = readField(details, "challenge");
  return typeof challenge === "string" && /^[\x21-\x7e][\x20-\x7e]{0,499}$/.test(challenge) ? challenge : "Bearer";
}

/**
 * Returns the parts of a failure that the caller may read. Masked parts are logged under an incident id that is also
 * in the body.
 */
export function createFailureBody(http: HttpState, failure: ServingError, requestId: string): FailureBody {
  const { code, id, service, api } = failure;
  if (id !== "unhandled_error") {
    const incident = failure.incident === undefined ? undefined : { incident: failure.incident };
    return { error: failure.message, code, id, service, api, details: failure.details, ...incident, requestId };
  }
  const incident = failure.incident ?? logIncident(http, failure, requestId);
  return { error: `internal error; incident ${incident}`, code, id, service, api, details: {}, incident, requestId };
}

/** Formats a failure body. Details that JSON can't express are dropped. */
export function formatFailure(body: FailureBody): string {
  try {
    return JSON.stringify({ ...body, details: encodeJson(body.details, { tensors: "base64" }) });
  } catch {
    return JSON.stringify({ ...body, details: {} });
  }
}

/**
 * Logs a failure of the HTTP server itself. A replica logs its own failures, and the failure carries that incident
 * id.
 */
function logIncident(http: HttpState, failure: ServingError, requestId: string): string {
  const incident = randomBytes(6).toString("hex");
  const { service, api, cause } = failure;
  http.log.error({ err: cause ?? failure, service, api, requestId, incident }, `internal error: ${failure.message}`);
  return incident;
}

/** A month. A longer time is no time to wait for. */
const maxRetryAfterSeconds = 30 * 24 * 3600;

function retryAfterSeconds(failure: ServingError): number | undefined {
  if (failure.code !== "resource_exhausted" && failure.code !== "unavailable") return undefined;
  const retryAfterMs = readField(failure.details, "retryAfterMs");
  const seconds = typeof retryAfterMs === "number" ? Math.ceil(retryAfterMs / 1000) : Number.NaN;
  return Number.isFinite(seconds) ? Math.min(Math.max(1, seconds), maxRetryAfterSeconds) : 1;
}
