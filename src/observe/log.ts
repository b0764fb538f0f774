import { createRequire } from "node:module";
import type { Logger } from "../base/logger.js";
import { GuardedLog } from "./guarded-log.js";
import { createStdoutSink, LineWriter } from "./line-writer.js";

/** A logger that owns its output. */
export interface LogOutput {
  readonly log: Logger;
  /** Writes what is still held back; called when a server closes. */
  flush(): void;
}

/**
 * JSON lines on stdout, by pino. Held back for at most 200 ms; an ending process writes the rest, and an error is written
 * at once with what came before it. Nothing waits for a reader that is stuck or gone: see `LineWriter`.
 *
 * Pino is loaded with the first line: most replicas never write one, and it takes 5 MiB in each.
 */
export function createLog(level: string): LogOutput {
  let output: LogOutput | undefined;
  const open = () => (output ??= openLog(level));
  return { log: new GuardedLog(() => open().log), flush: () => output?.flush() };
}

function openLog(level: string): LogOutput {
  const { pino } = createRequire(import.meta.url)("pino") as typeof import("pino");
  const lines = new LineWriter(createStdoutSink());
  const log = pino({ level, hooks: { logMethod: writeErrorsAtOnce } }, lines);
  process.once("exit", () => lines.flushLast());
  function writeErrorsAtOnce(this: unknown, args: unknown[], method: (...args: unknown[]) => void, number: number) {
    method.apply(this, args);
    if (number >= 50) lines.flush();
  }
  return { log: log as unknown as Logger, flush: () => lines.flush() };
}
