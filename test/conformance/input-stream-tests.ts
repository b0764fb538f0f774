import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Tensor } from "ekiben";
import { formatValue } from "./describe-value.js";
import { createSpoilable } from "./services/echo.js";
import { Middle } from "./services/middle.js";
import { Sink } from "./services/sink.js";
import { Source } from "./services/source.js";
import { collect, collectFailing, failureOf, newName, type Suite } from "./suite.js";

/** Number of items that a producer may be ahead of its reader per hop: a window, and the items that both ends hold. */
const maxAhead = 264;
/** Same number for items of 1 MB, of which two fill a window. */
const maxAheadLarge = 6;

const count = (to: number) => Array.from({ length: to }, (_, i) => i);

/** Producer of a test, and its progress. */
export class Producer {
  made = 0;
  ended = 0;
  readonly items: AsyncIterable<unknown>;

  /** Starts a producer. @param order First item, which the callee interprets. */
  constructor(order: object, make: (i: number) => unknown = (i) => i, most = Number.POSITIVE_INFINITY) {
    this.items = this.#produce(order, make, most);
  }

  async *#produce(order: object, make: (i: number) => unknown, most: number) {
    try {
      yield order;
      for (; this.made < most; ) yield make(this.made++);
    } finally {
      this.ended++;
    }
  }
}

interface Way {
  readonly hops: number;
  readonly consume: (items: AsyncIterable<unknown> | Iterable<unknown>, options?: object) => Promise<any>;
  readonly both: (items: AsyncIterable<unknown> | Iterable<unknown>, options?: object) => AsyncIterable<any>;
}

/** Ways in which a reader gets an input: from its caller, or through two more services that forward or re-read it. */
export const waysOf = ({ app }: Suite): Readonly<Record<string, Way>> => ({
  "over one hop": {
    hops: 1,
    consume: (items, options) => app().service(Sink).consume(items, options),
    both: (items, options) => app().service(Sink).both(items, options),
  },
  "handed on unread over three hops": {
    hops: 3,
    consume: (items, options) => app().entry.passConsume(items, options),
    both: (items, options) => app().entry.passBoth(items, options),
  },
  "read and passed on by each of three hops": {
    hops: 3,
    consume: (items, options) => app().entry.rereadConsume(items, options),
    both: (items, options) => app().entry.rereadBoth(items, options),
  },
});

export function testInputStreams(suite: Suite): void {
  const { app } = suite;
  const sink = () => app().service(Sink);

  describe("streams as inputs", () => {
    for (const [way, { hops, consume, both }] of Object.entries(waysOf(suite))) {
      it(`bring their items in order, ${way}`, async () => {
        assert.deepEqual(await consume([{ name: newName("list") }, ...count(1000)]), count(1000));
        assert.deepEqual(await consume(new Producer({ name: newName("items") }, (i) => i, 100).items), count(100));
        assert.deepEqual(await consume([{ name: newName("none") }]), []);
      });

      it(`bring tensors and bytes, ${way}`, async () => {
        const make = () => [new Tensor("float32", [3], new Float32Array([1, 2, 3])), new Uint8Array(300_000).fill(7)];
        const answer = await consume([{ name: newName("bytes") }, ...make(), ...make()]);
        assert.equal(formatValue(answer), formatValue([...make(), ...make()]));
      });

      it(`go in while items come out, ${way}`, async () => {
        const producer = new Producer({ name: newName("both") });
        let read = 0;
        for await (const item of both(producer.items)) {
          if (read > 0) assert.equal(item, read - 1);
          if (++read === 200) break;
        }
        assert.ok(producer.made <= 200 + hops * 2 * maxAhead, `${producer.made} made`);
      });

      it(`let a producer run no further ahead than a window of items, ${way}`, async () => {
        const name = newName("slow");
        const producer = new Producer({ name, isSlow: true, read: 60 });
        const answer = consume(producer.items);
        for (let i = 1; i <= 60; i++) {
          await sink().note(`${name} may read ${i}`);
          await sink().seen(`${name} read ${i}`);
          assert.ok(producer.made >= i && producer.made <= i + hops * maxAhead, `${producer.made} made, ${i} read`);
        }
        assert.deepEqual(await answer, count(60));
        await until(() => producer.ended === 1);
      });

      it(`let a producer run no further ahead than a window of bytes, ${way}`, async () => {
        const name = newName("heavy");
        const producer = new Producer({ name, isSlow: true, read: 8 }, () => new Uint8Array(1_000_000));
        const answer = consume(producer.items);
        for (let i = 1; i <= 8; i++) {
          await sink().note(`${name} may read ${i}`);
          await sink().seen(`${name} read ${i}`);
          assert.ok(producer.made <= i + hops * maxAheadLarge, `${producer.made} made, ${i} read`);
        }
        assert.equal((await answer).length, 8);
      });
    }

    it("are not asked for an item before the callee reads", async () => {
      const producer = new Producer({});
      assert.equal(await sink().ignore(producer.items), "ignored");
      assert.equal(producer.made, 0);
      const unread = new Producer({ name: newName("unread") });
      sink().both(unread.items);
      assert.equal(await sink().sum([1]), 1);
      assert.equal(unread.made, 0);
    });

    it("wait with their producer while the call waits for its lane, and hold their place to the end", async () => {
      const [first, second] = [newName("first"), newName("second")];
      const running = sink().narrow([{ name: first, after: "hold" }]);
      await sink().seen(`${first} held begun`);
      const producer = new Producer({ name: second }, (i) => i, 3);
      const waiting = sink().narrow(producer.items);
      assert.equal((await failureOf(sink().narrow([{ name: "refused" }]))).id, "lane_full");
      assert.equal(producer.made, 0);
      await sink().note(`${first} held released`);
      assert.deepEqual([await running, await waiting], [[], [0, 1, 2]]);
    });

    it("may be any iterable: lists, sets, generators, iterators without return, and promises of items", async () => {
      function* generate() {
        yield* [1, 2, 3];
      }
      const plain = { [Symbol.asyncIterator]: () => ({ next: stepsOf([4, 5]) }) };
      assert.equal(await sink().sum(new Set([1, 2, 3])), 6);
      assert.equal(await sink().sum(generate()), 6);
      assert.equal(await sink().sum(plain), 9);
      assert.equal(await sink().sum([Promise.resolve(1), 2] as never), 3);
      assert.equal(await sink().sum(Promise.resolve([1, 2])), 3);
    });

    it("may be another service's stream, unread, from here and inside of a service", async () => {
      assert.equal(await sink().sum(app().service(Source).numbers(1000)), 499_500);
      assert.equal(await app().service(Middle).joinServices(1000), 499_500);
      assert.deepEqual(await collect(sink().through(sink().through(count(300)))), count(300));
    });

    it("run their producer in the call of whoever passes them (SI1)", async () => {
      const answer = await app().service(Middle).produceHere();
      assert.deepEqual(answer, { caller: "Middle.produceHere", read: ["local", "local", "local"] });
    });

    it("are copies: neither side sees what the other does to an item", async () => {
      const item = createSpoilable(100_000);
      async function* reuse() {
        for (let i = 0; i < 40; i++) yield item;
      }
      const fresh = formatValue(createSpoilable(100_000));
      assert.equal(await sink().spoil(reuse()), Array.from({ length: 40 }, () => fresh).join(" "));
      assert.equal(formatValue(item), fresh);
    });

    it("are refused where they are none, with what they are", async () => {
      const wrong: readonly [value: unknown, words: RegExp][] = [
        [7, /got a number/],
        [undefined, /got undefined/],
        [{ a: 1 }, /got an object/],
        ["text", /a single text: put it into a list/],
        [new Uint8Array(3), /a single Uint8Array: put it into a list/],
      ];
      for (const [value, words] of wrong) {
        const error = await failureOf(sink().sum(value as never));
        assert.deepEqual(
          [error.id, error.code, error.service, error.api],
          ["invalid_input", "invalid_argument", "Sink", "sum"],
        );
        assert.match(error.message, words);
        const { items, error: read } = await collectFailing(sink().through(value as never));
        assert.deepEqual([items, read.id, read.api], [[], "invalid_input", "through"]);
      }
      const taken = new ReadableStream();
      taken.getReader();
      assert.match((await failureOf(sink().sum(taken as never))).message, /can't be read/);
    });

    it("check each item, name the first that is wrong, and end their producer", async () => {
      const producer = new Producer({ n: 1 }, (i) => (i === 2 ? { n: "two" } : { n: i, extra: "left out" }));
      const error = await failureOf(sink().strict(producer.items as never));
      assert.deepEqual([error.id, error.service, error.api], ["invalid_input", "Sink", "strict"]);
      assert.equal((error.details["issues"] as { path: string }[])[0]?.path, "[3].n");
      await until(() => producer.ended === 1);
      assert.deepEqual(await sink().strict([{ n: 1, extra: "left out" } as { n: number }]), [{ n: 1 }]);
    });

    it("refuse an item that can't cross, after those that can, and end their producer", async () => {
      const producer = new Producer({ name: newName("odd"), catches: true }, (i) => (i === 2 ? () => i : i));
      const { read, failure } = (await sink().consume(producer.items)) as any;
      assert.deepEqual(
        [read, failure.id, failure.service, failure.details.path],
        [2, "not_transferable", "Sink", "input"],
      );
      await until(() => producer.ended === 1);
    });
  });
}

/** `next` of an iterator that is not a generator. */
function stepsOf(items: readonly number[]) {
  let at = 0;
  return async () => {
    const value = items[at++];
    return value === undefined ? { done: true as const, value } : { done: false as const, value };
  };
}

/** Resolves when a condition holds; checks it once per turn of the event loop. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(setImmediate);
}
