import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { describe, it } from "node:test";
import { FakeClock } from "../../test/fake-clock.js";
import { silentLogger } from "../base/logger.js";
import { type Priority, RequestContext } from "../call/call.js";
import { CallScope, createCallTime, type ReplySink } from "../call/call-scope.js";
import { copySelf } from "../call/value-walk.js";
import { Tensor } from "../define/tensor.js";
import { fail } from "../failure/failures.js";
import { ServingError } from "../failure/serving-error.js";
import { CacheStats } from "../observe/call-stats.js";
import type { ApiSettings, CacheSettings } from "../options/settings.js";
import { createCache, measureValue } from "./answer-cache.js";

interface Run {
  readonly scope: CallScope;
  readonly input: unknown;
  readonly reply: ReplySink;
  /** Value of the async context in which it began. */
  readonly context: unknown;
}

const gone = () => fail("cancelled", { reason: "the client has gone" });
const context = new AsyncLocalStorage<string>();

/** A cache whose runs the test ends by itself. */
function createStage(given: Partial<CacheSettings> = {}, key?: () => unknown) {
  const clock = new FakeClock();
  const time = createCallTime(clock);
  const runs: Run[] = [];
  const stats = new CacheStats("Model", "embed");
  const settings = {
    timeoutMs: 1000,
    timeoutFrom: "default",
    cache: { ttlMs: 60_000, maxEntries: 100, maxBytes: 1_000_000, ...given },
  } as ApiSettings;
  const cache = createCache({
    ...{ service: "Model", api: "embed", settings, key, stats, time, log: silentLogger },
    begin: (scope, input, reply) => runs.push({ scope, input, reply, context: context.getStore() }),
  });
  const ask = (
    input: unknown,
    { timeoutMs = 1000, headers = {} as Record<string, string>, priority = "interactive" as Priority } = {},
  ) => {
    const call = {
      ...{ service: "Model", api: "embed", caller: { service: "http", api: "/embed" } },
      ...{ deadline: clock.now() + timeoutMs, request: new RequestContext(headers) },
      ...{ outside: true, priority },
    };
    const scope = new CallScope(call, undefined, time, clock.now());
    const answer = (async () => cache.answer(input, scope))();
    answer.catch(() => {});
    return { scope, answer };
  };
  const counts = () => [stats.hits, stats.joined, stats.misses];
  const kept = () => [...stats.sizes].map((read) => read())[0];
  return { clock, cache, stats, runs, ask, counts, kept };
}

/** Output that counts the copies that are made of it, and fails to make the one with the number `failsAt`. */
class Counted {
  readonly dtype = "float32";
  readonly shape = [1];
  readonly #copies: { count: number; readonly failsAt?: number };

  constructor(copies: { count: number; readonly failsAt?: number }) {
    this.#copies = copies;
  }

  [copySelf](): Counted {
    if (++this.#copies.count === this.#copies.failsAt) throw new RangeError("Array buffer allocation failed");
    return new Counted(this.#copies);
  }
}

const codeOf = (answer: Promise<unknown>) => answer.then(String, (error: ServingError) => error.code);

describe("the cache of an api", () => {
  it("makes equal calls in flight one run, and gives each a copy of its own (AC1, AC6)", async () => {
    const { ask, runs, counts } = createStage();
    const calls = [ask({ a: 1, b: "x" }), ask({ b: "x", a: 1 }), ask({ a: 1, b: "y" })];
    assert.deepEqual(
      runs.map(({ input }) => input),
      [
        { a: 1, b: "x" },
        { a: 1, b: "y" },
      ],
    );
    const made = { vector: [1, 2] };
    runs[0]?.reply.output(made);
    made.vector[0] = 7;
    const [one, other] = (await Promise.all(calls.slice(0, 2).map(({ answer }) => answer))) as [object, object];
    const kept = await ask({ a: 1, b: "x" }).answer;
    for (const value of [one, other, kept]) assert.deepEqual(value, { vector: [1, 2] });
    assert.equal(new Set([one, other, kept, made]).size, 4);
    assert.deepEqual(counts(), [1, 1, 2]);
  });

  it("runs in no caller's context, with a deadline of its own, and without the headers of its first caller (AC1)", async () => {
    const { ask, runs, clock } = createStage();
    context.run("of the first caller", () => ask("x", { timeoutMs: 10, headers: { authorization: "Bearer t" } }));
    const [run] = runs;
    assert.equal(run?.context, undefined);
    assert.equal(run?.scope.expiresAt, clock.now() + 1000);
    assert.deepEqual(Object.keys(run?.scope.call.request.headers ?? {}), ["traceparent"]);
  });

  it("keeps callers with different texts of its key apart, and lets the run see its first caller then", async () => {
    let tenant = "a";
    const { ask, runs } = createStage({}, () => tenant);
    ask("x", { headers: { "x-tenant": "a" } });
    tenant = "b";
    ask("x", { headers: { "x-tenant": "b" } });
    assert.deepEqual(
      runs.map(({ scope }) => scope.call.request.headers["x-tenant"]),
      ["a", "b"],
    );
  });

  it("lets each call leave at its own time, and goes on for the others (AC2)", async () => {
    const { ask, runs, clock } = createStage();
    const first = ask("x", { timeoutMs: 100 });
    const second = ask("x", { timeoutMs: 900 });
    const third = ask("x");
    clock.advance(200);
    assert.equal(await codeOf(first.answer), "deadline_exceeded");
    third.scope.cancel(gone());
    assert.equal(await codeOf(third.answer), "cancelled");
    assert.equal(runs[0]?.scope.isEnded, false);
    runs[0]?.reply.output("made");
    assert.equal(await second.answer, "made");
  });

  it("cancels a run when the last call has left, keeps nothing of it, and begins another (AC2, AC4)", async () => {
    const { ask, runs, kept } = createStage();
    const calls = [ask("x"), ask("x")];
    for (const { scope } of calls) scope.cancel(gone());
    const [run] = runs as [Run];
    assert.equal(run.scope.reason?.code, "cancelled");
    const next = ask("x");
    assert.equal(runs.length, 2);
    run.reply.output("too late");
    assert.equal(kept()?.entries, 0);
    runs[1]?.reply.output("made");
    assert.equal(await next.answer, "made");
  });

  it("fails no call that has time left when a run reaches its deadline: those begin another (AC3)", async () => {
    const { ask, runs, clock } = createStage();
    const first = ask("x");
    clock.advance(600);
    const later = [ask("x"), ask("x")];
    clock.advance(500);
    assert.equal(await codeOf(first.answer), "deadline_exceeded");
    assert.deepEqual(
      runs.map(({ scope }) => scope.isEnded),
      [true, false],
    );
    runs[1]?.reply.output("made");
    assert.deepEqual(await Promise.all(later.map(({ answer }) => answer)), ["made", "made"]);
  });

  it("lets no interactive call wait as a background call: the run that waits gives way (AC1)", async () => {
    const { ask, runs, counts } = createStage();
    const queue = { describe: () => "in a queue" };
    const slow = [ask("x", { priority: "background" }), ask("x", { priority: "background" })];
    const [first] = runs as [Run];
    first.scope.joinQueue(queue);
    const quick = ask("x");
    assert.deepEqual(
      runs.map(({ scope }) => [scope.priority, scope.reason?.code]),
      [
        ["background", "cancelled"],
        ["interactive", undefined],
      ],
    );
    first.reply.failure(gone());
    runs[1]?.scope.joinQueue(queue);
    const later = [ask("x"), ask("x", { priority: "background" })];
    assert.deepEqual([runs.length, counts()], [2, [0, 3, 2]]);
    runs[1]?.reply.output("made");
    const all = [...slow, quick, ...later].map(({ answer }) => answer);
    assert.deepEqual(await Promise.all(all), ["made", "made", "made", "made", "made"]);
  });

  it("joins an interactive call to a background run that has begun (AC1)", async () => {
    const { ask, runs } = createStage();
    const calls = [ask("x", { priority: "background" }), ask("x")];
    runs[0]?.reply.output("made");
    assert.deepEqual([runs.length, await Promise.all(calls.map(({ answer }) => answer))], [1, ["made", "made"]]);
  });

  it("fails a call alone whose copy can't be made (AC6)", async () => {
    const { ask, runs } = createStage();
    const calls = [ask("x"), ask("x"), ask("x")];
    // The first copy is the one that is kept.
    runs[0]?.reply.output(new Counted({ count: 0, failsAt: 3 }));
    const ends = await Promise.allSettled(calls.map(({ answer }) => answer));
    assert.deepEqual(
      ends.map(({ status }) => status),
      ["fulfilled", "rejected", "fulfilled"],
    );
  });

  it("makes no copy for the last call of an answer that is not kept (AC6)", async () => {
    const copies = { count: 0 };
    const { ask, runs } = createStage({ ttlMs: 0 });
    const calls = [ask("x"), ask("x")];
    runs[0]?.reply.output(new Counted(copies));
    const answers = await Promise.all(calls.map(({ answer }) => answer));
    assert.deepEqual([copies.count, new Set(answers).size], [2, 2]);
    const large = createStage({ maxBytes: 1 });
    const { answer } = large.ask("x");
    large.runs[0]?.reply.output(new Counted(copies));
    assert.deepEqual([(await answer) instanceof Counted, copies.count], [true, 3]);
  });

  it("keeps answers for their time, and failures not at all (AC4)", async () => {
    const { ask, runs, clock } = createStage({ ttlMs: 500 });
    const failed = [ask("x"), ask("x")];
    runs[0]?.reply.failure(new ServingError({ code: "not_found", message: "no x" }));
    for (const { answer } of failed) assert.equal(await codeOf(answer), "not_found");
    ask("x");
    assert.equal(runs.length, 2);
    clock.advance(100);
    runs[1]?.reply.output("made");
    clock.advance(499);
    assert.equal(await ask("x").answer, "made");
    clock.advance(1);
    ask("x");
    assert.equal(runs.length, 3);
  });

  it("keeps nothing with a ttlMs of 0, and still joins calls (AC4)", async () => {
    const { ask, runs, counts, kept } = createStage({ ttlMs: 0 });
    const calls = [ask("x"), ask("x")];
    runs[0]?.reply.output("made");
    assert.deepEqual(await Promise.all(calls.map(({ answer }) => answer)), ["made", "made"]);
    assert.deepEqual([kept(), counts()], [{ entries: 0, bytes: 0 }, [0, 1, 1]]);
  });

  it("keeps no more than maxEntries and maxBytes, and what was asked for last (AC5)", async () => {
    const few = createStage({ maxEntries: 2 });
    for (const input of ["a", "b", "a", "c"]) {
      const { answer } = few.ask(input);
      few.runs.at(-1)?.reply.output(input);
      await answer;
    }
    assert.equal(await few.ask("a").answer, "a");
    few.ask("b");
    assert.deepEqual([few.kept()?.entries, few.runs.length], [2, 4]);

    const small = createStage({ maxBytes: 1000 });
    for (const length of [100, 100, 100, 100, 10_000]) {
      const { answer } = small.ask(Math.random());
      small.runs.at(-1)?.reply.output(new Uint8Array(length * 2));
      await answer;
    }
    assert.ok((small.kept()?.bytes ?? 0) <= 1000, `${small.kept()?.bytes} bytes`);
    assert.ok((small.kept()?.entries ?? 0) >= 2, `${small.kept()?.entries} entries`);
    small.cache.close();
    assert.deepEqual([small.stats.sizes.size, small.kept()], [0, undefined]);
  });

  it("compares tensors, files and values that JSON has not, and no key is taken for a field of an object", async () => {
    const { ask, runs } = createStage();
    const tensor = (value: number) => new Tensor("float32", [2], Float32Array.of(value, 2));
    const file = (text: string) => new File([text], "a.txt", { type: "text/plain" });
    const pairs = [
      [{ t: tensor(1) }, { t: tensor(1) }, { t: tensor(3) }],
      [{ f: file("one") }, { f: file("one") }, { f: file("two") }],
      [new Map([["a", 1n]]), new Map([["a", 1n]]), new Map([["a", 2n]])],
      ["__proto__", "__proto__", "constructor"],
      [undefined, undefined, null],
      [0, 0, -0],
    ];
    for (const inputs of pairs) {
      const before = runs.length;
      for (const input of inputs) ask(input);
      // Files are read first.
      while (runs.length < before + 2) await new Promise((resolve) => setImmediate(resolve));
      assert.equal(runs.length, before + 2);
    }
  });

  it("refuses inputs and texts that it can't compare, each with what to do", async () => {
    class Url {}
    const messageOf = (answer: Promise<unknown>) => answer.then(String, ({ id, message }) => `${id}: ${message}`);
    assert.match(
      await messageOf(createStage().ask({ url: new Url() }).answer),
      /^cache_key_failed: the checked input can't be compared: input\.url is an instance of class Url/,
    );
    assert.equal(
      await messageOf(createStage({}, () => undefined).ask("x").answer),
      "cache_key_failed: cache.key returned undefined, not a text",
    );
    assert.match(
      await messageOf(createStage({}, () => "x".repeat(10_001)).ask("x").answer),
      /returned 10001 characters/,
    );
  });

  it("refuses an answer that can't be sent, as everywhere", async () => {
    const { ask, runs } = createStage();
    const { answer } = ask("x");
    runs[0]?.reply.output(() => {});
    assert.equal(await answer.catch((error: ServingError) => error.id), "output_not_transferable");
  });

  it("measures values by what they take in memory, and reads no element of a tensor", () => {
    assert.ok(measureValue("x".repeat(1000)) >= 2000);
    assert.ok(measureValue({ list: new Array(1000).fill(0.5) }) >= 8000);
    assert.ok(measureValue([new Uint8Array(5000), new Blob(["y".repeat(5000)])]) >= 10_000);
    assert.ok(measureValue(new Map([["k", new Set(["x".repeat(500)])]])) >= 1000);
    assert.ok(measureValue(new Tensor("float64", [10, 100], new Float64Array(1000))) >= 8000);
    assert.ok(measureValue(null) > 0);
  });
});
