import { api, currentCall, depends, Service, ServingError, Tensor, tensor } from "ekiben";
import { z } from "zod";
import { createCount, createNote, createSeen, Journal } from "./journal.js";
import { Work } from "./work.js";

const named = z.object({
  name: z.string(),
  items: z.number().default(Number.MAX_SAFE_INTEGER),
  bytes: z.number().default(0),
});

/** Schema that shows how often its check ran. */
export const marked = z.string().transform((text) => `${text}!`);

/** Yields items, and records its progress and the end of each stream. */
export class Source extends Service() {
  readonly #journal = new Journal();
  readonly #produced = new Map<string, number>();
  work = depends(Work);

  seen = createSeen(this.#journal);
  count = createCount(this.#journal);
  note = createNote(this.#journal);
  produced = api({ input: z.string(), output: z.number() }, (name) => this.#produced.get(name) ?? 0);
  /** Yields through the other side of the diamond. */
  instance = api({ output: z.string() }, () => this.work.instance());
  bump = api({ output: z.number() }, () => this.work.bump());

  numbers = api({ input: z.number(), yields: z.number() }, async function* (to) {
    for (let i = 0; i < to; i++) yield i;
  });
  /** Yields items of a given size, or numbers; counts what it produced and records its end. */
  produce = api({ input: named, yields: z.any() }, (order) => this.#produce(order));
  /** Yields three items, then waits until it is cancelled. */
  stall = api({ input: z.string(), yields: z.number() }, (name) => this.#stall(name));
  /** Does the same as `stall`, one call at a time. */
  stallNarrow = api({ input: z.string(), yields: z.number(), maxConcurrent: 1 }, (name) => this.#stall(name));
  /** Does the same as `stall` but ignores cancellation: only a note `"<name> released"` ends it. */
  deaf = api({ input: z.string(), yields: z.number() }, (name) => this.#deaf(name));
  fail = api({ input: z.object({ after: z.number(), kind: z.string() }), yields: z.number() }, (order) =>
    failAfter(order),
  );
  tensors = api({ input: z.number(), yields: tensor("float32", ["n"]) }, async function* (to) {
    for (let i = 0; i < to; i++) yield new Tensor("float32", [i], new Float32Array(i).fill(i));
  });
  /** Yields one array, refilled for each item. */
  reuse = api({ input: z.object({ items: z.number(), bytes: z.number() }), yields: z.any() }, async function* (order) {
    const data = new Uint8Array(order.bytes);
    const record = { data, list: [0] };
    for (let i = 0; i < order.items; i++) {
      data.fill(i);
      record.list[0] = i;
      yield record;
    }
    data.fill(0xee);
  });
  values = api({ input: z.any(), yields: z.any() }, async function* (list: readonly unknown[]) {
    yield* list;
  });
  marked = api({ input: z.number(), yields: marked }, async function* (to) {
    for (let i = 0; i < to; i++) yield String(i);
  });
  odd = api({ yields: z.any() }, async function* () {
    yield 1;
    yield () => 2;
  });
  strict = api({ input: z.string(), yields: z.object({ n: z.number() }) }, async function* () {
    yield { n: 1 };
    yield { n: 2, extra: "left out" } as never;
    yield { n: "three" } as never;
  });
  callers = api({ input: z.number(), yields: z.any() }, async function* (to) {
    for (let i = 0; i < to; i++) {
      await new Promise((resolve) => setImmediate(resolve));
      const { caller, requestId } = currentCall();
      yield { caller: `${caller.service}.${caller.api}`, requestId };
    }
  });
  /** Returns an object with an iterator that has no `return`, not a generator. */
  plain = api({ input: z.number(), yields: z.number() }, (to) => ({
    [Symbol.asyncIterator]() {
      let at = 0;
      return { next: async () => (at < to ? { done: false, value: at++ } : { done: true, value: undefined }) as never };
    },
  }));

  async *#produce({ name, items, bytes }: z.infer<typeof named>) {
    const signal = this.#journal.followSignal(name);
    try {
      for (let i = 0; i < items; i++) {
        this.#produced.set(name, i + 1);
        yield bytes === 0 ? i : new Uint8Array(bytes).fill(i);
      }
      this.#journal.note(`${name} complete`);
    } finally {
      this.#journal.note(`${name} finally, ${signal.aborted ? "aborted" : "not aborted"}`);
      this.#journal.note(`${name} finally`);
    }
  }

  async *#stall(name: string) {
    this.#journal.followSignal(name);
    try {
      this.#journal.note(`${name} begun`);
      yield* [1, 2, 3];
      await this.#journal.whenNoted(`${name} cancelled`);
    } finally {
      this.#journal.note(`${name} finally`);
    }
  }

  async *#deaf(name: string) {
    this.#journal.followSignal(name);
    yield* [1, 2, 3];
    await this.#journal.whenNoted(`${name} released`);
    this.#journal.note(`${name} ended`);
  }
}

async function* failAfter({ after, kind }: { after: number; kind: string }) {
  for (let i = 0; i < after; i++) yield i;
  if (kind === "error") throw new RangeError("the source is dry");
  throw new ServingError({ code: "data_loss", id: "torn_page", message: "page 4 is torn", details: { page: 4 } });
}
