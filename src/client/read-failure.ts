import { type Code, isCode } from "../failure/codes.js";
import { fail } from "../failure/fail.js";
import { failures } from "../failure/failures.js";
import { ServingError } from "../failure/serving-error.js";

/** Where a failure came from; the `cause` of a ServingError that a server answered with. */
export interface FailureOrigin {
  readonly url: string;
  readonly status: number;
  /** Also in the server's access log. */
  readonly requestId: string;
}

/**
 * The failure a server answered with, as the class and with the fields it had there.
 *
 * What is no failure of ekiben's comes from something in between: `connect_failed` for the statuses by which proxies say
 * that there is no server behind them, else `invalid_response`.
 */
export function createFailure(response: Response, url: string, text: string): ServingError {
  const { status } = response;
  const failure = parseFailure(text, url, status);
  if (failure !== undefined) return failure;
  const problem = `HTTP ${status}${response.statusText === "" ? "" : ` ${response.statusText}`}`;
  if (status === 502 || status === 503 || status === 504) return fail("connect_failed", { url, problem });
  const excerpt = text.length > 200 ? `${text.slice(0, 200)}…` : text;
  return fail("invalid_response", { url, problem: excerpt === "" ? problem : `${problem}: ${excerpt}` });
}

/** Reads a failure body; `undefined` when it is none. `status` is that of the response, or 200 in a stream. */
export function parseFailure(text: string, url: string, status: number): ServingError | undefined {
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
  const id = read("id") ?? body["code"];
  const row = Object.hasOwn(failures, id) ? (failures as Record<string, { readonly fix: string }>)[id] : undefined;
  const origin: FailureOrigin = { url, status, requestId: read("requestId") ?? "" };
  return new ServingError({
    code: body["code"] as Code,
    id,
    message: body["error"],
    details: toRecord(body["details"]),
    service: read("service"),
    api: read("api"),
    incident: read("incident"),
    retryable: typeof body["retryable"] === "boolean" ? body["retryable"] : undefined,
    httpStatus: status === 200 ? undefined : status,
    fix: row?.fix,
    cause: origin,
  });
}

const toRecord = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
