import { api, file, Service, tensor } from "ekiben";
import { z } from "zod";
import { createCount, createNote, createSeen, Journal } from "./journal.js";

const name = { input: z.string(), output: z.string() };
const cached = { idempotent: true, cache: { ttlMs: 60_000 } };

/** Keeps its answers, and counts its runs as `"<input> begun"`. */
export class Keeper extends Service() {
  readonly #journal = new Journal();

  seen = createSeen(this.#journal);
  count = createCount(this.#journal);
  note = createNote(this.#journal);

  /** Runs until it is released. */
  hold = api({ ...name, ...cached }, (text) => this.#journal.hold(text));
  say = api({ ...name, ...cached, maxConcurrent: 1, maxQueued: 1 }, (text) => {
    this.#journal.note(`${text} begun`);
    return text.startsWith("stay ") ? this.#journal.hold(text) : text;
  });
  fail = api({ ...name, ...cached }, (text) => {
    this.#journal.note(`${text} begun`);
    if (this.#journal.count(`${text} begun`) === 1) throw new RangeError(`out of ${text}`);
    return text;
  });
  wrong = api({ ...name, ...cached }, (text) => {
    this.#journal.note(`${text} begun`);
    return this.#journal.count(`${text} begun`) === 1 ? (7 as unknown as string) : text;
  });
  list = api(
    { input: z.object({ name: z.string(), by: z.string().transform(Number) }), output: z.any(), ...cached },
    (given) => {
      this.#journal.note(`${given.name} begun`);
      return { given, list: [1, 2] };
    },
  );
  scale = api(
    { input: { values: tensor("float32", ["n"]), by: z.number() }, output: tensor("float32", ["n"]), ...cached },
    ({ values, by }) => {
      this.#journal.note(`scale ${values.data.join(" ")} by ${by} begun`);
      return { ...values, data: values.data.map((value) => value * by) };
    },
  );
  copy = api({ input: file(), output: file(), ...cached }, async (given) => {
    this.#journal.note(`copy ${await given.text()} begun`);
    return given;
  });
  rows = api({ input: z.array(z.string()), output: z.array(z.string()), batch: { maxRows: 8 }, ...cached }, (rows) => {
    for (const row of rows) this.#journal.note(`${row} begun`);
    return rows.map((row) => row.toUpperCase());
  });
}
