import type { CallScope } from "../call/call-scope.js";
import { CallerFeed } from "../call/streams/caller-feed.js";
import { streamProblem } from "../call/streams/open-items.js";
import { fail } from "../failure/fail.js";
import { ServingError } from "../failure/serving-error.js";
import { messageOf, toServingError } from "../failure/to-serving-error.js";

/** Opens the input of a call whose input is a stream. @returns Why it can't be one: `invalid_input`, `stream_used_twice`. */
export function openFeed(scope: CallScope): ServingError | undefined {
  const { call } = scope;
  const problem = streamProblem(call.input) ?? tryFeed(scope, call.input as AsyncIterable<unknown>);
  call.input = undefined;
  if (problem === undefined) return undefined;
  const { service, api } = call;
  if (typeof problem !== "string") return toServingError(problem, service, api);
  return fail("invalid_input", { issues: [{ path: "", message: problem }] }, { service, api });
}

/** What an author gives may refuse to be read: a stream that somebody else reads already, say. */
function tryFeed(scope: CallScope, items: AsyncIterable<unknown>): ServingError | string | undefined {
  try {
    new CallerFeed(scope, items);
    return undefined;
  } catch (error) {
    if (error instanceof ServingError && error.id === "stream_used_twice") return error;
    return `the stream can't be read: ${messageOf(error)}`;
  }
}
