import { isPlainObject } from "../base/promised-input.js";
import { fail } from "../failure/failures.js";

/**
 * Types that a program registers with ekiben, by a declaration in any of its files:
 *
 * `declare module "ekiben" { interface Register { context: ContextOf<typeof app> } }`
 */
// biome-ignore lint/suspicious/noEmptyInterface: programs add the fields
export interface Register {}

/** Type of `currentCall().context`: the registered one, else `unknown`. */
export type CallContext = Register extends { readonly context: infer Context } ? Context : unknown;

/** Largest context, in bytes of its JSON text: it travels with every call of the request. */
const maxContextBytes = 16 * 1024;
const maxContextDepth = 32;

/**
 * Copies the context of a request. The copy is JSON data, frozen at every level; a field that is `undefined` is left
 * out, as in JSON.
 *
 * @throws {ServingError} `invalid_context` for anything that JSON doesn't carry unchanged, or that is too large; it
 *   names the place, never the value.
 */
export function copyContext(value: unknown): unknown {
  if (value === undefined) return undefined;
  const copy = copyData(value, "context", 0, { left: maxContextBytes });
  const bytes = Buffer.byteLength(JSON.stringify(copy));
  if (bytes > maxContextBytes) refuse("context", `${bytes} bytes of JSON, of which ${maxContextBytes} are allowed`);
  return copy;
}

/** Characters that the rest of a value may have. It ends the walk through a value that is far too large. */
interface Room {
  left: number;
}

function copyData(value: unknown, path: string, depth: number, room: Room): unknown {
  room.left -= typeof value === "string" ? value.length + 1 : 1;
  if (room.left < 0) refuse("context", `more than ${maxContextBytes} bytes of JSON`);
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      if (!Number.isFinite(value)) refuse(path, String(value));
      return value === 0 ? 0 : value;
    case "object":
      if (value === null) return null;
      if (depth >= maxContextDepth) refuse("context", `nested more than ${maxContextDepth} levels deep`);
      return Object.freeze(copyItems(value, path, depth + 1, room));
    default:
      return refuse(path, value === undefined ? "undefined" : `a ${typeof value}`);
  }
}

function copyItems(value: object, path: string, depth: number, room: Room): object {
  if (Array.isArray(value)) return Array.from(value, (item, i) => copyData(item, `${path}[${i}]`, depth, room));
  if (!isPlainObject(value)) refuse(path, nameClass(value));
  const fields: [string, unknown][] = [];
  for (const key of Object.keys(value)) {
    const item = (value as Record<string, unknown>)[key];
    if (item === undefined) continue;
    room.left -= key.length + 1;
    if (key === "__proto__") refuse(path, "an object with a field __proto__");
    fields.push([key, copyData(item, `${path}.${key}`, depth, room)]);
  }
  return Object.fromEntries(fields);
}

function nameClass(value: object): string {
  const { name } = (value.constructor ?? {}) as { name?: unknown };
  return `a value of class ${typeof name === "string" && name !== "" ? name.slice(0, 80) : "without a name"}`;
}

function refuse(path: string, what: string): never {
  throw fail("invalid_context", { path: path.slice(0, 200), what });
}

/**
 * Freezes data that was just parsed, at every level.
 *
 * @returns `undefined` for data that no context has: it is nested too deep.
 */
export const freezeContext = (value: unknown): unknown => (freezeData(value, 0) ? value : undefined);

function freezeData(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  if (depth >= maxContextDepth) return false;
  Object.freeze(value);
  return Object.values(value).every((item) => freezeData(item, depth + 1));
}
