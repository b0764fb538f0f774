import { isDeeper } from "../base/is-deeper.js";
import { fail } from "../failure/fail.js";

/**
 * Parses the JSON text of a body: no key that could reach a prototype, no nesting that could overflow a stack.
 *
 * @param maxBodyDepth Levels of arrays and objects allowed.
 * @throws {ServingError} `body_too_deep`, `invalid_json`, `forbidden_key`.
 */
export function parseJson(text: string, maxBodyDepth: number): unknown {
  if (isDeeper(text, maxBodyDepth)) throw fail("body_too_deep", { maxBodyDepth });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw fail("invalid_json", { problem: (error as Error).message });
  }
  if (mayHoldForbiddenKey(text)) refuseForbiddenKeys(value);
  if (holdsInfinity(value)) refuseInfinity(value, "");
  return value;
}

/** `1e999` is valid JSON and no number a program has: it would arrive as Infinity. */
function holdsInfinity(value: unknown): boolean {
  if (typeof value === "number") return !Number.isFinite(value);
  if (typeof value !== "object" || value === null) return false;
  if (Array.isArray(value)) {
    // Long lists are lists of numbers: a millisecond for half a million of them.
    for (const item of value) {
      if (typeof item === "number" ? !Number.isFinite(item) : holdsInfinity(item)) return true;
    }
    return false;
  }
  for (const key in value) if (holdsInfinity((value as Record<string, unknown>)[key])) return true;
  return false;
}

function refuseInfinity(value: unknown, path: string): void {
  if (value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY) {
    throw fail("invalid_json", { problem: `the number at ${path === "" ? "its root" : path} is too large` });
  }
  if (typeof value !== "object" || value === null) return;
  for (const [key, item] of Object.entries(value)) {
    if (typeof item === "string" || Number.isFinite(item)) continue;
    refuseInfinity(item, Array.isArray(value) ? `${path}[${key}]` : path === "" ? key : `${path}.${key}`);
  }
}

/** `\u` may spell any of the keys in another way. */
const mayHoldForbiddenKey = (text: string): boolean =>
  text.includes("__proto__") || text.includes("constructor") || text.includes("\\u");

/** Recursion is safe here: the depth was checked. */
function refuseForbiddenKeys(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  if (Array.isArray(value)) {
    for (const item of value) refuseForbiddenKeys(item);
    return;
  }
  for (const [key, item] of Object.entries(value)) {
    if (key === "__proto__") throw fail("forbidden_key", { key });
    if (key === "constructor" && typeof item === "object" && item !== null && Object.hasOwn(item, "prototype")) {
      throw fail("forbidden_key", { key: "constructor.prototype" });
    }
    refuseForbiddenKeys(item);
  }
}
