import { api, currentCall, Service, ServingError, stream } from "ekiben";
import { z } from "zod";
import { formatValue } from "../describe-value.js";
import { spoil } from "./echo.js";
import { createCount, createNote, createSeen, Journal } from "./journal.js";

/** First item of a stream, which tells the reader how to treat the others. */
const order = z.object({
  name: z.string(),
  /** Number of items to read after the first. Default: all. */
  read: z.number().optional(),
  /** Reads one more item only when the journal has `"<name> may read <n>"`. */
  isSlow: z.boolean().optional(),
  after: z.enum(["return", "throw", "hold"]).default("return"),
  /** Answers with the failure of its input. */
  catches: z.boolean().optional(),
});

type Order = z.infer<typeof order>;

/** Reads streams from its callers, and records its progress. */
export class Sink extends Service() {
  readonly #journal = new Journal();

  seen = createSeen(this.#journal);
  count = createCount(this.#journal);
  note = createNote(this.#journal);

  sum = api({ input: stream(z.number()), output: z.number() }, async (numbers) => {
    let sum = 0;
    for await (const number of numbers) sum += number;
    return sum;
  });
  strict = api({ input: stream(z.object({ n: z.number() })), output: z.any() }, async (items) => {
    const read: unknown[] = [];
    for await (const item of items) read.push(item);
    return read;
  });
  describe = api({ input: stream(z.any()), output: z.string() }, async (items) => {
    const read: unknown[] = [];
    for await (const item of items) read.push(item);
    return formatValue(read);
  });
  /** Changes each item after receiving it. */
  spoil = api({ input: stream(z.any()), output: z.string() }, async (items) => {
    const seen: string[] = [];
    for await (const item of items) {
      seen.push(formatValue(item));
      spoil(item);
    }
    return seen.join(" ");
  });
  /** Never reads its input. */
  ignore = api({ input: stream(z.any()), output: z.string() }, async () => "ignored");
  consume = api({ input: stream(z.any()), output: z.any() }, (items) => this.#consume(items));
  /** Runs one call at a time, with one more in its lane. */
  narrow = api({ input: stream(z.any()), output: z.any(), maxConcurrent: 1, maxQueued: 1 }, (items) =>
    this.#consume(items),
  );
  /** May run twice. */
  again = api({ input: stream(z.any()), output: z.any(), idempotent: true }, (items) => this.#consume(items));
  /** Yields its items unchanged, one by one. */
  echo = api({ input: stream(z.any()), yields: z.any() }, async function* (items) {
    for await (const item of items) yield item;
  });
  /** Forwards its input, unread. */
  throughOne = api({ input: stream(z.any()), yields: z.any(), maxConcurrent: 1 }, async function* (items) {
    yield* items;
  });
  through = api({ input: stream(z.number()), yields: z.number() }, (items) => items);
  /** Yields once for each item it has read, and records its end. */
  both = api({ input: stream(z.any()), yields: z.any() }, (items) => this.#both(items));
  who = api({ input: stream(z.any()), output: z.any() }, async (items) => {
    const read: unknown[] = [];
    for await (const item of items) read.push(item);
    const { caller } = currentCall();
    return { caller: `${caller.service}.${caller.api}`, read };
  });

  async #consume(items: AsyncIterable<unknown>): Promise<unknown> {
    const iterator = items[Symbol.asyncIterator]();
    const first = order.parse((await iterator.next()).value);
    const signal = this.#journal.followSignal(first.name);
    this.#journal.note(`${first.name} begun`);
    const read: unknown[] = [];
    try {
      await this.#readAll(first, iterator, read);
    } catch (error) {
      const failure = describeFailure(error);
      this.#journal.note(`${first.name} failed with ${failure.id}`);
      if (first.catches === true) return { read: read.length, failure };
      throw error;
    }
    if (first.after === "throw")
      throw new ServingError({ code: "aborted", id: "had_enough", message: `after ${read.length}` });
    if (first.after === "hold") await this.#journal.hold(`${first.name} held`);
    this.#journal.note(`${first.name} ended, ${signal.aborted ? "aborted" : "not aborted"}`);
    return read;
  }

  async #readAll({ name, read: most, isSlow }: Order, items: AsyncIterator<unknown>, read: unknown[]): Promise<void> {
    for (;;) {
      if (read.length === most) {
        await items.return?.();
        return;
      }
      if (isSlow === true) await this.#journal.whenNoted(`${name} may read ${read.length + 1}`);
      const step = await items.next();
      if (step.done === true) return;
      read.push(step.value);
      this.#journal.note(`${name} read ${read.length}`);
    }
  }

  async *#both(items: AsyncIterable<any>) {
    let name = "";
    try {
      for await (const item of items) {
        if (name === "") {
          name = item.name;
          this.#journal.followSignal(name);
        }
        yield item;
      }
    } finally {
      this.#journal.note(`${name} finally`);
    }
  }
}

function describeFailure(error: unknown) {
  const { id, code, message, service, api, details } = error as ServingError;
  return { id, code, message, service, api, details };
}
