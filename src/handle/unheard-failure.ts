import type { Logger } from "../base/logger.js";
import type { Caller } from "../call/call.js";
import { type CallPromise, settleQuietly } from "../call/call-promise.js";
import type { CallScope } from "../call/call-scope.js";
import { ServingError } from "../failure/serving-error.js";

// Failures of calls whose promise is never read.
//
// XU1  Such a failure is never an unhandled rejection, which would end the process.
// XU2  A call that its api left open, or that its own signal cancelled, ends without a log line.
// XU3  A call that failed by itself is one line of the log, unless its promise is read before the api that made it has
//      ended, or, for a call that no api made, before the next turn of the event loop.

/** One call, as a log line names it. */
export interface UnheardCall {
  /** `"Model.predict"`. */
  readonly callee: string;
  readonly caller: Caller;
  /** Scope of the api that made the call; absent when no api did, and for a detached call. */
  readonly parent: CallScope | undefined;
  readonly requestId: string | undefined;
  /** Logger of the replica or program that made the call. */
  readonly log: Logger;
}

/** Most unread failures that one api keeps. An api that runs for ever and reads none has the rest logged at once. */
const maxKept = 64;

interface Kept extends UnheardCall {
  readonly error: ServingError;
  readonly isHeard: () => boolean;
}

const keptOf = new WeakMap<CallScope, Kept[]>();

/**
 * Notes the failure of a promise that is about to be rejected, or resolved with a promise that will be: see XU1 to XU3.
 */
export function noteFailure(promise: CallPromise<unknown>, error: unknown, call: UnheardCall): void {
  if (promise.isHeard) return;
  settleQuietly(promise);
  noteUnheard(error, call, () => promise.isHeard);
}

/** Notes a failure that has no promise: of a stream that is never read. */
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
    // An api that was cancelled might have read its failures later: they are not logged.
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
    callee,
    failure: error.id,
    err: error,
  };
  const who = caller.api === "" ? caller.service : `${caller.service}.${caller.api}`;
  const when = parent === undefined ? "no caller was waiting for it" : `${who} never read its result`;
  log.warn(
    fields,
    `${callee}, called by ${who}, failed, and ${when}: ${error.message}; await the call, or catch its failure`,
  );
}
