import { AsyncLocalStorage } from "node:async_hooks";
import { loadedVersions, shareState } from "../base/shared-state.js";
import { fail } from "../failure/fail.js";
import type { CallScope, CurrentCall } from "./call-scope.js";

/** Where code of a caller's runs that makes the items of another call's input: in its own call, for that one. */
interface Feeding {
  readonly isFeeding: true;
  readonly scope: CallScope | undefined;
  readonly reader: CallScope;
}

const storage = shareState("calls", () => new AsyncLocalStorage<CallScope | Feeding | undefined>());

const isFeeding = (place: CallScope | Feeding | undefined): place is Feeding =>
  (place as Partial<Feeding> | undefined)?.isFeeding === true;

/** What runs here, as `scopeOf` and `readerOf` read it; `undefined` where no api does. */
export type Place = CallScope | Feeding | undefined;

export const currentPlace = (): Place => storage.getStore();

/** The scope of the api that runs at a place. */
export const scopeOf = (place: Place): CallScope | undefined => (isFeeding(place) ? place.scope : place);

/** The call whose input is being made at a place. */
export const readerOf = (place: Place): CallScope | undefined => (isFeeding(place) ? place.reader : undefined);

/** The scope of the api that is running here, if one is. */
export const currentScope = (): CallScope | undefined => scopeOf(currentPlace());

/** As `runInScope`, for code that makes the input of the call `reader`. */
export function runFor<I, T>(scope: CallScope | undefined, reader: CallScope, run: (input: I) => T, input: I): T {
  return storage.run({ isFeeding: true, scope, reader }, run, input);
}

/** Runs `run` so that `currentCall()` and the handles called in it belong to `scope`, or to none. */
export function runInScope<I, T>(scope: CallScope | undefined, run: (input: I) => T, input: I): T {
  return storage.run(scope, run, input);
}

/**
 * The call that is being answered: signal, deadline, remaining time, trace, caller, headers and a logger.
 *
 * @throws {ServingError} `no_current_call` where no api is running.
 */
export function currentCall(): CurrentCall {
  const scope = currentScope();
  if (scope === undefined) throw fail("no_current_call", { versions: loadedVersions() });
  return scope;
}
