import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ServingError } from "ekiben";
import { Sink } from "./services/sink.js";
import { Work } from "./services/work.js";
import { collect, collectFailing, failureOf, newName, type Suite } from "./suite.js";

export function testLanes({ app }: Suite): void {
  const work = () => app().service(Work);
  const release = (name: string) => work().note(`${name} released`);

  /** Starts a call of the lane that runs until it is released. */
  const occupy = async (api: "narrow" | "wide") => {
    const name = newName("running");
    const answer = work()[api](name);
    await work().seen(`${name} begun`);
    return {
      free: async () => {
        await release(name);
        assert.equal(await answer, name);
      },
    };
  };

  describe("lanes", () => {
    it("run no more than maxConcurrent calls, and the others in the order in which they came", async () => {
      const running = await occupy("wide");
      const names = Array.from({ length: 12 }, (_, i) => newName(`queued ${i}`));
      const answered: string[] = [];
      const answers = names.map((name) =>
        work()
          .wide(name)
          .then((answer) => answered.push(answer)),
      );
      for (const name of names) {
        await release(name);
        assert.equal(await work().count(`${name} begun`), 0);
      }
      await running.free();
      await Promise.all(answers);
      assert.deepEqual(answered, names);
    });

    it("refuse at once what is more than maxQueued, with the numbers, over one hop and over three", async () => {
      const running = await occupy("narrow");
      const [queued, refused] = [newName("queued"), newName("refused")];
      const waiting = work().narrow(queued);
      const near = await failureOf(work().narrow(refused));
      const far = await failureOf(app().entry.relay({ to: "work", api: "narrow", input: refused }));
      for (const error of [near, far]) {
        assert.deepEqual(
          [error.code, error.id, error.httpStatus, error.retryable, error.service, error.api],
          ["resource_exhausted", "lane_full", 429, true, "Work", "narrow"],
        );
        const { running, queued, maxQueued, retryAfterMs } = error.details;
        assert.deepEqual({ running, queued, maxQueued }, { running: 1, queued: 1, maxQueued: 1 });
        assert.ok(Number.isSafeInteger(retryAfterMs) && Number(retryAfterMs) >= 1, String(retryAfterMs));
        assert.match(error.message, /runs 1 call and holds 1 more \(maxQueued 1\)/);
      }
      await release(queued);
      await running.free();
      assert.equal(await waiting, queued);
      assert.equal(await work().count(`${refused} begun`), 0);
    });

    it("refuse at once all but a few, while callers give up beside what is answered, and nobody once that is over", async () => {
      const call = (name: string, signal?: AbortSignal) => work().crowded(name, signal && { signal });
      const names = Array.from({ length: 20 }, () => newName("patient"));
      const patient = names.map((name) => ({ name, answer: call(name) }));
      await work().seen(`${names[0]} begun`);
      const impatient = names.map(() => {
        const controller = new AbortController();
        return { controller, failure: failureOf(call(newName("impatient"), controller.signal)) };
      });
      const last = newName("last");
      const lastAnswer = call(last);
      // Calls over one link keep their order, so all of them wait by now.
      await work().upper("all have come");
      // Under overload, the newest waiting call runs first.
      const isOverloaded = work()
        .seen(`${last} begun`)
        .then(() => true);
      let at = 0;
      const begunAt = performance.now();
      for (let isOver = false; !isOver && at < names.length - 1; at++) {
        // Calls that leave in one moment count as one loss, so this must continue for a while.
        while (performance.now() < begunAt + at * 20) await work().upper("time passes");
        impatient[at]?.controller.abort();
        assert.equal((await impatient[at]?.failure)?.code, "cancelled");
        await work().upper("so has the cancel");
        await release(names[at] as string);
        await patient[at]?.answer;
        const hasNext = work()
          .seen(`${names[at + 1]} begun`)
          .then(() => false);
        hasNext.catch(() => {});
        isOver = await Promise.race([isOverloaded, hasNext]);
        if (isOver) await work().note(`${names[at + 1]} begun`);
      }
      const late = Array.from({ length: 6 }, () => newName("late"));
      const outcomes = late.map((name) => call(name).catch((error: ServingError) => error));
      const far = failureOf(app().entry.relay({ to: "work", api: "crowded", input: "far" }));
      const hasFailed = far.then(() => true);
      const timePasses = () => work().upper("time passes");
      // Overload ends 500 ms after the last refusal: more of them keep it alive until the far call has arrived.
      while (!(await Promise.race([hasFailed, timePasses().then(() => false)]))) {
        outcomes.push(call(newName("late")).catch((error: ServingError) => error));
      }
      for (const error of [...((await Promise.all(outcomes.slice(2))) as ServingError[]), await far]) {
        assert.deepEqual(
          [error.code, error.id, error.httpStatus, error.retryable, error.service, error.api],
          ["resource_exhausted", "overloaded", 429, true, "Work", "crowded"],
        );
        assert.ok(Number(error.details["retryAfterMs"]) >= 1000, JSON.stringify(error.details));
      }
      for (const { controller } of impatient) controller.abort();
      for (const name of [last, ...late, ...names.slice(at)]) await release(name);
      assert.deepEqual(await Promise.all([lastAnswer, ...outcomes.slice(0, 2)]), [last, ...late.slice(0, 2)]);
      await Promise.all(patient.map(({ answer }) => answer));
      const after = newName("after");
      await release(after);
      assert.equal(await call(after), after);
    });

    it("that are full leave the other apis of the service alone", async () => {
      const running = await occupy("narrow");
      assert.equal(await work().upper("meanwhile"), "MEANWHILE");
      const wide = await occupy("wide");
      await wide.free();
      await running.free();
    });

    it("drop a queued call that is cancelled, which never runs, and give its slot to another", async () => {
      const running = await occupy("narrow");
      const [dropped, next] = [newName("dropped"), newName("next")];
      const controller = new AbortController();
      const waiting = failureOf(work().narrow(dropped, { signal: controller.signal }));
      assert.equal((await failureOf(work().narrow(dropped))).id, "lane_full");
      controller.abort();
      assert.equal((await waiting).code, "cancelled");
      const answer = work().narrow(next);
      await release(next);
      await running.free();
      assert.equal(await answer, next);
      assert.equal(await work().count(`${dropped} begun`), 0);
    });

    it("drop a queued call whose caller has ended, over three hops", async () => {
      const running = await occupy("wide");
      const dropped = newName("dropped");
      const relay = (api: string, input: string, signal?: AbortSignal) =>
        app().entry.relay({ to: "work", api, input }, signal && { signal });
      const controller = new AbortController();
      const waiting = failureOf(relay("wide", dropped, controller.signal));
      assert.equal(await relay("upper", "sent the same way"), "SENT THE SAME WAY");
      controller.abort();
      assert.equal((await waiting).code, "cancelled");
      assert.equal(await relay("upper", "sent after it"), "SENT AFTER IT");
      await running.free();
      const next = await occupy("wide");
      await next.free();
      assert.equal(await work().count(`${dropped} begun`), 0);
    });

    it("drop a queued call whose deadline has passed, which never runs", async () => {
      const running = await occupy("narrow");
      const [late, next] = [newName("late"), newName("next")];
      assert.equal((await failureOf(work().narrow(late, { timeoutMs: 50 }))).code, "deadline_exceeded");
      const answer = work().narrow(next);
      await release(next);
      await running.free();
      assert.equal(await answer, next);
      assert.equal(await work().count(`${late} begun`), 0);
    });

    it("take interactive calls before background ones", async () => {
      const running = await occupy("wide");
      const [last, first] = [newName("background"), newName("interactive")];
      const answered: string[] = [];
      const answers = [
        work().wide(last, { priority: "background" }),
        work().wide(first, { priority: "interactive" }),
      ].map((answer) => answer.then((name) => answered.push(name)));
      for (const name of [last, first]) await release(name);
      await running.free();
      await Promise.all(answers);
      assert.deepEqual(answered, [first, last]);
    });

    it("refuse a call whose slot is held by the very call that reads what it makes, within seconds, and go on", async () => {
      const sink = app().service(Sink);
      async function* between(items: AsyncIterable<unknown>) {
        yield* items;
      }
      const chains = [sink.throughOne(sink.throughOne([1, 2])), sink.throughOne(between(sink.throughOne([1, 2])))];
      for (const chain of chains) {
        const { items, error } = await collectFailing(chain);
        assert.deepEqual(
          [items, error.id, error.service, error.api, error.httpStatus],
          [[], "lane_waits_for_itself", "Sink", "throughOne", 503],
        );
        assert.match(
          error.message,
          /^Sink\.throughOne waits for itself: its one slot .*\(maxConcurrent 1; waited \d+ ms\)$/,
        );
        assert.deepEqual(await collect(sink.throughOne([1, 2, 3])), [1, 2, 3]);
      }
    });

    it("keep the slot of a cancelled call until it has really ended", async () => {
      const [name, next] = [newName("cancelled"), newName("next")];
      const controller = new AbortController();
      const failed = failureOf(work().deaf(name, { signal: controller.signal }));
      await work().seen(`${name} begun`);
      controller.abort();
      assert.equal((await failed).code, "cancelled");
      await work().seen(`${name} cancelled`);
      const answer = work().deaf(next);
      await release(next);
      assert.equal(await work().count(`${next} begun`), 0);
      await release(name);
      assert.equal(await answer, next);
      assert.equal(await work().count(`${name} ended`), 1);
    });
  });
}
