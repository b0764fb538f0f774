import type { Logger } from "../base/logger.js";
import { isError, maxTextLength, readText, textOf } from "../failure/read-thrown.js";
import { tameFields } from "../failure/tame-fields.js";

type Level = "debug" | "info" | "warn" | "error";

/**
 * A logger that never throws, whatever it is given, and says each field once.
 *
 * What is too large, too deep or can't be read is cut; see `tameFields`. A line that its output refuses all the same is lost.
 */
export class GuardedLog implements Logger {
  readonly #open: () => Logger;
  readonly #fields: Record<string, unknown>;

  /**
   * @param open   Gives where the lines go; asked for each line.
   * @param fields In each line, unless the line says them itself.
   */
  constructor(open: () => Logger, fields: Record<string, unknown> = {}) {
    this.#open = open;
    this.#fields = fields;
  }

  debug(fields: object, message?: string): void {
    this.#write("debug", fields, message);
  }

  info(fields: object, message?: string): void {
    this.#write("info", fields, message);
  }

  warn(fields: object, message?: string): void {
    this.#write("warn", fields, message);
  }

  error(fields: object, message?: string): void {
    this.#write("error", fields, message);
  }

  child(fields: Record<string, unknown>): Logger {
    return new GuardedLog(this.#open, { ...this.#fields, ...tameFields(fields) });
  }

  #write(level: Level, given: unknown, message: string | undefined): void {
    try {
      const { fields, text } = readLine(given, message);
      const own = { ...this.#fields, ...tameFields(fields) };
      if (text === undefined) this.#open()[level](own);
      else this.#open()[level](own, text.slice(0, maxTextLength));
    } catch {
      // Nobody is left to be told.
    }
  }
}

/** A logger of somebody else's, guarded; one that is already stays what it is. */
export const guardLog = (log: Logger): Logger => (log instanceof GuardedLog ? log : new GuardedLog(() => log));

/** A text or an error may stand alone, as loggers of this shape take it. */
function readLine(given: unknown, message: string | undefined): { fields: object; text: string | undefined } {
  if (isError(given)) return { fields: { err: given }, text: message ?? readText(given, "message") };
  if (typeof given === "object" && given !== null) return { fields: given, text: message };
  return { fields: {}, text: message ?? textOf(given) };
}
