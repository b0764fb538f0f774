import { isDeeper } from "../base/is-deeper.js";
import { fail } from "../failure/fail.js";
import { checkNumbers } from "./check-numbers.js";
import type { JsonLimits } from "./json-limits.js";
import { JsonSlices } from "./json-slices.js";
import { refuseForbiddenKeys } from "./refuse-forbidden-keys.js";

/** Characters of which any text is parsed and checked within some milliseconds. */
const shortLength = 131_072;
/** Of one text of several: shorter ones are not counted, and a body has a thousand at most. */
const shortPartLength = 512;

/**
 * Parses the JSON text of a body: no key that could reach a prototype, no nesting that could overflow a stack, no more values
 * than a program could look at, no number that would become another one.
 *
 * @throws {ServingError} `body_too_deep`, `too_many_values`, `too_many_fields`, `invalid_json`, `forbidden_key`, `inexact_number`.
 */
export function parseJson(text: string, limits: JsonLimits): unknown {
  return text.length <= Math.min(shortLength, limits.maxBodyValues)
    ? parseShort(text, limits)
    : new JsonSlices(text, limits).parse();
}

/** `parseJson` in slices where the text is long: others have a turn between them, and a promise is given. */
export function parseJsonInTurns(text: string, limits: JsonLimits): unknown | Promise<unknown> {
  const mostShort = limits.read === undefined ? shortLength : shortPartLength;
  return text.length <= Math.min(mostShort, limits.maxBodyValues)
    ? parseShort(text, limits)
    : new JsonSlices(text, limits).parseInTurns();
}

function parseShort(text: string, { maxBodyDepth }: JsonLimits): unknown {
  if (isDeeper(text, maxBodyDepth)) throw fail("body_too_deep", { maxBodyDepth });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw fail("invalid_json", { problem: (error as Error).message });
  }
  refuseForbiddenKeys(text, value);
  checkNumbers(text, value);
  return value;
}
