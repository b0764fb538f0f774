import { randomUUID } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { api, currentCall, Service, ServingError } from "ekiben";
import { z } from "zod";
import { formatValue } from "../describe-value.js";
import { createSeen, Journal } from "./journal.js";

const nested = { page: 7, tried: ["a", { b: null, c: [1.5, true] }], "with space": "ä\n\ud800" };

class PageError extends ServingError {
  readonly extra = "only here";
}

/** Errors that are thrown many times, as authors may do. */
const kept = new ServingError({ code: "aborted", message: "kept", details: { list: [1] } });

/** Thrown values, by name. */
const thrown: Readonly<Record<string, () => unknown>> = {
  own: () => new ServingError({ code: "not_found", id: "no_such_page", message: "page 7 of 3", details: nested }),
  bare: () => new ServingError({ code: "unavailable", message: "later" }),
  overridden: () =>
    new ServingError({
      code: "internal",
      id: "odd",
      message: "",
      retryable: true,
      httpStatus: 418,
      service: "Else",
      api: "where",
    }),
  subclass: () => new PageError({ code: "out_of_range", id: "page", message: "page 9 of 3" }),
  caused: () => new ServingError({ code: "data_loss", message: "caused", cause: new Error("the disk") }),
  logged: () => new ServingError({ code: "data_loss", message: "logged", cause: new RangeError("the tape") }),
  kept: () => kept,
  "rich details": () =>
    new ServingError({
      code: "not_found",
      id: "rich",
      message: "rich",
      details: {
        when: new Date(5),
        big: 3n,
        odd: [Number.NaN, -0],
        none: undefined,
        raw: Uint8Array.of(1),
        map: new Map([[1, 2]]),
      },
    }),
  "details that can't cross": () =>
    new ServingError({ code: "not_found", id: "crossing", message: "crossing", details: { ok: 1, run: () => 1 } }),
  "endless details": () => {
    const details: Record<string, unknown> = {};
    details["self"] = details;
    return new ServingError({ code: "not_found", id: "endless", message: "endless", details });
  },
  error: () => new TypeError("cannot read x"),
  "an error without text": () => new RangeError(""),
  "an error with fields": () => Object.assign(new Error("with fields"), { code: "ENOENT", status: 404 }),
  "a long text": () => new Error("x".repeat(100_000)),
  "an own long text": () => new ServingError({ code: "not_found", id: "long", message: "y".repeat(100_000) }),
  string: () => "a string",
  undefined: () => undefined,
  null: () => null,
  number: () => 7,
  object: () => ({ code: "not_found", message: "looks like one" }),
  "an object without a prototype": () => Object.create(null),
};

export const throwables: readonly string[] = Object.keys(thrown);

/** Throws the requested value; tests kill it. */
export class Faulty extends Service() {
  readonly #journal = new Journal();
  #instance = "";

  override start(): void {
    this.#instance = randomUUID();
  }

  seen = createSeen(this.#journal);
  instance = api({ output: z.string() }, () => this.#instance);
  fail = api({ input: z.string(), output: z.any() }, async (name) => {
    throw thrown[name]?.();
  });
  /** Throws before it returns a promise. */
  failAtOnce = api({ input: z.string(), output: z.any() }, (name) => {
    throw thrown[name]?.();
  });
  details = api({ output: z.string() }, () => formatValue(kept.details));

  hold = api({ input: z.string(), output: z.string() }, (name) => this.#journal.hold(name));
  endless = api({ input: z.string(), yields: z.number() }, async function* () {
    for (let i = 0; ; i++) yield i;
  });
  /** Hangs in its first run, which leaves a file behind, and answers in its second. */
  attempt = api(
    { input: z.object({ file: z.string(), value: z.any().optional() }), output: z.string(), idempotent: true },
    (call) => this.#attempt(call),
  );

  async #attempt({ file, value }: { file: string; value?: unknown }): Promise<string> {
    if (existsSync(file)) return `second life: ${formatValue(value)}`;
    writeFileSync(file, "");
    this.#journal.note(`${file} begun`);
    const { signal } = currentCall();
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    return "first life";
  }
}
