import { randomUUID } from "node:crypto";
import { api, currentCall, depends, Service, stream, task } from "ekiben";
import { z } from "zod";
import { makeThrown } from "./thrown.js";

const named = { input: z.string(), output: z.any() };
const rows = { input: z.array(z.string()), output: z.array(z.any()) };

/** Throws any requested value, in every way in which an api can throw. */
export class Thrower extends Service() {
  readonly #instance = randomUUID();
  #release: () => void = () => {};

  instance = api({ output: z.string() }, () => this.#instance);
  /** Answers when it is released. */
  hold = api({ output: z.string() }, async () => {
    await new Promise<void>((resolve) => {
      this.#release = resolve;
    });
    return "held";
  });
  release = api({ output: z.string() }, () => {
    this.#release();
    return "released";
  });

  now = api(named, (name) => {
    throw makeThrown(name);
  });
  later = api(named, async (name) => {
    await undefined;
    throw makeThrown(name);
  });
  thenable = api(named, (name) => rejectAsThenable(makeThrown(name)));
  items = api({ input: z.string(), yields: z.any() }, async function* (name) {
    yield 1;
    throw makeThrown(name);
  });
  itemsNow = api({ input: z.string(), yields: z.any() }, (name) => {
    throw makeThrown(name);
  });
  nextNow = api({ input: z.string(), yields: z.any() }, (name) => throwInNext(name));
  /** Yields a step that throws when it is read. */
  oddStep = api({ input: z.string(), yields: z.any() }, (name) => giveOddStep(name));
  rows = api({ ...rows, batch: { maxRows: 4 } }, async ([name = ""]) => {
    throw makeThrown(name);
  });
  rowsNow = api({ ...rows, batch: { maxRows: 4 } }, ([name = ""]) => {
    throw makeThrown(name);
  });
  inRow = api({ ...rows, batch: { maxRows: 4 } }, (names) => names.map(makeThrown));
  job = task({ ...named, attempts: 1 }, async (name) => {
    throw makeThrown(name);
  });
  read = api({ input: stream(z.any()), output: z.number() }, async (items) => {
    let count = 0;
    for await (const _ of items) count++;
    return count;
  });
  log = api(named, (name) => {
    const thrown = makeThrown(name);
    const { log } = currentCall();
    log.warn({ err: thrown }, "an author's line");
    log.info({ value: thrown, list: [thrown] }, "another");
    log.child({ child: thrown }).error(thrown as object);
    return "logged";
  });
  /** Returns a value that is no valid answer. */
  give = api(named, (name) => makeThrown(name));
  giveItem = api({ input: z.string(), yields: z.any() }, async function* (name) {
    yield makeThrown(name);
  });
}

const rejectAsThenable = (thrown: unknown): Promise<unknown> =>
  // biome-ignore lint/suspicious/noThenProperty: a promise of no engine's, as libraries make them
  ({ then: (_: unknown, reject: (error: unknown) => void) => reject(thrown) }) as unknown as Promise<unknown>;

const throwInNext = (name: string): AsyncIterable<unknown> => ({
  [Symbol.asyncIterator]: () => ({
    next() {
      throw makeThrown(name);
    },
  }),
});

const giveOddStep = (name: string): AsyncIterable<unknown> => ({
  [Symbol.asyncIterator]: () => ({
    next: async () =>
      Object.defineProperty({ value: 1 }, "done", {
        get() {
          throw makeThrown(name);
        },
      }) as never,
  }),
});

async function collect(items: AsyncIterable<unknown>): Promise<unknown[]> {
  const list: unknown[] = [];
  for await (const item of items) list.push(item);
  return list;
}

/** Ways to fail, by name, as a caller sees them. */
const ways: Readonly<Record<string, (thrower: Front["thrower"], name: string) => PromiseLike<unknown>>> = {
  "at once": (thrower, name) => thrower.now(name),
  later: (thrower, name) => thrower.later(name),
  "by a thenable": (thrower, name) => thrower.thenable(name),
  "in the middle of a stream": (thrower, name) => collect(thrower.items(name)),
  "in place of a stream": (thrower, name) => collect(thrower.itemsNow(name)),
  "in next()": (thrower, name) => collect(thrower.nextNow(name)),
  "in a step": (thrower, name) => collect(thrower.oddStep(name)),
  "in a batch": (thrower, name) => thrower.rows([name]),
  "in a batch, at once": (thrower, name) => thrower.rowsNow([name]),
  "in a task": (thrower, name) => thrower.job(name),
  "in the stream that it is given": (thrower, name) => thrower.read(throwInNext(name)),
  "in a step that it is given": (thrower, name) => thrower.read(giveOddStep(name)),
};

export const wayNames: readonly string[] = Object.keys(ways);

/** Calls the thrower from one hop away. */
export class Front extends Service() {
  readonly #instance = randomUUID();
  thrower = depends(Thrower);

  instance = api({ output: z.string() }, () => this.#instance);
  call = api({ input: z.object({ way: z.string(), name: z.string() }), output: z.any() }, async ({ way, name }) =>
    ways[way]?.(this.thrower, name),
  );
  /** Throws outside of a call, beside a call that is answered. */
  throwHere = api(named, async (name) => {
    await this.thrower.instance();
    throw makeThrown(name);
  });
  hold = api({ output: z.string() }, () => this.thrower.hold());
  /** Accepts an answer or a refusal, and nothing else. */
  give = api(named, (name) => this.thrower.give(name));
  giveItem = api(named, async (name) => collect(this.thrower.giveItem(name)));
  inRow = api(named, (name) => this.thrower.inRow([name]));
  log = api(named, (name) => this.thrower.log(name));
}
