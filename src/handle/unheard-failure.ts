import type { Logger } from "../base/logger.js";
import type { Caller } from "../call/call.js";
import { type CallPromise, settleQuietly } from "../call/call-promise.js";
import type { CallScope } from "../call/call-scope.js";
import { ServingError } from "../failure/serving-error.js";

// What becomes of the failure of a call that nobody has looked at.
//
// U1  It is never an unhandled rejection, which would end the process.
// U2  A call that its api left open, or that its own signal cancelled, ends in silence.
// U3  One that failed by itself is one line of the log, unless somebody looks at it before the api that made it has ended;
//     where no api made it, before the event loop has turned.

/** One call, as a log line names it. */
export interface UnheardCall {
  /** `"Model.predict"`. */
  readonly callee: string;
  readonly caller: Caller;
  /** Of the api that made it; absent where none did, or for a detached call. */
  readonly parent: CallScope | undefined;
  readonly requestId: string | undefined;
  /** Of the replica or program that made the call. */
  readonly log: Logger;
}

/** Failures that one api keeps undecided; of one that runs for ever and looks at nothing, the rest is told at once. */
const maxKept = 64;

interface Kept extends UnheardCall {
  readonly error: ServingError;
  readonly isHeard: () => boolean;
}

const keptOf = new WeakMap<CallScope, Kept[]>();

/** Of a promise that is about to be rejected, or resolved by one that will be: see U1 to U3. */
export function noteFailure(promise: CallPromise<unknown>, error: unknown, call: UnheardCall): void {
  if (promise.isHeard) return;
  settleQuietly(promise);
  noteUnheard(error, call, () => promise.isHeard);
}

/** The same for what has no promise: a stream that nobody reads. */
export function noteUnheard(error: unknown, call: UnheardCall, isHeard: () => boolean): void {
  const { parent } = call;
  if (!(error instanceof ServingError) || error.id === "cancelled" || parent?.isEnded) return;
  const kept: Kept = { ...call, error, isHeard };
  if (parent === undefined) setImmediate(tell, kept);
  else keep(parent, kept);
}

function keep(parent: CallScope, kept: Kept): void {
  let list = keptOf.get(parent);
  if (list === undefined) {
    const own: Kept[] = [];
    keptOf.set(parent, (list = own));
    // Of an api that was cancelled nobody knows what it would have looked at.
    parent.onEnd(() => {
      if (parent.reason === undefined) own.forEach(tell);
    });
  }
  list.push(kept);
  if (list.length > maxKept) list.splice(0).forEach(tell);
}

function tell({ isHeard, error, callee, caller, parent, requestId, log }: Kept): void {
  if (isHeard()) return;
  const fields = {
    ...(caller.api !== "" && { api: caller.api }),
    ...(requestId !== undefined && { requestId }),
    ...{ callee, failure: error.id, err: error },
  };
  const who = caller.api === "" ? caller.service : `${caller.service}.${caller.api}`;
  const when = parent === undefined ? "nobody was waiting for it" : `${who} never looked at it`;
  log.warn(
    fields,
    `${callee}, called by ${who}, failed and ${when}: ${error.message}; await the call, or catch its failure`,
  );
}
