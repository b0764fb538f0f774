import type { Logger } from "../base/logger.js";
import { currentScope } from "../call/invoke.js";
import { isEndOfOpenCall } from "../call/passed-deadline.js";
import { messageOf } from "../failure/to-serving-error.js";

// Promises of an author's own that were rejected and that nobody awaits. Node would end the process for each.
//
// B1  One that only waited for a call which its api left open ends in silence, as that call does.
// B2  Any other that began in an api is one error line that names the api; the process goes on.
// B3  In a process that runs nothing but replicas the same holds for those that began in `start()` or in a timer. In a program
//     of somebody else's they are as if ekiben were not there.

/** Where rejections are watched for. */
export interface BackgroundWatch {
  /** Of the replica, or of the server. */
  readonly log: Logger;
  /** Whether nothing but ekiben's services runs here. */
  readonly ownsProcess: boolean;
}

const watches = new Set<BackgroundWatch>();

/** Keeps rejections that nobody handles from ending this process or thread: see B1 to B3. @returns What ends the watch. */
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
    tell(scope.running.log, reason, ` in ${service}.${api}`);
    return;
  }
  const owner = [...watches].find(({ ownsProcess }) => ownsProcess);
  if (owner !== undefined) tell(owner.log, reason, "");
  // As Node does where nobody listens; whoever does listen has heard of it.
  else if (process.listenerCount("unhandledRejection") === 1) throw reason;
}

function tell(log: Logger, reason: unknown, where: string): void {
  const what = `a promise${where} was rejected and nobody awaits it`;
  log.error({ err: reason }, `${what}: ${messageOf(reason)}; await it, or catch its failure`);
}
