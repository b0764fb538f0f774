import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { api, Service, Tensor, tensor } from "ekiben";
import { compose } from "ekiben/testing";
import { z } from "zod";
import { createDeferred } from "../src/base/clock.js";
import { copySelf } from "../src/call/value-walk.js";

const contract = { input: z.string(), output: tensor("float32", ["n"]), idempotent: true, cache: { ttlMs: 60_000 } };
const vector = () => new Tensor("float32", [2], Float32Array.of(1, 2));
/** The object that has the method by which tensors are copied. */
let prototype = Object.getPrototypeOf(vector()) as { [copySelf](...args: unknown[]): unknown };
while (!Object.hasOwn(prototype, copySelf)) prototype = Object.getPrototypeOf(prototype);

/** Calls `note` at each copy of a tensor until the test has ended. */
function watchCopies(t: TestContext, note: () => void): void {
  const original = prototype[copySelf];
  prototype[copySelf] = function copy(this: typeof prototype, ...args: unknown[]) {
    note();
    return original.apply(this, args);
  };
  t.after(() => {
    prototype[copySelf] = original;
  });
}

describe("calls of an api with a cache", () => {
  it("wait as interactive ones, also where an equal background call came first", async () => {
    const ran: string[] = [];
    const begun = createDeferred<void>();
    const released = createDeferred<void>();
    class Model extends Service() {
      embed = api(
        { input: z.string(), output: z.string(), idempotent: true, maxConcurrent: 1, cache: { ttlMs: 60_000 } },
        async (text) => {
          ran.push(text);
          begun.resolve();
          if (text === "held") await released.promise;
          return text;
        },
      );
    }
    await using app = await compose(Model);
    const { embed } = app.entry;
    const calls = [embed("held")];
    await begun.promise;
    calls.push(embed("a"), embed("x", { priority: "background" }), embed("x"), embed("b"));
    released.resolve();
    assert.deepEqual(await Promise.all(calls), ["held", "a", "x", "x", "b"]);
    assert.deepEqual(ran, ["held", "a", "x", "b"]);
  });

  it("cost no further copy of a kept answer where the api has interceptors", async (t) => {
    class Plain extends Service() {
      embed = api(contract, vector);
    }
    class Intercepted extends Service({ intercept: [({ next }) => next()] }) {
      embed = api(contract, vector);
    }
    let copies = 0;
    watchCopies(t, () => copies++);
    const counts: number[] = [];
    for (const service of [Plain, Intercepted]) {
      await using app = await compose<Plain>(service);
      await app.entry.embed("x");
      copies = 0;
      await app.entry.embed("x");
      counts.push(copies);
    }
    assert.ok((counts[0] ?? 0) > 0, "a kept answer is copied");
    assert.equal(counts[1], counts[0]);
  });

  it("are answered, each by itself, when the copy for one of them can't be made", async (t) => {
    let released = createDeferred<void>();
    class Model extends Service() {
      embed = api(contract, async () => {
        await released.promise;
        return vector();
      });
    }
    const app = await compose(Model);
    let made = 0;
    let failsAt = 0;
    watchCopies(t, () => {
      if (++made === failsAt) throw new RangeError("Array buffer allocation failed");
    });
    const join = (input: string, count: number) => {
      made = 0;
      released = createDeferred();
      const calls = Array.from({ length: count }, () => app.entry.embed(input));
      released.resolve();
      return Promise.allSettled(calls);
    };
    await join("one", 1);
    const ofOne = made;
    await join("two", 2);
    const ofEach = made - ofOne;
    // The second copy after those of the run itself: the one for the second call.
    failsAt = ofOne - ofEach + 2;
    const ends = await join("three", 3);
    assert.deepEqual(ends.map(({ status }) => status).sort(), ["fulfilled", "fulfilled", "rejected"]);
    // A call that is still counted would hold up the drain.
    await app.close();
  });
});
