import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DebuggerClient } from "./faults/debugger-client.js";
import { RunningApp } from "./faults/running-app.js";

// A breakpoint looks like a hang: nothing answers. What is being looked at must not be killed for it.

describe("a replica that a debugger holds", () => {
  const limits = [
    "--liveness-interval-ms",
    "50",
    "--liveness-suspend-after-ms",
    "300",
    "--liveness-replace-after-ms",
    "900",
  ];

  it("is taken out and not replaced, the log says why and by which option, and its call is answered in the end", async () => {
    using app = new RunningApp("debugger.mjs:Entry", limits);
    const { body: pid } = await app.call("where");
    const [url] = await app.command.until(/ws:\/\/127\.0\.0\.1:\d+\/[\w-]+/);
    // It has said once that a debugger can attach.
    for (let i = 0; i < 20; i++) await app.get("/readyz");
    using client = await DebuggerClient.attach(url);
    const since = app.command.printed;
    client.send("Debugger.enable");
    client.send("Debugger.pause");
    const held = app.call("where");
    const told = new RegExp(
      `Model#0 does not answer for 900 ms \\(liveness\\.replaceAfterMs\\); a debugger may hold it \\(${url}\\), so it is left alone`,
    );
    await app.command.until(told, since);
    client.send("Debugger.disable");
    client.send("Debugger.resume");
    assert.deepEqual(await held, { status: 200, body: pid });
    await app.command.until(/the replica answers again and gets calls/, since);
    assert.deepEqual(await app.call("where"), { status: 200, body: pid });
    assert.equal(await app.end(), 0);
  });
});
