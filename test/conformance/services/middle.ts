import { api, currentCall, depends, Service, stream } from "ekiben";
import { z } from "zod";
import { formatValue } from "../describe-value.js";
import { createSpoilable, Echo, spoil } from "./echo.js";
import { Faulty } from "./faulty.js";
import { Sink } from "./sink.js";
import { marked, Source } from "./source.js";
import { readCall, Work } from "./work.js";

const anything = z.any();

/** Request of a test to call any api of any service below. */
export const relayed = z.object({
  to: z.enum(["echo", "faulty", "source", "work"]),
  api: z.string(),
  input: z.any().optional(),
});

type Relayed = z.infer<typeof relayed>;
type Callee = Readonly<Record<string, (input: unknown) => any>>;

/** Second of three hops. */
export class Middle extends Service() {
  echo = depends(Echo);
  faulty = depends(Faulty);
  sink = depends(Sink);
  source = depends(Source);
  work = depends(Work);
  readonly #kept = count();

  override async start(): Promise<void> {
    await this.work.noteStart("Middle");
  }

  relay = api({ input: relayed, output: anything }, (call) => this.#find(call)(call.input));
  /** Returns the stream of its callee unchanged. */
  relayItems = api(
    { input: relayed, yields: anything },
    (call) => this.#find(call)(call.input) as AsyncIterable<unknown>,
  );
  /** Reads the stream of its callee and yields its items, also when that stream fails. */
  rereadItems = api({ input: relayed, yields: anything }, (call) => this.#reread(call));
  /** Reports what the reader of a failing stream received. */
  readItems = api({ input: relayed, output: anything }, async (call) => {
    const items: unknown[] = [];
    try {
      for await (const item of this.#reread(call)) items.push(item);
    } catch (error) {
      return { items, error: (error as { id?: string }).id };
    }
    return { items, error: undefined };
  });

  /** Uses its input three times, and reports each result. */
  useTwice = api({ input: stream(anything), output: anything }, async (items) => {
    const read = async () => {
      for await (const _ of items) return "read";
      return "empty";
    };
    const uses = await Promise.allSettled([this.sink.sum(items), this.sink.sum(items), read()]);
    return uses.map((use) => (use.status === "fulfilled" ? String(use.value) : use.reason.message));
  });
  /** Returns its only generator, each time. */
  keptItems = api({ yields: anything }, () => this.#kept);

  /** Apis that forward their input: unread, or item by item. */
  passConsume = api({ input: stream(anything), output: anything }, (items) => this.sink.consume(items));
  rereadConsume = api({ input: stream(anything), output: anything }, (items) => this.sink.consume(reread(items)));
  passBoth = api({ input: stream(anything), yields: anything }, (items) => this.sink.both(items));
  rereadBoth = api({ input: stream(anything), yields: anything }, (items) => this.sink.both(reread(items)));
  /** Forwards a stream that was checked by the same schema, and by an equivalent one. */
  markedOnce = api({ input: z.number(), yields: marked }, (to) => this.source.marked(to));
  markedTwice = api({ input: z.number(), yields: z.string().transform((text) => `${text}!`) }, (to) =>
    this.source.marked(to),
  );
  /** Reads its input and yields items of its own. */
  markedAgain = api({ input: z.number(), yields: marked }, (to) => reread(this.source.marked(to)));
  /** Gives the unread stream of one callee to another. */
  joinServices = api({ input: z.number(), output: z.number() }, (to) => this.sink.sum(this.source.numbers(to)));
  /** Reports the call that its own generator runs in. */
  produceHere = api({ output: anything }, () => this.sink.who(sayWho()));
  produceBadly = api({ output: z.number() }, () => this.sink.sum(runDry()));
  /** Returns while one callee still reads the stream of another. */
  leaveReading = api({ input: z.string(), output: z.string() }, async (name) => {
    this.sink.consume(orderAnd(name, this.source.produce({ name: `${name} source` }))).catch(() => {});
    await this.sink.seen(`${name} read 1`);
    return "left";
  });

  calls = api({ output: anything }, async () => [readCall(), await this.work.call()]);
  upper = api({ input: z.string(), output: z.string() }, (text) => this.work.upper(text));
  instance = api({ output: z.string() }, () => this.work.instance());
  bump = api({ output: z.number() }, () => this.work.bump());
  spoil = api({ input: anything, output: z.string() }, (value) => {
    spoil(value);
    return "spoiled";
  });
  /** Describes its own value after its callee has changed what it received. */
  afterSpoil = api({ output: z.string() }, async () => {
    const value = createSpoilable();
    await this.echo.spoil(value);
    return formatValue(value);
  });

  #find({ to, api }: Relayed): (input: unknown) => any {
    return (this[to] as unknown as Callee)[api] as (input: unknown) => any;
  }

  async *#reread(call: Relayed) {
    for await (const item of this.#find(call)(call.input) as AsyncIterable<unknown>) yield item;
  }
}

async function* reread<T>(items: AsyncIterable<T>) {
  for await (const item of items) yield item;
}

async function* sayWho() {
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    yield `${currentCall().caller.service}`;
  }
}

async function* orderAnd(name: string, items: AsyncIterable<unknown>) {
  yield { name };
  yield* items;
}

async function* runDry() {
  yield 1;
  throw new RangeError("the source is dry");
}

async function* count() {
  yield* [1, 2, 3];
}
