import { optionText } from "../failure/failure-row.js";
import { type FailureDetails, fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import type { Call } from "./call.js";

/** Returns the option or argument that gave a call so many milliseconds, and the place where it was set. */
export type NameLimit = (call: Call, timeoutMs: number) => string;

/** Fields of a call's scope that are needed here. */
interface Bounded {
  readonly call: Call;
  readonly parent: Bounded | undefined;
  readonly startedAt: number;
  readonly time: { readonly nameLimit: NameLimit | undefined };
}

type Details = FailureDetails<"deadline_exceeded">;

/**
 * Returns the failure of a call whose time is over. The limit is looked up here: calls that end in time pay nothing.
 *
 * @param rest Further known details.
 */
export function deadlinePassed(scope: Bounded, rest: Omit<Details, "timeoutMs" | "setBy">): ServingError {
  const { service, api } = scope.call;
  return fail("deadline_exceeded", { ...createLimitDetails(scope), ...rest }, { service, api });
}

/**
 * Adds the origin of the deadline to a failure from the other side of a boundary. That side knows only the time left;
 * the caller may know more. Other failures are returned unchanged.
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

/** The deadline of a call comes from the outermost call above it that has the same one. */
function createLimitDetails(scope: Bounded): Pick<Details, "timeoutMs" | "setBy"> {
  let first = scope;
  for (let above = scope.parent; above?.call.deadline === scope.call.deadline; above = above.parent) first = above;
  const timeoutMs = first.call.deadline - first.startedAt;
  const setBy = first.time.nameLimit?.(first.call, timeoutMs);
  return setBy === undefined ? { timeoutMs } : { timeoutMs, setBy };
}

/** An author may throw a failure with this id and another text. */
function isUnnamed({ details, message }: ServingError): boolean {
  const { timeoutMs, waitingFor, setBy } = details as Partial<Details>;
  if (typeof timeoutMs !== "number" || !Array.isArray(waitingFor) || setBy !== undefined) return false;
  return fail("deadline_exceeded", details as Details).message === message;
}

/**
 * Formats the `timeoutMs` of an api for the failure of a deadline: `"timeoutMs of Model.train, from
 * EKIBEN_TIMEOUT_MS"`.
 */
export function nameOption(service: string, api: string, from = "default"): string {
  return optionText(`timeoutMs of ${service}.${api}`, from);
}

/** Fields of a call's scope that are needed here. */
interface Ending {
  readonly call: Call;
  readonly parent: Ending | undefined;
  readonly reason: object | undefined;
}

/** The call that ended together with those below it, by the failure that ended them. */
const enders = new WeakMap<object, Ending>();

/** Notes that the calls below `scope` end with it, for `reason`. */
export function noteEnd(reason: object, scope: Ending): void {
  if (!enders.has(reason)) enders.set(reason, scope);
}

/** True when a rejection only says that a call was ended with the api that had made it: it needs no report. */
export const isEndOfOpenCall = (thrown: unknown): boolean =>
  typeof thrown === "object" && thrown !== null && enders.has(thrown);

/**
 * Returns the ended call of another caller whose end took away the result that `scope` waited for. Calls below `scope`
 * don't count.
 *
 * @param thrown Failure of `scope`.
 */
export function strangerThatEnded(thrown: unknown, scope: Ending): Ending | undefined {
  if (scope.reason !== undefined || typeof thrown !== "object" || thrown === null) return undefined;
  const ended = enders.get(thrown);
  for (let above = ended; above !== undefined; above = above.parent) if (above === scope) return undefined;
  return ended;
}
