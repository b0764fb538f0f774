import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { type Block, Blocker } from "./services/blocker.js";
import { Work } from "./services/work.js";
import { collect, failureOf, newName, type Suite } from "./suite.js";

export function testBlocking({ app, placement, newFile }: Suite): void {
  const blocker = () => app().service(Blocker);
  const write = (file: string) => writeFileSync(file, "");
  /**
   * Waits until sent calls are on their way. In the replica's own thread that is immediate, and no other event may come
   * in between.
   */
  const whenSent = (run: () => void) => (placement === "inline" ? run() : void setImmediate(run));
  const begun = (log: string) => (existsSync(log) ? readFileSync(log, "utf8").split("\n").slice(0, -1) : []);
  const callers: Readonly<Record<string, (block: Block, signal?: AbortSignal) => Promise<string>>> = {
    "a function": (block, signal) => blocker().plain(block, signal && { signal }),
    "an async function": (block, signal) => blocker().later(block, signal && { signal }),
    "an api that batches": async (block, signal) => (await blocker().rows([block], signal && { signal }))[0] as string,
  };

  describe("calls that block the event loop", () => {
    for (const [kind, call] of Object.entries(callers)) {
      it(`are answered one by one, each before the next begins, by ${kind}`, async () => {
        const log = newFile();
        const files = Array.from({ length: 5 }, newFile);
        const answered: string[] = [];
        const answers = files.map(async (file, i) => {
          const until = i === 0 ? {} : { until: files[i - 1] as string };
          answered.push(await call({ name: `call ${i}`, log, ...until }));
          write(file);
        });
        await Promise.all(answers);
        const inOrder = files.map((_, i) => `call ${i}`);
        assert.deepEqual([answered, begun(log)], [inOrder, inOrder]);
      });

      it(`read the cancels that came meanwhile: what is cancelled never runs, by ${kind}`, async () => {
        const [log, isCancelled] = [newFile(), newFile()];
        const controller = new AbortController();
        const first = call({ name: "first", log }).then(() => {
          controller.abort();
          whenSent(() => write(isCancelled));
        });
        const second = call({ name: "second", log, until: isCancelled });
        const third = failureOf(call({ name: "third", log }, controller.signal));
        await Promise.all([first, second]);
        assert.equal((await third).code, "cancelled");
        assert.equal(await call({ name: "fourth", log }), "fourth");
        assert.deepEqual(begun(log), ["first", "second", "fourth"]);
      });
    }

    it("never run after their deadline, however late that is seen", async () => {
      const [log, isLate] = [newFile(), newFile()];
      // The caller in the replica's own thread receives no events meanwhile; there, only the clock can tell.
      const first = blocker().plain({
        name: "first",
        log,
        ...(placement === "inline" ? { forMs: 80 } : { until: isLate }),
      });
      const late = await failureOf(blocker().plain({ name: "late", log }, { timeoutMs: 30 }));
      write(isLate);
      assert.equal(late.code, "deadline_exceeded");
      assert.equal(await first, "first");
      assert.equal(await blocker().plain({ name: "next", log }), "next");
      assert.deepEqual(begun(log), ["first", "next"]);
    });

    it("keep a caller from hearing, and no longer: it gets what was answered meanwhile, and no answer after its deadline", async () => {
      const log = newFile();
      const answer = app().service(Work).upper("answered");
      const late = failureOf(app().service(Work).hold(newName("late"), { timeoutMs: 20 }));
      // In the caller's own thread neither answers nor timers run meanwhile.
      for (const end = performance.now() + 60; performance.now() < end; );
      const next = blocker().plain({ name: "next", log });
      assert.equal(await answer, "ANSWERED");
      assert.equal((await late).code, "deadline_exceeded");
      assert.equal(await next, "next");
    });

    it("wait in their lane: what is more than maxQueued is refused, what is cancelled makes room", async () => {
      const [log, isSent] = [newFile(), newFile()];
      const until = placement === "inline" ? {} : { until: isSent };
      const names = Array.from({ length: 8 }, () => newName("narrow"));
      const outcomes = names.map((name) =>
        blocker()
          .narrow({ name, log, ...until })
          .catch((error: { readonly id: string }) => error.id),
      );
      whenSent(() => write(isSent));
      const all = await Promise.all(outcomes);
      const answered = all.filter((outcome) => outcome !== "lane_full");
      // Three, and one more where the first had ended before the last arrived.
      assert.ok(answered.length === 3 || (answered.length === 4 && placement !== "inline"), all.join(", "));
      assert.deepEqual(begun(log), answered);
      for (const name of ["one", "after", "the other"]) assert.equal(await blocker().narrow({ name, log }), name);
    });

    it("leave room for others between the items of a stream, and each item leaves before the next is made", async () => {
      const log = newFile();
      const [isSent, isAnswered] = [newFile(), newFile()];
      const seen = Array.from({ length: 4 }, newFile);
      const untils = [undefined, isSent, isAnswered, seen[2]];
      const inputs = untils.map((until, i) => ({ name: `item ${i}`, log, ...(until !== undefined && { until }) }));
      let between: Promise<void> | undefined;
      let at = 0;
      for await (const item of blocker().items(inputs)) {
        assert.equal(item, `item ${at}`);
        write(seen[at] as string);
        if (at++ > 0) continue;
        between = blocker()
          .plain({ name: "between", log })
          .then(() => write(isAnswered));
        whenSent(() => write(isSent));
      }
      await between;
      const order = begun(log);
      assert.deepEqual([at, order.filter((name) => name !== "between").length], [4, 4]);
      assert.ok(order.indexOf("between") < order.indexOf("item 2"), order.join(", "));
    });

    it("let two streams of slow items go on in turn", async () => {
      const log = newFile();
      const inputs = (stream: string) => [1, 2, 3].map((at) => ({ name: `${stream}${at}`, log }));
      const streams = await Promise.all(["a", "b"].map((stream) => collect(blocker().items(inputs(stream)))));
      assert.deepEqual(streams, [
        ["a1", "a2", "a3"],
        ["b1", "b2", "b3"],
      ]);
      assert.ok(begun(log).indexOf("b1") < begun(log).indexOf("a3"), begun(log).join(" "));
    });
  });
}
