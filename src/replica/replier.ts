import type { CallScope } from "../call/call-scope.js";
import type { ServingError } from "../failure/serving-error.js";

/** Takes the answer of a served call to whoever asked: a link in this process, or a channel. */
export interface Replier {
  replyOutput(scope: CallScope, output: unknown): void;
  replyFailure(scope: CallScope, error: ServingError): void;
}
