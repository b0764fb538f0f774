import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { AppFile, Placement } from "ekiben";
import { type ComposedApp, compose } from "ekiben/testing";
import { Entry, Model, type SeenTime } from "./clocks/services.js";

// Processes and threads whose times of day differ, as after a suspension or when a replica started later, and whose
// clocks are set while calls are in flight: no deadline may be affected.

const hourMs = 3_600_000;
const shift = new URL("./clocks/shift.mjs", import.meta.url).href;

/** Environment of a replica whose time of day is wrong. */
const shifted = (ms: number) => ({
  // The preloads of the tests themselves stay in `execArgv`.
  env: { NODE_OPTIONS: `--import ${shift}`, SHIFT_MS: String(ms) },
});

/** Checks the time left of a minute: it may be shorter by the duration of a call here, never longer. */
function checkLeft({ remainingMs, untilDeadlineMs }: SeenTime, timeoutMs: number): void {
  assert.ok(remainingMs <= timeoutMs && remainingMs > timeoutMs - 30_000, `${remainingMs} of ${timeoutMs} ms are left`);
  assert.ok(
    Math.abs(untilDeadlineMs - remainingMs) < 1000,
    `${untilDeadlineMs} until the deadline, ${remainingMs} left`,
  );
}

const sides: readonly { side: string; model: number; entry: number }[] = [
  { side: "the callee is an hour ahead", model: hourMs, entry: 0 },
  { side: "the callee is an hour behind", model: -hourMs, entry: 0 },
  { side: "the caller is an hour ahead", model: 0, entry: hourMs },
  { side: "the caller is an hour behind", model: 0, entry: -hourMs },
  { side: "the callee is a moment ahead", model: 40, entry: 0 },
  { side: "the callee is a moment behind", model: -40, entry: 0 },
];

for (const placement of ["process", "thread"] as const satisfies readonly Placement[]) {
  for (const { side, model, entry } of sides) {
    describe(`in placement ${placement}, where ${side}`, () => {
      let app: ComposedApp<Entry>;
      const service = () => app.service(Model);

      before(async () => {
        const options: AppFile = {
          waitForReplicaMs: 60_000,
          services: { Model: shifted(model), Entry: shifted(entry) },
        };
        app = await compose(Entry, { placement, options });
      });
      after(() => app?.close());

      const checkCalls = async () => {
        const { above, below } = (await app.entry.see()) as { above: SeenTime; below: SeenTime };
        for (const seen of [above, below]) checkLeft(seen, 60_000);
        // The time left is sent in whole milliseconds.
        assert.ok(below.remainingMs < above.remainingMs + 1, `${below.remainingMs} below ${above.remainingMs}`);
        checkLeft(await service().see(undefined, { timeoutMs: 50_000 }), 50_000);
      };

      it("a call has as much time left as its caller", async () => {
        await checkCalls();
        const { below } = await app.entry.see();
        assert.equal(below.offsetMs, model);
      });

      it("a limit further down ends a call after its own time, and cancels the callee then", async () => {
        await service().waited();
        const { failure, ms } = await app.entry.giveUp(300);
        assert.match(failure, /^no answer within 300 ms \(timeoutMs of the call .*\); still waiting for Model\.wait$/);
        assert.ok(ms >= 300, `after ${ms} ms`);
        // A replica that considered the deadline passed would have been cancelled at once.
        const [waitedMs] = await service().waited();
        assert.ok((waitedMs ?? 0) > 150, `told after ${waitedMs} ms`);
      });

      it("batches with a target and streams with a limit are answered", async () => {
        const seen = await service().batched([1, 2, 3], { timeoutMs: 60_000 });
        for await (const one of service().count(3, { timeoutMs: 60_000 })) seen.push(one);
        assert.equal(seen.length, 6);
        for (const one of seen) checkLeft(one, 60_000);
      });

      it("a clock that is set while calls are under way changes nothing", async () => {
        for (const ms of [hourMs, -2 * hourMs, hourMs, 50, -50]) {
          const held = service().hold(undefined, { timeoutMs: 60_000 });
          const items = service().count(20, { timeoutMs: 60_000 })[Symbol.asyncIterator]();
          checkLeft((await items.next()).value, 60_000);
          await service().step(ms);
          await app.entry.step(-ms);
          checkLeft((await items.next()).value, 60_000);
          await items.return?.();
          const batch = service().batched([1], { timeoutMs: 60_000 });
          await service().release();
          checkLeft(await held, 60_000);
          for (const one of await batch) checkLeft(one, 60_000);
          await checkCalls();
        }
      });

      it("a replacement replica, which reads the clock again, is called like the others", async () => {
        const running = [1, 2, 3].map(() => service().see(undefined, { timeoutMs: 50_000 }));
        await app.kill(Model);
        for (const seen of await Promise.all(running)) checkLeft(seen, 50_000);
        await checkCalls();
        await app.kill(Entry);
        await checkCalls();
      });

      it("a task whose clock is set while it runs is answered within the rest of its attempt", async () => {
        for (const ms of [hourMs, -hourMs]) {
          const seen = await service().train(ms);
          checkLeft(seen, hourMs);
        }
      });
    });
  }
}
