import { destination, pino } from "pino";
import type { Logger } from "../base/logger.js";

/** A logger that owns its output. */
export interface LogOutput {
  readonly log: Logger;
  /** Writes what is still held back; called when a server closes. */
  flush(): void;
}

/** Lines are gathered up to this size, or this long: a system call for each would cost as much as the request itself. */
const gatherBytes = 4096;
const gatherMs = 200;

/**
 * JSON lines on stdout, by pino. Held back for at most 200 ms; an ending process writes the rest, and an error is written
 * at once with what came before it.
 */
export function createLog(level: string): LogOutput {
  const output = destination({ fd: 1, sync: false, minLength: gatherBytes, periodicFlush: gatherMs });
  const log = pino({ level, hooks: { logMethod: writeErrorsAtOnce } }, output);
  const flush = () => {
    // Before the file is open there is nothing to flush it to; the lines then go out when it is.
    try {
      output.flushSync();
    } catch {}
  };
  function writeErrorsAtOnce(this: unknown, args: unknown[], method: (...args: unknown[]) => void, number: number) {
    method.apply(this, args);
    if (number >= 50) flush();
  }
  return { log: log as unknown as Logger, flush };
}
