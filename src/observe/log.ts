import { createRequire } from "node:module";
import type { Logger } from "../base/logger.js";
import { isError, maxTextLength, readCauses, readField, readText, textOf } from "../failure/read-thrown.js";
import { createStderrSink, createStdoutSink, type LineSink, LineWriter } from "./line-writer.js";

/** Logger that owns its output. */
export interface LogOutput {
  readonly log: Logger;
  /** Writes all lines still held back; called when a server closes. */
  flush(): void;
}

/**
 * Creates a logger that writes JSON lines to stdout or stderr, by pino. Lines are held back for at most 200 ms. An
 * error is written at once, with the lines before it; a process that ends writes the rest. No caller waits for a
 * reader: see `LineWriter`.
 *
 * Pino is loaded with the first line: most replicas never write one, and pino takes 5 MiB in each.
 */
export function createLog(level: string, to: "stdout" | "stderr" = "stdout"): LogOutput {
  let output: LogOutput | undefined;
  const open = () => (output ??= openLog(level, to === "stdout" ? createStdoutSink : createStderrSink));
  const log = new GuardedLog(() => open().log, {}, levelsBelow(level));
  return { log, flush: () => output?.flush() };
}

function openLog(level: string, createSink: () => LineSink): LogOutput {
  const { pino } = createRequire(import.meta.url)("pino") as typeof import("pino");
  const lines = new LineWriter(createSink());
  const log = pino({ level, hooks: { logMethod: writeErrorsAtOnce } }, lines);
  process.once("exit", () => lines.flushLast());
  function writeErrorsAtOnce(this: unknown, args: unknown[], method: (...args: unknown[]) => void, number: number) {
    method.apply(this, args);
    if (number >= 50) lines.flush();
  }
  return { log: log as unknown as Logger, flush: () => lines.flush() };
}

const levels = ["debug", "info", "warn", "error"] as const;
type Level = (typeof levels)[number];

/** Returns the levels that are not written. Their lines are dropped at once: `debug` costs nothing when it is off. */
function levelsBelow(least: string): readonly Level[] {
  const index = levels.indexOf(least as Level);
  return index < 0 ? levels : levels.slice(0, index);
}

/**
 * Logger that never throws, for any fields, and writes each field once.
 *
 * Values that are too large, too deep or unreadable are cut; see `tameFields`. A line that its output still refuses is
 * lost.
 */
class GuardedLog implements Logger {
  readonly #open: () => Logger;
  readonly #fields: Record<string, unknown>;
  readonly #skipped: readonly Level[];

  /**
   * @param open   Returns the logger to write to; called for each line.
   * @param fields Fields of each line; fields of the line itself win.
   * @param skipped Levels that are not written.
   */
  constructor(open: () => Logger, fields: Record<string, unknown> = {}, skipped: readonly Level[] = []) {
    this.#open = open;
    this.#fields = fields;
    this.#skipped = skipped;
  }

  debug(fields: object | string, message?: string): void {
    this.#write("debug", fields, message);
  }

  info(fields: object | string, message?: string): void {
    this.#write("info", fields, message);
  }

  warn(fields: object | string, message?: string): void {
    this.#write("warn", fields, message);
  }

  error(fields: object | string, message?: string): void {
    this.#write("error", fields, message);
  }

  child(fields: Record<string, unknown>): Logger {
    return new GuardedLog(this.#open, { ...this.#fields, ...tameFields(fields) }, this.#skipped);
  }

  #write(level: Level, given: unknown, message: string | undefined): void {
    if (this.#skipped.includes(level)) return;
    try {
      const { fields, text } = readLine(given, message);
      const own = { ...this.#fields, ...tameFields(fields) };
      if (text === undefined) this.#open()[level](own);
      else this.#open()[level](own, text.slice(0, maxTextLength));
    } catch {
      // The output is gone, so the error can't be reported.
    }
  }
}

/** Guards a logger that an author passed in; returns a guarded one as it is. */
export const guardLog = (log: Logger): Logger => (log instanceof GuardedLog ? log : new GuardedLog(() => log));

/** Splits the arguments of a log call: a text or an error may stand alone, as with pino. */
function readLine(given: unknown, message: string | undefined): { fields: object; text: string | undefined } {
  if (isError(given)) return { fields: { err: given }, text: message ?? readText(given, "message") };
  if (typeof given === "object" && given !== null) return { fields: given, text: message };
  return { fields: {}, text: message ?? textOf(given) };
}

// The fields of a log line are arbitrary values of an author. A logger walks through each value, marks errors, and
// calls functions it finds. So it gets only small and readable values.

/** Most values in one line, and their largest depth. */
const maxValues = 2_000;
const maxDepth = 12;
const maxCauses = 8;
const maxErrors = 8;
/** Most characters of all texts of a line. */
const maxLineText = 128 * 1024;

interface Room {
  values: number;
  text: number;
}

/**
 * Returns the fields themselves when a logger can write them: plain, small, without accessors that throw. Otherwise
 * returns a copy with cut texts, without excess or too deep values, and with errors as plain objects. Never throws.
 */
function tameFields(fields: object): object {
  if (isTameLine(fields)) return fields;
  const copy = copyValue(fields, createRoom(), 0, []);
  return typeof copy === "object" && copy !== null ? copy : { fields: copy };
}

function isTameLine(fields: object): boolean {
  try {
    return isTame(fields, createRoom(), 0);
  } catch {
    return false;
  }
}

const createRoom = (): Room => ({ values: maxValues, text: maxLineText });

function isTame(value: unknown, room: Room, depth: number): boolean {
  if (--room.values < 0 || depth > maxDepth) return false;
  if (typeof value === "string") return value.length <= maxTextLength && (room.text -= value.length) >= 0;
  if (typeof value !== "object" || value === null) return true;
  if (ArrayBuffer.isView(value)) return value.byteLength <= maxTextLength;
  if (isError(value)) return isTameError(value, room, depth);
  if (Array.isArray(value)) return value.length <= maxValues && value.every((item) => isTame(item, room, depth + 1));
  return areTame(value, room, depth);
}

function areTame(holder: object, room: Room, depth: number): boolean {
  // JSON.stringify would call toJSON, whatever it does.
  if (typeof (holder as { toJSON?: unknown }).toJSON === "function" && !(holder instanceof Date)) return false;
  const keys = Object.keys(holder);
  return (
    keys.length <= maxValues &&
    keys.every(
      (key) => key.length <= maxTextLength && isTame((holder as Record<string, unknown>)[key], room, depth + 1),
    )
  );
}

function isTameError(error: Error, room: Room, depth: number): boolean {
  // Loggers mark errors that they have seen.
  if (!Object.isExtensible(error) || depth > maxCauses) return false;
  const { name, message, stack, cause } = error;
  const texts = [name, message, stack ?? ""];
  if (!texts.every((text) => typeof text === "string" && isTame(text, room, depth))) return false;
  const { errors } = error as { errors?: unknown };
  return isTame(cause, room, depth + 1) && isTame(errors, room, depth + 1) && areTame(error, room, depth);
}

function copyValue(value: unknown, room: Room, depth: number, above: readonly object[]): unknown {
  if (typeof value === "string") return takeText(value, room);
  if (typeof value === "bigint") return String(value);
  if (typeof value !== "object" || value === null) return value;
  if (--room.values < 0) return "(left out)";
  if (above.includes(value)) return "(contains itself)";
  if (depth > maxDepth) return "(too deep)";
  try {
    return copyObject(value, room, depth, [...above, value]);
  } catch {
    return "(can't be read)";
  }
}

function copyObject(value: object, room: Room, depth: number, above: readonly object[]): unknown {
  if (isError(value)) return copyError(value, room, depth, above);
  if (ArrayBuffer.isView(value)) return `(${textOf(value.constructor.name)} of ${value.byteLength} bytes)`;
  const { toJSON } = value as { toJSON?: unknown };
  if (typeof toJSON === "function") return copyValue(toJSON.call(value), room, depth + 1, above);
  if (Array.isArray(value)) return copyList(value, room, depth, above);
  return copyRecord(value, room, depth, above);
}

function copyList(list: readonly unknown[], room: Room, depth: number, above: readonly object[]): unknown[] {
  const copies: unknown[] = [];
  for (let i = 0; i < list.length; i++) {
    if (--room.values < 0) return [...copies, `(${list.length - i} more)`];
    copies.push(copyValue(list[i], room, depth + 1, above));
  }
  return copies;
}

function copyRecord(holder: object, room: Room, depth: number, above: readonly object[]): Record<string, unknown> {
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(holder)) {
    if (--room.values < 0) break;
    const item = readOrSay(holder, key);
    Object.defineProperty(copy, takeText(key, room), {
      ...{ value: copyValue(item, room, depth + 1, above), enumerable: true, writable: true, configurable: true },
    });
  }
  return copy;
}

/**
 * Copies an error as loggers write it: type, message, stack with those of its causes, its inner errors and own fields.
 */
function copyError(error: Error, room: Room, depth: number, above: readonly object[]): Record<string, unknown> {
  const causes = readCauses(error, maxCauses);
  const stacks = [error, ...causes].map((own) => readText(own, "stack") ?? textOf(readText(own, "message") ?? own));
  const errors = readField(error, "errors");
  return {
    type: takeText(readText(error, "name") ?? "Error", room),
    message: takeText(readText(error, "message") ?? "", room),
    stack: takeText(stacks.join("\ncaused by: "), room),
    ...(Array.isArray(errors) && { aggregateErrors: copyList(errors.slice(0, maxErrors), room, depth, above) }),
    ...copyRecord(error, room, depth, above),
  };
}

function readOrSay(holder: object, key: string): unknown {
  try {
    return (holder as Record<string, unknown>)[key];
  } catch {
    return "(can't be read)";
  }
}

function takeText(text: string, room: Room): string {
  const most = Math.max(0, Math.min(maxTextLength, room.text));
  room.text -= Math.min(text.length, most);
  return text.length <= most ? text : `${text.slice(0, most)}… (${text.length} characters)`;
}
