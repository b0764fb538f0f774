import { createRequire } from "node:module";
import type { Logger } from "../base/logger.js";
import { isError, maxTextLength, readCauses, readField, readText, textOf } from "../failure/read-thrown.js";
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

type Level = "debug" | "info" | "warn" | "error";

/**
 * A logger that never throws, whatever it is given, and says each field once.
 *
 * What is too large, too deep or can't be read is cut; see `tameFields`. A line that its output refuses all the same is lost.
 */
class GuardedLog implements Logger {
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

// The fields of a log line are any values of an author's. A logger goes through all of each, writes marks on errors, and calls
// what it finds there; so it is given only what is small, and can be read.

/** Values in one line, and how deep they lie. */
const maxValues = 2_000;
const maxDepth = 12;
const maxCauses = 8;
const maxErrors = 8;
/** Characters of all texts of a line. */
const maxLineText = 128 * 1024;

interface Room {
  values: number;
  text: number;
}

/**
 * The fields themselves, where a logger can write them: plain, small, without accessors that throw. Otherwise a copy in which
 * texts are cut, what is too much or too deep is left out, and errors are plain objects. Never throws.
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
  // JSON.stringify would call it, whatever it does.
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
  // Loggers note on an error that they have seen it.
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

/** As loggers write errors: type, message, stack with that of its causes, the errors it stands for, and its own fields. */
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
