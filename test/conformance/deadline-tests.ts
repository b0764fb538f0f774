import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type SeenCall, Work } from "./services/work.js";
import { failureOf, newName, type Suite, withinLimits } from "./suite.js";

export function testDeadlines({ app }: Suite): void {
  const work = () => app().service(Work);
  const far = (api: string, input: unknown, timeoutMs: number) =>
    app().entry.relay({ to: "work", api, input }, { timeoutMs });

  /** Name of the limit in the failure. */
  const [ofApi, ofEdge] = ["timeoutMs of Work.brief, from api() of Work.brief", "timeoutMs of depends(Work) in Front"];
  /** All ways to give a call less time than the default, with the name of each. */
  const ways: Readonly<Record<string, [(name: string, limitMs: number) => PromiseLike<unknown>, string]>> = {
    "the call's own limit": [
      (name, limitMs) => work().hold(name, { timeoutMs: limitMs }),
      "timeoutMs of the call to Work.hold",
    ],
    "the limit of a call two hops above": [
      (name, limitMs) => far("hold", name, limitMs),
      "timeoutMs of the call to Front.relay",
    ],
    "the limit of its api": [(name) => work().brief(name), ofApi],
    "the limit of its api, which a call can't extend": [(name) => work().brief(name, { timeoutMs: 600_000 }), ofApi],
    "the limit of the edge": [(name) => app().entry.hurry(name), ofEdge],
    "the limit of the edge, which a call above can't extend": [
      (name) => app().entry.hurry(name, { timeoutMs: 600_000 }),
      ofEdge,
    ],
  };

  describe("deadlines", () => {
    for (const [way, [call, setBy]] of Object.entries(ways)) {
      it(`end a call by ${way}, which the failure names, and abort the callee's signal`, async () => {
        await withinLimits(async (limitMs, name) => {
          const error = await failureOf(call(name, limitMs));
          assert.deepEqual(
            [error.code, error.id, error.httpStatus, error.retryable],
            ["deadline_exceeded", "deadline_exceeded", 504, false],
          );
          assert.match(error.message, /^no answer within \d+ ms \(.+\); still waiting for \w+\.\w+$/);
          assert.equal(error.details["setBy"], setBy);
          assert.ok(error.message.includes(`(${setBy})`), error.message);
          if ((await work().count(`${name} begun`)) === 0) return false;
          await work().seen(`${name} cancelled by deadline_exceeded`);
          await work().seen(`${name} ended`);
          return true;
        });
      });
    }

    it("answer the caller also where the callee does not listen, whose late answer is dropped", async () => {
      await withinLimits(async (limitMs, name) => {
        const error = await failureOf(work().stubborn(name, { timeoutMs: limitMs }));
        assert.equal(error.code, "deadline_exceeded");
        if ((await work().count(`${name} begun`)) === 0) return false;
        assert.equal(await work().count(`${name} ended`), 0);
        await work().note(`${name} released`);
        await work().seen(`${name} ended`);
        assert.equal(await work().upper("next"), "NEXT");
        return true;
      });
    });

    it("that have passed when the call is made end it before it runs", async () => {
      for (const timeoutMs of [0, -1]) {
        const name = newName("expired");
        assert.equal((await failureOf(work().hold(name, { timeoutMs }))).code, "deadline_exceeded");
        assert.equal((await failureOf(far("hold", name, timeoutMs))).code, "deadline_exceeded");
        assert.equal(await work().count(`${name} begun`), 0);
      }
    });

    it("are one for all hops, with less left at each, but for the millisecond to which a border rounds up", async () => {
      const calls = (await app().entry.calls()) as SeenCall[];
      assert.equal(calls.length, 3);
      // Each replica measures with its own clock, and the time that a boundary takes does not count.
      const deadlines = calls.map(({ deadline }) => deadline);
      assert.ok(Math.max(...deadlines) - Math.min(...deadlines) < 30_000, String(deadlines));
      const left = calls.map(({ remainingMs }) => remainingMs);
      for (const [i, ms] of left.entries()) assert.ok(i === 0 || ms < (left[i - 1] as number) + 1, String(left));
      assert.ok((left[0] as number) <= 60_000 && (left[2] as number) > 0, String(left));
    });

    it("are shortened by a call's own limit for all hops below, and never extended", async () => {
      for (const [timeoutMs, mostMs] of [
        [30_000, 30_000],
        [600_000, 60_000],
      ] as const) {
        const calls = (await app().entry.calls(undefined, { timeoutMs })) as SeenCall[];
        for (const { remainingMs } of calls) assert.ok(remainingMs > 0 && remainingMs <= mostMs, String(remainingMs));
      }
    });
  });
}
