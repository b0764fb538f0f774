import { createFailure, type FailureOrigin } from "./create-failure.js";
import { clientRow, type Issue, issueText, list } from "./failure-row.js";
import type { ServingError } from "./serving-error.js";

/**
 * Failures that clients raise too. `ekiben/client` holds these rows and no others, and not their fixes: it is
 * downloaded by browsers, and the texts of all other failures come from the server.
 */
export const clientFailures = {
  invalid_input: clientRow<{ issues: readonly Issue[] }>({
    code: "invalid_argument",
    text: (d) => issueText("input", d.issues),
  }),
  not_transferable: clientRow<{ path: string; what: string }>({
    code: "invalid_argument",
    text: (d) => `${d.path} is ${d.what}, which can't be sent from one service to another`,
  }),
  stream_used_twice: clientRow<{ stream: string; first: string; second: string }>({
    code: "internal",
    text: (d) => `${d.stream} can be used only once: it was ${d.first}, and is now ${d.second}`,
  }),
  unhandled_error: clientRow<{ error: string }>({
    code: "internal",
    text: (d) => d.error,
  }),
  deadline_exceeded: clientRow<{
    timeoutMs: number;
    setBy?: string;
    waitingFor: readonly string[];
    batchMs?: number;
    remainingMs?: number;
  }>({
    code: "deadline_exceeded",
    text: (d) => {
      const limit = `no answer within ${Math.round(d.timeoutMs)} ms${d.setBy === undefined ? "" : ` (${d.setBy})`}`;
      return d.batchMs === undefined
        ? `${limit}; still waiting for ${list(d.waitingFor)}`
        : `${limit}: a batch takes about ${Math.round(d.batchMs)} ms and ${Math.round(d.remainingMs ?? 0)} ms are left`;
    },
  }),
  cancelled: clientRow<{ reason: string }>({
    code: "cancelled",
    text: (d) => `the call was cancelled: ${d.reason}`,
  }),
  unknown_api: clientRow<{ name: string; known: readonly string[] }>({
    code: "unimplemented",
    text: (d) => `there is no api ${d.name}; there are ${list(d.known)}`,
  }),
  connect_failed: clientRow<{ url: string; problem: string }>({
    code: "unavailable",
    text: (d) => `${d.url} could not be reached: ${d.problem}`,
  }),
  connection_lost: clientRow<{ url: string; problem: string }>({
    code: "unavailable",
    text: (d) => `the connection to ${d.url} was lost before the whole answer came: ${d.problem}`,
  }),
  fetch_timeout: clientRow<{ url: string; problem: string }>({
    code: "deadline_exceeded",
    text: (d) => `fetch itself gave up waiting for ${d.url}: ${d.problem}`,
  }),
  upload_unsupported: clientRow<Record<never, never>>({
    code: "unimplemented",
    text: () => "this runtime can't send a stream as the body of a request",
  }),
  invalid_response: clientRow<{ url: string; problem: string }>({
    code: "data_loss",
    text: (d) => `${d.url} did not answer as an ekiben server: ${d.problem}`,
  }),
};

/** Fixes of these failures, for the table of all failures. */
export const clientFixes: { readonly [Id in ClientFailureId]: string } = {
  invalid_input: "Send a value that fits the api's input schema (see /schema.json).",
  not_transferable: "Pass plain data: JSON values, Uint8Array, Tensor, Blob, File, Date, bigint, Map, Set.",
  stream_used_twice: "Call the api again for a second stream, or collect the items in a list and pass that to each.",
  unhandled_error:
    "See the log line with this incident id for the stack. To tell callers what happened, throw a ServingError.",
  deadline_exceeded:
    "Raise the limit that the message names where it was set (`ekiben options` shows all), or find the slow edge in /metrics.",
  cancelled:
    "Make no change: the caller no longer waits. For work that should outlive its caller, pass the call option { detach: true }.",
  unknown_api: "Check the spelling against /schema.json. Caller and callee may run different versions.",
  connect_failed: "Check that the server runs and that the URL is right.",
  connection_lost:
    "Repeat the call only if running it twice does no harm: it may have run. The server ended, or a proxy closed the connection.",
  fetch_timeout:
    "Raise the limit in the `fetch` that connect() was given (undici: headersTimeout, bodyTimeout). The call may still run on the server.",
  upload_unsupported:
    "Collect the items and pass them as a list, or call from Node. Browsers send streams over HTTP/2 only, if at all.",
  invalid_response: "Check that the URL names an ekiben server and that no proxy changes its answers.",
};

type ClientFailureId = keyof typeof clientFailures;

/** Makes the `ServingError` of one of these rows, as `fail` of failures.ts does for any row. It has no `fix`. */
export function fail<Id extends ClientFailureId>(
  id: Id,
  details: Parameters<(typeof clientFailures)[Id]["text"]>[0],
  place?: FailureOrigin,
): ServingError {
  return createFailure(id, clientFailures[id], details, place);
}
