import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { type ComposedApp, compose } from "ekiben/testing";
import { CommandProcess } from "./cli-process.js";
import { Entry, Model, type SeenTime } from "./clocks/services.js";

// An app whose time of day differs from that of its caller, and is set while calls, streams and tasks are under way:
// no deadline may be affected. test/clocks.test.ts says so for the processes of one app.

const hourMs = 3_600_000;
const shift = new URL("./clocks/shift.mjs", import.meta.url).href;
const services = fileURLToPath(new URL("./clocks/services.ts", import.meta.url));

function checkLeft({ remainingMs, untilDeadlineMs }: SeenTime, timeoutMs: number): void {
  assert.ok(remainingMs <= timeoutMs && remainingMs > timeoutMs - 30_000, `${remainingMs} of ${timeoutMs} ms are left`);
  assert.ok(
    Math.abs(untilDeadlineMs - remainingMs) < 1000,
    `${untilDeadlineMs} until the deadline, ${remainingMs} left`,
  );
}

for (const offsetMs of [hourMs, -hourMs]) {
  describe(`where another app is an hour ${offsetMs > 0 ? "ahead" : "behind"}`, () => {
    const folder = mkdtempSync(join(tmpdir(), "ekiben-clocks-"));
    const edgeKeyFile = join(folder, "edge.key");
    let callee: CommandProcess;
    let app: ComposedApp<Entry>;
    const model = () => app.service(Model);

    before(async () => {
      writeFileSync(edgeKeyFile, randomBytes(32).toString("base64"), { mode: 0o600 });
      const flags = ["--service", "Model", "--listen", "127.0.0.1:0", "--edge-key-file", edgeKeyFile];
      callee = new CommandProcess(["serve", `${services}:Entry`, ...flags, "--data", folder, "--log-level", "silent"], {
        env: { NODE_OPTIONS: `--import ${shift}`, SHIFT_MS: String(offsetMs) },
        cwd: join(import.meta.dirname, ".."),
      });
      const [at] = await callee.until(/tls:\/\/127\.0\.0\.1:\d+/);
      app = await compose(Entry, { options: { edgeKeyFile, services: { Model: { at } } } });
    });
    after(async () => {
      await app?.close();
      callee?.child.kill("SIGTERM");
      await callee?.ended;
      rmSync(folder, { recursive: true, force: true });
    });

    it("a call has as much time left as its caller, less the way", async () => {
      const { above, below } = (await app.entry.see()) as { above: SeenTime; below: SeenTime };
      for (const seen of [above, below]) checkLeft(seen, 60_000);
      assert.ok(below.remainingMs < above.remainingMs + 1, `${below.remainingMs} below ${above.remainingMs}`);
      assert.equal(below.offsetMs, offsetMs);
    });

    it("a limit ends a call after its own time, and cancels the callee then", async () => {
      await model().waited();
      const { failure, ms } = await app.entry.giveUp(300);
      assert.match(failure, /^no answer within 300 ms/);
      assert.ok(ms >= 300, `after ${ms} ms`);
      const [waitedMs] = await model().waited();
      assert.ok((waitedMs ?? 0) > 150, `told after ${waitedMs} ms`);
    });

    it("a clock that is set while calls and streams are under way changes nothing", async () => {
      for (const ms of [hourMs, -2 * hourMs, hourMs, 50, -50]) {
        const held = model().hold(undefined, { timeoutMs: 60_000 });
        const items = model().count(20, { timeoutMs: 60_000 })[Symbol.asyncIterator]();
        checkLeft((await items.next()).value, 60_000);
        await model().step(ms);
        checkLeft((await items.next()).value, 60_000);
        await items.return?.();
        await model().release();
        checkLeft(await held, 60_000);
      }
    });

    it("a task whose clock is set while it runs is answered", async () => {
      for (const ms of [hourMs, -hourMs]) checkLeft(await model().train(ms), hourMs);
    });
  });
}
