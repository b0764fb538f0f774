import type { CallScope } from "../call/call-scope.js";
import { CallerFeed } from "../call/caller-feed.js";
import { streamProblem } from "../call/open-items.js";
import { fail } from "../failure/fail.js";
import type { ServingError } from "../failure/serving-error.js";
import { messageOf } from "../failure/to-serving-error.js";

/** Opens the input of a call whose input is a stream. @returns Why it can't be one: `invalid_input`. */
export function openFeed(scope: CallScope): ServingError | undefined {
  const { call } = scope;
  const problem = streamProblem(call.input) ?? tryFeed(scope, call.input as AsyncIterable<unknown>);
  call.input = undefined;
  if (problem === undefined) return undefined;
  const { service, api } = call;
  return fail("invalid_input", { issues: [{ path: "", message: problem }] }, { service, api });
}

/** What an author gives may refuse to be read: a stream that somebody else reads already, say. */
function tryFeed(scope: CallScope, items: AsyncIterable<unknown>): string | undefined {
  try {
    new CallerFeed(scope, items);
    return undefined;
  } catch (error) {
    return `the stream can't be read: ${messageOf(error)}`;
  }
}
