import { isError, maxTextLength, readCauses, readField, readText, textOf } from "./read-thrown.js";

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
export function tameFields(fields: object): object {
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
