import type { Logger } from "../base/logger.js";
import { textOf } from "../failure/read-thrown.js";
import type { ControlPort } from "../placement/control.js";

const levels = ["debug", "info", "warn", "error"] as const;
type Level = (typeof levels)[number];

/** A logger whose lines the supervisor writes: for terminals, and for programs that gave a logger of their own. */
export function createForwardingLog(port: ControlPort, level: string, base: object = {}): Logger {
  const least = levels.indexOf(level as Level);
  const write = (own: Level) => (fields: object, message?: string) => {
    if (level === "silent" || levels.indexOf(own) < least) return;
    const line = { kind: "log", level: own, message } as const;
    try {
      port.send({ ...line, fields: { ...base, ...fields } });
    } catch {
      // Something in it can't leave this thread; its text can.
      port.send({ ...line, fields: { ...base, text: textOf(Object.values(fields)) } });
    }
  };
  return {
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
    child: (fields) => createForwardingLog(port, level, { ...base, ...fields }),
  };
}
