import { type FailureDetails, fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import type { Call } from "./call.js";

/** Says which option or argument gave a call so many milliseconds, and where that was set. */
export type NameLimit = (call: Call, timeoutMs: number) => string;

/** As much of a call's scope as is asked here. */
interface Bounded {
  readonly call: Call;
  readonly parent: Bounded | undefined;
  readonly startedAt: number;
  readonly time: { readonly nameLimit: NameLimit | undefined };
}

type Details = FailureDetails<"deadline_exceeded">;

/**
 * Why a call has had its time. Looked up when that is asked: calls that end in time pay nothing for it.
 *
 * @param rest What else is known.
 */
export function deadlinePassed(scope: Bounded, rest: Omit<Details, "timeoutMs" | "setBy">): ServingError {
  const { service, api } = scope.call;
  return fail("deadline_exceeded", { ...createLimitDetails(scope), ...rest }, { service, api });
}

/**
 * A failure from the other side of a border. That side knows of a deadline only what is left of it: its caller, who may know
 * more, says who set it. Anything else stays as it is.
 */
export function nameDeadline(error: ServingError, scope: Bounded): ServingError {
  if (error.id !== "deadline_exceeded" || !isUnnamed(error)) return error;
  const { setBy, timeoutMs } = createLimitDetails(scope);
  if (setBy === undefined) return error;
  const { service, api } = error;
  const named = fail("deadline_exceeded", { ...(error.details as Details), timeoutMs, setBy }, { service, api });
  if (error.stack !== undefined) named.stack = error.stack.replace(error.message, () => named.message);
  return named;
}

/** The deadline of a call is that of the outermost call above it that has the same. */
function createLimitDetails(scope: Bounded): Pick<Details, "timeoutMs" | "setBy"> {
  let first = scope;
  for (let above = scope.parent; above?.call.deadline === scope.call.deadline; above = above.parent) first = above;
  const timeoutMs = first.call.deadline - first.startedAt;
  const setBy = first.time.nameLimit?.(first.call, timeoutMs);
  return setBy === undefined ? { timeoutMs } : { timeoutMs, setBy };
}

/** An author may throw a failure with this id and words of their own. */
function isUnnamed({ details, message }: ServingError): boolean {
  const { timeoutMs, waitingFor, setBy } = details as Partial<Details>;
  if (typeof timeoutMs !== "number" || !Array.isArray(waitingFor) || setBy !== undefined) return false;
  return fail("deadline_exceeded", details as Details).message === message;
}

/** The `timeoutMs` of an api, for the failure of a deadline: `"timeoutMs of Model.train, from EKIBEN_TIMEOUT_MS"`. */
export function nameOption(service: string, api: string, from = "default"): string {
  return `timeoutMs of ${service}.${api}, ${from === "default" ? "its default" : `from ${from}`}`;
}

/** As much of a call's scope as is asked here. */
interface Ending {
  readonly call: Call;
  readonly parent: Ending | undefined;
  readonly reason: object | undefined;
}

/** Which call ended, and with it those below: by the failure that these were ended with. */
const enders = new WeakMap<object, Ending>();

/** Notes that calls below `scope` end with it, for `reason`. */
export function noteEnd(reason: object, scope: Ending): void {
  if (!enders.has(reason)) enders.set(reason, scope);
}

/** Whether a rejection only says that a call was ended with the api that had made it, so that nobody needs to hear of it. */
export const isEndOfOpenCall = (thrown: unknown): boolean =>
  typeof thrown === "object" && thrown !== null && enders.has(thrown);

/**
 * The call of somebody else that took away what `scope` waited for: one that is not below it, and has ended.
 *
 * @param thrown What `scope` failed with.
 */
export function strangerThatEnded(thrown: unknown, scope: Ending): Ending | undefined {
  if (scope.reason !== undefined || typeof thrown !== "object" || thrown === null) return undefined;
  const ended = enders.get(thrown);
  for (let above = ended; above !== undefined; above = above.parent) if (above === scope) return undefined;
  return ended;
}
