import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DebuggerClient } from "./faults/debugger-client.js";
import { RunningApp } from "./faults/running-app.js";

// A process at a breakpoint looks like a process that hangs: it does not answer. It must not be killed while someone
// debugs it.

const limits = [
  "--liveness-interval-ms",
  "50",
  "--liveness-suspend-after-ms",
  "300",
  "--liveness-replace-after-ms",
  "900",
];
const openedAt = /"msg":"inspector opened at (ws:\/\/127\.0\.0\.1:\d+\/[\w-]+)/;

describe("a replica that a debugger holds", () => {
  it("is taken out and not replaced, the log says why and by which option, and its call is answered in the end", async () => {
    using app = new RunningApp("debugger.mjs:Entry", limits);
    const { body: pid } = await app.call("where");
    const [url] = await app.command.until(/ws:\/\/127\.0\.0\.1:\d+\/[\w-]+/);
    // The process has printed that a debugger can attach.
    for (let i = 0; i < 20; i++) await app.get("/readyz");
    using client = await DebuggerClient.attach(url);
    const since = app.command.printed;
    client.send("Debugger.enable");
    client.send("Debugger.pause");
    const held = app.call("where");
    const told = new RegExp(
      `Model#0 did not answer for 900 ms \\(liveness\\.replaceAfterMs\\); it was left alone, since a debugger may hold it \\(${url}\\)`,
    );
    await app.command.until(told, since);
    client.send("Debugger.disable");
    client.send("Debugger.resume");
    assert.deepEqual(await held, { status: 200, body: pid });
    await app.command.until(/Model#0 resumed: it answers again and gets calls/, since);
    assert.deepEqual(await app.call("where"), { status: 200, body: pid });
    assert.equal(await app.end(), 0);
  });
});

describe("a replica that --inspect names", () => {
  for (const placement of ["process", "thread"]) {
    it(`may stand at a breakpoint for as long as another is killed for, in a ${placement}${placement === "process" ? ", and opens one again when it is restarted" : ""}`, async () => {
      const flags = ["--inspect", "Model#0", "--placement", `Model=${placement}`, ...limits];
      using app = new RunningApp("inspected.mjs:Entry", flags);
      const [, url] = await app.command.until(openedAt);
      const { body: place } = await app.call("where");
      const { body: other } = await app.call("whereOther");
      assert.match(
        app.command.printed.stdout,
        /limits of liveness, memory and start switched off for Model#0, which is debugged/,
      );
      using client = await DebuggerClient.attach(url as string);
      const since = app.command.printed;
      client.send("Debugger.enable");
      client.send("Debugger.pause");
      const held = app.call("where");
      process.kill(Number.parseInt(other, 10), "SIGSTOP");
      await app.command.until(/Other#0 did not answer for 900 ms/, since);
      client.send("Debugger.disable");
      client.send("Debugger.resume");
      assert.deepEqual(await held, { status: 200, body: place });
      assert.deepEqual(await app.call("where"), { status: 200, body: place });
      assert.deepEqual(
        app.log.filter(({ replica, level }) => replica === "Model#0" && level > 30),
        [],
      );
      if (placement === "process") await assertOpensAgain(app, Number.parseInt(place, 10));
      assert.equal(await app.end(), 0);
    });
  }

  async function assertOpensAgain(app: RunningApp, pid: number): Promise<void> {
    const since = app.command.printed;
    process.kill(pid, "SIGKILL");
    await app.command.until(openedAt, since);
    assert.notEqual(Number.parseInt((await app.call("where")).body, 10), pid);
  }

  it("is loaded only once a debugger has attached, with --inspect-wait, however short its limits", async () => {
    const flags = ["--inspect-wait", "Model", "--start-timeout-ms", "Model=50", ...limits];
    using app = new RunningApp("inspected.mjs:Entry", flags);
    const [, url] = await app.command.until(openedAt);
    assert.match(app.command.printed.stdout, /it waits for a debugger before it loads the service/);
    using client = await DebuggerClient.attach(url as string);
    // A command that arrives before the replica waits has no effect, so it is repeated.
    const sending = setInterval(() => client.send("Runtime.runIfWaitingForDebugger"), 100);
    try {
      assert.equal((await app.call("where")).status, 200);
    } finally {
      clearInterval(sending);
    }
    assert.equal(await app.end(), 0);
  });

  it("opens an inspector of the app's own process where it is inline, and takes the environment's word", async () => {
    using app = new RunningApp("inspected.mjs:Entry", ["--placement", "inline"], {
      env: { EKIBEN_INSPECT: "Model#0" },
    });
    await app.command.until(openedAt);
    assert.equal((await app.call("where")).status, 200);
    assert.equal(await app.end(), 0);
  });
});
