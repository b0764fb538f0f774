import type { Logger } from "../base/logger.js";
import { currentScope } from "../call/invoke.js";
import { isEndOfOpenCall } from "../call/passed-deadline.js";
import { messageOf } from "../failure/to-serving-error.js";

// Rejections of the author's promises that no code handles. Node would end the process for each.
//
// MB1  A promise that only waited for a call which its api left open is ignored, as that call is.
// MB2  Any other rejection from an api is logged as one error that names the api. The process continues.
// MB3  In a process that runs only ekiben's services, MB2 also holds for rejections from `start()` or a timer. In any
//      other program they behave as if ekiben were not loaded.

/** One reason to watch for unhandled rejections. */
interface BackgroundWatch {
  /** Log of the replica or of the server. */
  readonly log: Logger;
  /** True when only ekiben's services run in this process. */
  readonly ownsProcess: boolean;
}

const watches = new Set<BackgroundWatch>();

/**
 * Keeps unhandled rejections from ending this process or thread, by MB1 to MB3.
 *
 * @returns A function that ends the watch.
 */
export function watchBackground(watch: BackgroundWatch): () => void {
  if (watches.size === 0) process.on("unhandledRejection", receive);
  watches.add(watch);
  return () => {
    if (watches.delete(watch) && watches.size === 0) process.off("unhandledRejection", receive);
  };
}

function receive(reason: unknown): void {
  if (isEndOfOpenCall(reason)) return;
  const scope = currentScope();
  if (scope !== undefined) {
    const { service, api } = scope.call;
    logRejection(scope.running.log, reason, ` in ${service}.${api}`);
    return;
  }
  const owner = [...watches].find(({ ownsProcess }) => ownsProcess);
  if (owner !== undefined) logRejection(owner.log, reason, "");
  // Node does the same when no listener is there. Other listeners have received the rejection themselves.
  else if (process.listenerCount("unhandledRejection") === 1) throw reason;
}

function logRejection(log: Logger, reason: unknown, where: string): void {
  const what = `a promise${where} was rejected and nothing awaits it`;
  log.error({ err: reason }, `${what}: ${messageOf(reason)}; await it, or catch its failure`);
}
