import { fail } from "../failure/failures.js";

/** Bounds of a JSON text. */
export interface JsonLimits {
  /** Levels of lists and objects. */
  readonly maxBodyDepth: number;
  /** Numbers, texts, lists, objects and so on. */
  readonly maxBodyValues: number;
  /** Of a body of several texts, a form: the values of those that were read, which count for the next one too. */
  readonly read?: { values: number };
}

/**
 * Refuses what was parsed of a JSON text when it has a key that could reach a prototype.
 *
 * Recursive: the depth was checked before.
 *
 * @throws {ServingError} `forbidden_key`.
 */
export function refuseForbiddenKeys(text: string, value: unknown): void {
  if (mayHoldForbiddenKey(text)) refuseIn(value);
}

/** `\\u` may spell any of the keys in another way. */
const mayHoldForbiddenKey = (text: string): boolean =>
  text.includes("__proto__") || text.includes("constructor") || text.includes("\\u");

function refuseIn(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  if (Array.isArray(value)) {
    for (const item of value) refuseIn(item);
    return;
  }
  for (const key of Object.keys(value)) {
    const item = (value as Record<string, unknown>)[key];
    if (key === "__proto__") throw fail("forbidden_key", { key });
    if (key === "constructor" && typeof item === "object" && item !== null && Object.hasOwn(item, "prototype")) {
      throw fail("forbidden_key", { key: "constructor.prototype" });
    }
    refuseIn(item);
  }
}
