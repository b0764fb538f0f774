import { AsyncLocalStorage } from "node:async_hooks";
import { loadedVersions, shareState } from "../base/shared-state.js";
import { fail } from "../failure/fail.js";
import type { CallScope, CurrentCall } from "./call-scope.js";

const storage = shareState("calls", () => new AsyncLocalStorage<CallScope | undefined>());

/** The scope of the api that is running here, if one is. */
export const currentScope = (): CallScope | undefined => storage.getStore();

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
  const scope = storage.getStore();
  if (scope === undefined) throw fail("no_current_call", { versions: loadedVersions() });
  return scope;
}
