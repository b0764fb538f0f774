import { fail } from "../failure/fail.js";
import { settlePromises } from "./settle-promises.js";

/** Deeper than this a value is refused; it is then almost certainly a cycle. */
export const maxValueDepth = 100;

/** What made a value impossible to send, and where: the path grows on the way back up, so that the good case builds none. */
export class Refusal {
  path = "";
  readonly what: string;
  constructor(what: string) {
    this.what = what;
  }
}

/**
 * Whatever was thrown while an item was looked at, with one more step at the start of its path if it is a refusal.
 *
 * @param step How the item is reached from what holds it: an index, or a text like `".name"`.
 */
export function addStep(thrown: unknown, step: string | number): unknown {
  if (thrown instanceof Refusal) thrown.path = (typeof step === "number" ? `[${step}]` : step) + thrown.path;
  return thrown;
}

/**
 * Whatever was thrown while a value was looked at; of a refusal, the failure its caller gets. Promises inside the value are settled.
 *
 * @returns `not_transferable` (an input) or `output_not_transferable` for a refusal, naming the path.
 */
export function refuseValue(thrown: unknown, name: "input" | "output", value: unknown): unknown {
  settlePromises(value);
  if (!(thrown instanceof Refusal)) return thrown;
  const id = name === "input" ? "not_transferable" : "output_not_transferable";
  return fail(id, { path: name + thrown.path, what: thrown.what });
}

/** What a value that can't be sent is, in words: `"a function"`. */
export function describeValue(value: unknown): string {
  if (typeof value === "function") return "a function";
  if (typeof value === "symbol") return "a symbol";
  try {
    return describeObject(value as object);
  } catch {
    return "an object that can't be read";
  }
}

function describeObject(value: object): string {
  if (value instanceof Promise) return "a Promise (await it first)";
  if (ArrayBuffer.isView(value)) return `a ${value.constructor.name}`;
  const name: unknown = value.constructor?.name;
  return typeof name === "string" && name !== "" ? `an instance of class ${name}` : "an object that is not plain data";
}

/** A value nested too deeply. */
export const tooDeep = (): Refusal => new Refusal(`nested more than ${maxValueDepth} levels deep, or contains itself`);

/** A record that would set the prototype of whatever it is assigned to. */
export const forbiddenKey = (): Refusal => new Refusal("an object with a key __proto__");
