import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { describe, it } from "node:test";
import { ServingError } from "ekiben";
import { Middle } from "./services/middle.js";
import { Sink } from "./services/sink.js";
import { Source } from "./services/source.js";
import { collect, failureOf, type Suite } from "./suite.js";

const total = 19_900;

/** Tests that a stream can be used once: a second use is refused by name and takes nothing from the first. */
export function testStreamUse({ app }: Suite): void {
  const sink = () => app().service(Sink);
  const numbers = () => app().service(Source).numbers(200);

  const refused = (error: unknown, words: RegExp) => {
    assert.ok(error instanceof ServingError, String(error));
    assert.deepEqual([error.id, error.code], ["stream_used_twice", "internal"]);
    assert.match(error.message, words);
  };

  describe("a stream that is used twice", () => {
    it("is refused to the second of two calls, and whole for the first", async () => {
      const stream = numbers();
      const [first, second] = await Promise.allSettled([sink().sum(stream), sink().sum(stream)]);
      assert.deepEqual(first, { status: "fulfilled", value: total });
      assert.equal(second.status, "rejected");
      refused(
        (second as PromiseRejectedResult).reason,
        /^the stream of Source\.numbers can be used only once: it was given to Sink\.sum, and is now given to Sink\.sum$/,
      );
    });

    it("is refused to a call after the first has ended, and to a promise of it", async () => {
      const stream = numbers();
      assert.equal(await sink().sum(Promise.resolve(stream)), total);
      refused(await failureOf(sink().sum(stream)), /stream of Source\.numbers/);
      refused(await failureOf(sink().sum(Promise.resolve(stream))), /stream of Source\.numbers/);
    });

    it("is refused to a call while or after it is read, and to a loop after it was given to a call", async () => {
      const read = numbers();
      for await (const item of read) {
        assert.equal(item, 0);
        refused(await failureOf(sink().sum(read)), /it was read, and is now given to Sink\.sum/);
        break;
      }
      refused(await failureOf(sink().sum(read)), /it was read/);
      const given = numbers();
      const sum = sink().sum(given);
      refused(await failureOf(collect(given)), /was given to Sink\.sum, and is now read/);
      assert.equal(await sum, total);
    });

    it("is refused to a second loop", async () => {
      const stream = numbers();
      assert.equal((await collect(stream)).length, 200);
      refused(await failureOf(collect(stream)), /it was read, and is now read/);
      const both = numbers();
      const [first, second] = await Promise.allSettled([collect(both), collect(both)]);
      assert.equal(first.status === "fulfilled" && first.value.length, 200);
      refused((second as PromiseRejectedResult).reason, /Source\.numbers/);
    });

    it("may be read from by hand before the rest is given on", async () => {
      const stream = numbers() as AsyncIterableIterator<number>;
      assert.deepEqual(await stream.next(), { done: false, value: 0 });
      assert.deepEqual(await stream.next(), { done: false, value: 1 });
      assert.equal(await sink().sum(stream), total - 1);
    });

    it("is refused where its input is a promise", async () => {
      const stream = app().service(Source).numbers(Promise.resolve(200));
      assert.equal(await sink().sum(stream), total);
      refused(await failureOf(sink().sum(stream)), /^the stream of Source\.numbers/);
      refused(await failureOf(collect(stream)), /is now read/);
    });

    const makers: readonly [name: string, make: () => AsyncIterable<number> | Iterable<number>, words: RegExp][] = [
      ["a generator of the caller's", createGenerator, /^a Generator can be used only once/],
      ["an async generator of the caller's", createAsyncGenerator, /^an AsyncGenerator can be used only once/],
      ["a stream of the web", () => Readable.toWeb(Readable.from([1, 2, 3])) as never, /^a ReadableStream can/],
      ["a stream of Node", () => Readable.from([1, 2, 3]), /^a Readable can/],
    ];
    for (const [name, make, words] of makers) {
      it(`is refused where it is ${name}`, async () => {
        const stream = make();
        const [first, second] = await Promise.allSettled([sink().sum(stream), sink().sum(stream)]);
        assert.deepEqual(first, { status: "fulfilled", value: 6 });
        refused((second as PromiseRejectedResult).reason, words);
        refused(await failureOf(sink().sum(stream)), words);
      });
    }

    it("is none where each use begins anew: a list, a set, an iterable that makes a generator", async () => {
      const anew = { [Symbol.asyncIterator]: createAsyncGenerator };
      for (const items of [[1, 2, 3], new Set([1, 2, 3]), anew]) {
        assert.deepEqual(await Promise.all([sink().sum(items), sink().sum(items)]), [6, 6]);
      }
    });

    it("is refused where it is an api's own input", async () => {
      const uses = (await app().service(Middle).useTwice([1, 2, 3])) as string[];
      const twice = "the input of Middle.useTwice can be used only once: it was";
      assert.deepEqual(uses, [
        "6",
        `${twice} given to Sink.sum, and is now given to Sink.sum`,
        `${twice} given to Sink.sum, and is now read in Middle.useTwice`,
      ]);
    });

    it("is refused where two calls return it", async () => {
      const middle = app().service(Middle);
      assert.deepEqual(await collect(middle.keptItems()), [1, 2, 3]);
      refused(await failureOf(collect(middle.keptItems())), /^an AsyncGenerator .* returned by Middle\.keptItems/);
    });
  });
}

function* createGenerator() {
  yield* [1, 2, 3];
}

async function* createAsyncGenerator() {
  yield* [1, 2, 3];
}
