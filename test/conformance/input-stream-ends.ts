import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ServingError } from "ekiben";
import { Producer, until, waysOf } from "./input-stream-tests.js";
import { Middle } from "./services/middle.js";
import { Sink } from "./services/sink.js";
import { Source } from "./services/source.js";
import { collectFailing, failureOf, newName, type Suite, withinLimits } from "./suite.js";

/** Tests of how a call with an input stream ends, from either side. */
export function testInputStreamEnds(suite: Suite): void {
  const { app } = suite;
  const sink = () => app().service(Sink);

  describe("a stream as an input", () => {
    for (const [way, { consume, both }] of Object.entries(waysOf(suite))) {
      it(`ends its producer when the callee has read enough, and the call goes on, ${way}`, async () => {
        const name = newName("enough");
        const producer = new Producer({ name, read: 3, after: "hold" });
        const answer = consume(producer.items);
        await sink().seen(`${name} held begun`);
        await until(() => producer.ended === 1);
        await sink().note(`${name} held released`);
        assert.deepEqual(await answer, [0, 1, 2]);
        assert.equal(await sink().count(`${name} ended, not aborted`), 1);
      });

      it(`ends its producer when the callee throws, ${way}`, async () => {
        const producer = new Producer({ name: newName("thrown"), read: 3, after: "throw" });
        const error = await failureOf(consume(producer.items));
        assert.deepEqual(
          [error.id, error.code, error.service, error.api],
          ["had_enough", "aborted", "Sink", "consume"],
        );
        await until(() => producer.ended === 1);
      });

      it(`ends its producer when the reader of the answer leaves, ${way}`, async () => {
        const name = newName("left");
        const producer = new Producer({ name });
        for await (const item of both(producer.items)) if (item === 3) break;
        await until(() => producer.ended === 1);
        await sink().seen(`${name} finally`);
      });

      it(`tells the callee how its producer failed, ${way}`, async () => {
        const torn = new ServingError({ code: "data_loss", id: "torn_page", message: "torn", details: { page: 4 } });
        const producer = new Producer({ name: newName("torn"), catches: true }, (i) => failAt(3, i, torn));
        const { read, failure } = await consume(producer.items);
        assert.equal(read, 3);
        const { id, code, message, details } = failure;
        assert.deepEqual(
          { id, code, message, details },
          { id: "torn_page", code: "data_loss", message: "torn", details: { page: 4 } },
        );
        const uncaught = new Producer({ name: newName("torn") }, (i) => failAt(3, i, torn));
        const error = await failureOf(consume(uncaught.items));
        assert.deepEqual([error.id, error.code, error.details], ["torn_page", "data_loss", { page: 4 }]);
        assert.deepEqual([producer.ended, uncaught.ended], [1, 1]);
      });

      it(`tells the callee of a bug in its producer as internal, ${way}`, async () => {
        const bug = new RangeError("the source is dry");
        const producer = new Producer({ name: newName("bug"), catches: true }, (i) => failAt(1, i, bug));
        const { failure } = await consume(producer.items);
        assert.deepEqual([failure.id, failure.code, failure.message], ["unhandled_error", "internal", bug.message]);
        assert.notEqual(failure.service, "Sink");
        const { items, error } = await collectFailing(
          both(new Producer({ name: "x" }, (i) => failAt(2, i, bug)).items),
        );
        assert.deepEqual([items.length, error.id, error.message], [3, "unhandled_error", bug.message]);
      });

      it(`ends both ways when the call is cancelled, ${way}`, async () => {
        const name = newName("cancelled");
        const controller = new AbortController();
        const producer = new Producer({ name }, (i) => (i < 3 ? i : new Promise(() => {})));
        const answer = failureOf(consume(stopWith(producer, controller.signal), { signal: controller.signal }));
        await sink().seen(`${name} read 3`);
        controller.abort();
        assert.equal((await answer).code, "cancelled");
        await sink().seen(`${name} failed with cancelled`);
        await until(() => producer.ended === 1);
      });

      it(`ends both ways by its deadline, ${way}`, async () => {
        await withinLimits(async (limitMs, name) => {
          const producer = new Producer({ name, isSlow: true });
          const error = await failureOf(consume(producer.items, { timeoutMs: limitMs }));
          assert.equal(error.code, "deadline_exceeded");
          await until(() => producer.ended === 1 || producer.made === 0);
          if ((await sink().count(`${name} begun`)) === 0) return false;
          await sink().seen(`${name} cancelled by deadline_exceeded`);
          await sink().note(`${name} may read 1`);
          await sink().seen(`${name} failed with deadline_exceeded`);
          return true;
        });
      });
    }

    it("ends with the api that passed it, however far the callee is", async () => {
      const name = newName("left");
      assert.equal(await app().service(Middle).leaveReading(name), "left");
      await sink().seen(`${name} cancelled`);
      await app().service(Source).seen(`${name} source finally`);
    });

    it("logs a bug in a producer of a service where that runs, under the incident its callers are told", async () => {
      const error = await failureOf(app().service(Middle).produceBadly());
      assert.deepEqual([error.id, error.service, error.api], ["unhandled_error", "Middle", "produceBadly"]);
      const line = await suite.logged(
        "the stream that Middle.produceBadly passes to Sink.sum threw: the source is dry",
      );
      assert.equal(line.fields["incident"], error.incident);
    });

    it("ends its producer when its replica is lost, and is given to no other once an item was taken", async () => {
      for (const api of ["consume", "again"] as const) {
        const name = newName("lost");
        const producer = new Producer({ name, isSlow: true });
        const answer = failureOf(sink()[api](producer.items));
        await sink().seen(`${name} begun`);
        await app().kill(Sink);
        const error = await answer;
        assert.deepEqual([error.id, error.service, error.api], ["replica_lost", "Sink", api]);
        await until(() => producer.ended === 1);
        assert.equal(await sink().count(`${name} begun`), 0);
      }
      const name = newName("lost");
      const producer = new Producer({ name });
      const items = sink().both(producer.items)[Symbol.asyncIterator]();
      await items.next();
      const killed = app().kill(Sink);
      const { error } = await collectFailing({ [Symbol.asyncIterator]: () => items });
      assert.equal(error.id, "replica_lost");
      await until(() => producer.ended === 1);
      await killed;
    });

    it("waits for a replica that is coming, with nothing taken", async () => {
      const killed = app().kill(Sink);
      const producer = new Producer({ name: newName("held") }, (i) => i, 50);
      const answer = sink().consume(producer.items);
      await killed;
      assert.equal(((await answer) as unknown[]).length, 50);
    });
  });
}

function failAt(at: number, i: number, error: Error): number {
  if (i === at) throw error;
  return i;
}

/** Producer that a test can end. A generator that waits forever cannot be ended from outside. */
async function* stopWith(producer: Producer, signal: AbortSignal) {
  const stopped = new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  stopped.catch(() => {});
  const items = producer.items[Symbol.asyncIterator]();
  try {
    for (;;) {
      const step = await Promise.race([items.next(), stopped]);
      if (step.done === true) return;
      yield step.value;
    }
  } finally {
    producer.ended++;
  }
}
