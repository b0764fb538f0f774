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

/** Counted before parsing, so that a body of brackets never becomes objects. Brackets in strings do not count. */
function isDeeper(text: string, maxDepth: number): boolean {
  if (hasFewBrackets(text, maxDepth)) return false;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x22: // "
        at = endOfString(text, at + 1);
        break;
      case 0x5b: // [
      case 0x7b: // {
        if (++depth > maxDepth) return true;
        break;
      case 0x5d: // ]
      case 0x7d: // }
        depth--;
    }
  }
  return false;
}

/** Nearly every body has fewer brackets than it may have levels; searching for them is faster than reading. */
function hasFewBrackets(text: string, max: number): boolean {
  if (text.length <= max) return true;
  let count = 0;
  for (let at = text.indexOf("["); at >= 0; at = text.indexOf("[", at + 1)) if (++count > max) return false;
  for (let at = text.indexOf("{"); at >= 0; at = text.indexOf("{", at + 1)) if (++count > max) return false;
  return true;
}

/** Index of the quote that ends a string whose text starts at `from`; the text's length when none does. */
function endOfString(text: string, from: number): number {
  for (let at = text.indexOf('"', from); at >= 0; at = text.indexOf('"', at + 1)) {
    let slashes = 0;
    while (text.charCodeAt(at - 1 - slashes) === 0x5c) slashes++;
    if (slashes % 2 === 0) return at;
  }
  return text.length;
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
