import { closeSync, openSync, readSync } from "node:fs";
import { fail } from "../failure/failures.js";
import { systemProblem } from "../failure/read-thrown.js";

/** Marks secrets of every copy of ekiben. */
const marker: unique symbol = Symbol.for("ekiben.secret");

/** Text that stands for a secret wherever it is printed. */
const printed = "***";

/** Largest file of a secret, in bytes: Kubernetes has the same limit. */
const maxBytes = 1024 ** 2;

/** Text that must not be printed, such as a password or the key of an api. Made by `secret()`. */
export class Secret {
  readonly [marker] = true;
  // Private: nothing that prints an object sees it, and a copy for another thread does not have it.
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
  }

  /** Name of the environment variable. It may be shown, unlike the text. */
  get variable(): string {
    return this.#name;
  }

  /**
   * Reads the text: that of the environment variable, or that of the file which the variable `…_FILE` names, without
   * a newline at its end. A file is read each time, since Docker and Kubernetes may replace it.
   *
   * @throws {ServingError} `secret_missing`, `secret_unreadable`.
   */
  value(): string {
    const name = this.#name;
    const { [name]: text = "", [`${name}_FILE`]: file = "" } = process.env;
    if (text === "" && file === "") throw fail("secret_missing", { name });
    if (file === "") return text;
    if (text !== "") throw fail("secret_unreadable", { name, problem: `${name} and ${name}_FILE are both set` });
    return readFile(name, file);
  }

  toString(): string {
    return printed;
  }

  toJSON(): string {
    return printed;
  }

  /** Text of `console.log` and `util.inspect`. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return printed;
  }
}

const made = new Map<string, Secret>();

/**
 * Names a text of the environment that must not be printed: `secret("OPENAI_KEY")`.
 *
 * It is read when it is used, by `value()`: from the environment variable of that name, or from the file that the
 * variable with `_FILE` at its end names. Everything that prints it prints `***`. It may stand in the option `env`.
 */
export function secret(name: string): Secret {
  const own = made.get(name) ?? new Secret(name);
  made.set(name, own);
  return own;
}

export const isSecret = (value: unknown): value is Secret =>
  typeof value === "object" && value !== null && (value as { [marker]?: unknown })[marker] === true;

function readFile(name: string, file: string): string {
  const refuse = (problem: string, cause?: unknown) => fail("secret_unreadable", { name, problem }, { cause });
  let text: string;
  try {
    text = readStart(file);
  } catch (error) {
    throw refuse(`${file}: ${systemProblem(error)}`, error);
  }
  if (text === "") throw refuse(`${file} is empty`);
  if (Buffer.byteLength(text) > maxBytes) throw refuse(`${file} has more than ${maxBytes} bytes`);
  return text.replace(/\r?\n$/, "");
}

/** Reads a little more than the limit at most: the file may be endless. */
function readStart(file: string): string {
  const bytes = Buffer.alloc(maxBytes + 1);
  const handle = openSync(file, "r");
  try {
    let length = 0;
    for (let read = -1; read !== 0 && length < bytes.length; length += read) {
      read = readSync(handle, bytes, length, bytes.length - length, null);
    }
    return bytes.toString("utf8", 0, length);
  } finally {
    closeSync(handle);
  }
}
