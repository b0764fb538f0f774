// Services for the conformance suite: imported again by every replica, so nothing happens at import.
import { api, currentCall, depends, file, Service, ServingError, tensor } from "ekiben";
import { z } from "zod";

const anything = z.any();

/** Waits that a test ends by name. */
class Gate {
  readonly #open = new Map<string, () => void>();
  readonly #passed = new Set<string>();

  wait(name: string): Promise<void> {
    if (this.#passed.has(name)) return Promise.resolve();
    return new Promise((resolve) => this.#open.set(name, resolve));
  }

  pass(name: string): void {
    this.#passed.add(name);
    this.#open.get(name)?.();
  }
}

/** The last service of every chain. */
export class Leaf extends Service() {
  readonly #gate = new Gate();
  readonly #kept: unknown[] = [];
  #calls = 0;
  #produced = 0;
  readonly #onEnded: (() => void)[] = [];
  #id = "";
  #aborted: string[] = [];

  override start({ replica }: { replica: { id: string } }): void {
    this.#id = replica.id;
  }

  echo = api({ input: anything, output: anything }, (value) => value);
  nothing = api({ output: anything }, () => undefined);
  float = api({ input: tensor("float32", ["n"]), output: tensor("float32", ["n"]) }, (value) => value);
  upload = api({ input: { upload: file() }, output: z.any() }, async ({ upload }) => ({
    name: upload.name,
    type: upload.type,
    text: await upload.text(),
    upload,
  }));
  describe = api({ input: anything, output: z.string() }, (value) =>
    ArrayBuffer.isView(value)
      ? `${value.constructor.name} at ${value.byteOffset} of ${value.buffer.byteLength}`
      : Object.prototype.toString.call(value),
  );
  keep = api({ input: anything, output: z.number() }, (value) => this.#kept.push(value));
  kept = api({ output: anything }, () => this.#kept);
  spoil = api({ input: anything, output: z.string() }, (value) => {
    value.list.push("spoilt");
    value.bytes[0] = 99;
    return "spoilt";
  });
  lend = api({ output: anything }, () => {
    const list = [1, 2, 3];
    queueMicrotask(() => list.push(4));
    return list;
  });
  strict = api(
    { input: z.object({ n: z.number().min(1) }), output: z.object({ n: z.number().max(5) }) },
    (value) => value,
  );
  untransferable = api({ input: z.string(), output: anything }, (what) =>
    what === "function" ? { inner: [() => 1] } : what === "class" ? { own: new Gate() } : { ok: true },
  );
  fail = api({ input: z.string(), output: anything }, (kind) => {
    if (kind === "error") throw new TypeError("boom");
    if (kind === "string") throw "a text";
    if (kind === "undefined") throw undefined;
    throw new ServingError({
      code: "not_found",
      id: "no_such_page",
      message: "page 7 is not there",
      details: { page: 7, tried: ["a", { b: null }] },
    });
  });

  hold = api({ input: z.string(), output: z.string(), maxConcurrent: 64 }, async (name) => {
    this.#calls++;
    const { signal } = currentCall();
    signal.addEventListener("abort", () => {
      this.#aborted.push(name);
      this.#gate.pass(`aborted ${name}`);
      this.#gate.pass(name);
    });
    this.#gate.pass(`begun ${name}`);
    await this.#gate.wait(name);
    return `${name} held by ${this.#id}`;
  });
  narrow = api({ input: z.string(), output: z.string(), maxConcurrent: 1, maxQueued: 1 }, async (name) => {
    this.#calls++;
    this.#gate.pass(`begun ${name}`);
    await this.#gate.wait(name);
    return name;
  });
  begun = api({ input: z.string(), output: anything }, (name) => this.#gate.wait(`begun ${name}`));
  release = api({ input: z.string(), output: anything }, (name) => this.#gate.pass(name));
  aborted = api({ input: z.string(), output: anything }, async (name) => {
    await this.#gate.wait(`aborted ${name}`);
    return this.#aborted.filter((own) => own === name).length;
  });
  calls = api({ output: z.number() }, () => this.#calls);
  replica = api({ output: z.string() }, () => this.#id);
  where = api({ output: z.any() }, async () => {
    const before = currentCall();
    await new Promise((resolve) => setImmediate(resolve));
    const { caller, requestId, trace, headers, deadline } = currentCall();
    return { caller, requestId, traceId: trace.traceId, headers, deadline, isSame: before === currentCall() };
  });
  remaining = api({ output: z.number() }, () => currentCall().remainingMs);
  short = api({ input: z.string(), output: z.string(), timeoutMs: 40 }, (name) => {
    const { signal } = currentCall();
    return new Promise<string>((resolve) => signal.addEventListener("abort", () => resolve(name)));
  });
  pid = api({ output: z.number(), idempotent: true }, () => process.pid);

  count = api({ input: z.number(), yields: z.number() }, async function* (this: void, n) {
    for (let i = 0; i < n; i++) yield i;
  });
  produce = api({ input: z.number(), yields: anything }, (bytes) => this.#produce(bytes));
  produced = api({ output: z.any() }, () => ({ produced: this.#produced }));
  /** Answers when a producer has ended next. */
  ended = api({ output: anything }, () => new Promise<void>((resolve) => this.#onEnded.push(resolve)));
  failing = api({ input: z.number(), yields: z.number() }, async function* (after) {
    for (let i = 0; i < after; i++) yield i;
    throw new ServingError({ code: "data_loss", id: "torn", message: `torn after ${after}` });
  });
  wrong = api({ yields: z.number() }, async function* () {
    yield 1;
    yield "two" as never;
  });
  stuck = api({ yields: z.number() }, () => this.#stuck());

  async *#produce(bytes: number): AsyncGenerator<unknown> {
    this.#produced = 0;
    try {
      for (;;) {
        this.#produced++;
        yield bytes === 0 ? this.#produced : new Uint8Array(bytes);
      }
    } finally {
      for (const resolve of this.#onEnded.splice(0)) resolve();
    }
  }

  async *#stuck(): AsyncGenerator<number> {
    const { signal } = currentCall();
    const aborted = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    aborted.then(() => this.#gate.pass("aborted stuck"));
    yield 1;
    await aborted;
  }
}

/** Forwards to the leaf, in the middle of every chain. */
export class Middle extends Service() {
  leaf = depends(Leaf);
  echo = api({ input: anything, output: anything }, (value) => this.leaf.echo(value));
  fail = api({ input: z.string(), output: anything }, (kind) => this.leaf.fail(kind));
  hold = api({ input: z.string(), output: z.string() }, (name) => this.leaf.hold(name));
  where = api({ output: z.any() }, () => this.leaf.where());
  remaining = api({ output: z.number() }, () => this.leaf.remaining());
  replica = api({ output: z.string() }, () => this.leaf.replica());
  count = api({ input: z.number(), yields: z.number() }, (n) => this.leaf.count(n));
  failing = api({ input: z.number(), yields: z.number() }, (after) => this.leaf.failing(after));
  produce = api({ input: z.number(), yields: anything }, (bytes) => this.leaf.produce(bytes));
}

/** The entry: reaches the leaf directly and through the middle, which makes a diamond. */
export class Top extends Service() {
  middle = depends(Middle);
  leaf = depends(Leaf);
  hurried = depends(Leaf, { timeoutMs: 40 });
  #started = "";

  override async start(): Promise<void> {
    this.#started = await this.middle.replica();
  }

  started = api({ output: z.string() }, () => this.#started);
  echo = api({ input: anything, output: anything }, (value) => this.middle.echo(value));
  chained = api({ input: anything, output: anything }, (value) => this.leaf.echo(this.middle.echo(value) as never));
  fail = api({ input: z.string(), output: anything }, (kind) => this.middle.fail(kind));
  recover = api({ input: z.string(), output: z.string() }, async (kind) => {
    try {
      await this.middle.fail(kind);
      return "no failure";
    } catch (error) {
      return error instanceof ServingError ? `${error.id} of ${error.service}.${error.api}` : "a stranger";
    }
  });
  both = api({ output: z.array(z.string()) }, () => Promise.all([this.middle.replica(), this.leaf.replica()]));
  hold = api({ input: z.string(), output: z.string() }, (name) => this.middle.hold(name));
  hurry = api({ input: z.string(), output: z.string() }, (name) => this.hurried.hold(name));
  leave = api({ input: z.string(), output: z.string() }, async (name) => {
    this.leaf.hold(name).catch(() => {});
    await this.leaf.begun(name);
    return "left";
  });
  detach = api({ input: z.string(), output: z.string() }, async (name) => {
    this.leaf.hold(name, { detach: true }).catch(() => {});
    await this.leaf.begun(name);
    return "left";
  });
  where = api({ output: z.any() }, async () => {
    const { caller, requestId, trace, headers, deadline } = currentCall();
    const below = await this.middle.where();
    return { caller, requestId, traceId: trace.traceId, headers, deadline, below };
  });
  remaining = api({ output: z.any() }, async () => {
    const below = await this.middle.remaining();
    return { below, own: currentCall().remainingMs };
  });
  shareTwice = api({ output: z.any() }, async () => {
    const value = { list: [1], bytes: new Uint8Array([1]) };
    await Promise.all([this.leaf.spoil(value), this.leaf.spoil(value)]);
    return value;
  });
  count = api({ input: z.number(), yields: z.number() }, (n) => this.middle.count(n));
  failing = api({ input: z.number(), yields: z.number() }, (after) => this.middle.failing(after));
  produce = api({ input: z.number(), yields: anything }, (bytes) => this.middle.produce(bytes));
}
