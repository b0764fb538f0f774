import { api, currentCall, Service, ServingError, Tensor, tensor } from "ekiben";
import { z } from "zod";
import { createNote, createSeen, Journal } from "./journal.js";

const texts = z.array(z.string());
const rows = { input: texts, output: texts };

/** Joins the rows of its callers, and records the rows of each batch. */
export class Batched extends Service() {
  readonly #journal = new Journal();
  readonly #batches: string[] = [];
  readonly #shapes: string[] = [];

  seen = createSeen(this.#journal);
  note = createNote(this.#journal);
  /** Returns the batches that had a row with this name, in order: rows separated by spaces. */
  batches = api({ input: z.string(), output: texts }, (name) => this.#batches.filter((batch) => batch.includes(name)));
  /** Returns the shapes of tensors that `sum` received since the last query. */
  shapes = api({ output: texts }, () => this.#shapes.splice(0));

  /** Converts to upper case. A row `"hold …"` keeps its batch until it is released or all callers have left. */
  upper = api({ ...rows, batch: { maxRows: 4 } }, (texts) => this.#run(texts));
  narrow = api({ ...rows, batch: { maxRows: 1 }, maxQueued: 1 }, (texts) => this.#run(texts));
  again = api({ ...rows, batch: { maxRows: 8 }, idempotent: true }, (texts) => this.#run(texts));
  lose = api({ ...rows, batch: { maxRows: 8 } }, (texts) => texts.slice(1));
  sum = api(
    {
      input: { values: tensor("float32", ["n", "width"]), names: texts },
      output: { sums: tensor("float32", ["n"]), names: texts },
      batch: { maxRows: 8 },
    },
    ({ values, names }) => {
      const [n, width] = values.shape;
      this.#shapes.push(`${n}x${width}`);
      const row = (at: number) => values.data.subarray(at * width, (at + 1) * width);
      const sums = Float32Array.from({ length: n }, (_, at) => row(at).reduce((sum, value) => sum + value, 0));
      return { sums: new Tensor("float32", [n], sums), names };
    },
  );
  caller = api({ ...rows, batch: { maxRows: 8 } }, (texts) => {
    const { requestId, priority, deadline, caller, headers } = currentCall();
    const seen = { requestId, priority, deadline, caller: `${caller.service}.${caller.api}`, headers };
    return texts.map(() => JSON.stringify(seen));
  });

  async #run(texts: readonly string[]): Promise<(string | ServingError)[]> {
    this.#batches.push(texts.join(" | "));
    for (const text of texts) {
      this.#journal.note(`${text} came`);
      if (text.startsWith("hold ")) await this.#journal.hold(text);
      if (text.startsWith("throw ")) throw new RangeError(`can't say ${text}`);
    }
    return texts.map((text) => (text.startsWith("bad ") ? refuse(text) : text.toUpperCase()));
  }
}

const refuse = (text: string) =>
  new ServingError({ code: "invalid_argument", id: "bad_row", message: `no ${text}`, details: { text } });
