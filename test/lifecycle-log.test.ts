import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RunningApp } from "./faults/running-app.js";

const debug = 20;

describe("the log at level debug", () => {
  it("tells the life of a replica: its process, its start, its links, its restart and its end", async () => {
    using app = new RunningApp("inspected.mjs:Entry", [], { env: { EKIBEN_LOG: "debug" } });
    const { body: place } = await app.call("where");
    process.kill(Number.parseInt(place, 10), "SIGKILL");
    await app.command.until(/Model#0 restarted/);
    await app.call("where");
    assert.equal(await app.end(), 0);
    const supervisor = app.command.child.pid;
    const own = app.log.filter(({ replica, pid }) => replica === "Model#0" && pid === supervisor);
    const begin = ["process started", "service files loaded", "Model#0 loaded", "Model#0 started"];
    assert.deepEqual(
      own.map(({ msg }) => msg.replace(/; it is started again$/, "")),
      [
        "Model#0 went from new to starting",
        ...begin,
        "Model#0 went from starting to ready",
        "process ended",
        "Model#0 went from ready to waiting",
        "Model#0 was ended by SIGKILL",
        "Model#0 went from waiting to starting",
        ...begin,
        "Model#0 went from starting to ready",
        "Model#0 restarted",
        "Model#0 went from ready to draining",
        "Model#0 drained",
        "Model#0 went from draining to stopped",
        "process ended",
        "Model#0 stopped",
      ],
    );
    const entry = app.log.filter(({ replica, pid }) => replica === "Model#0" && pid !== supervisor);
    assert.deepEqual(
      entry.map(({ msg }) => msg),
      ["link to Model#0 opened", "link to Model#0 lost", "link to Model#0 opened"],
    );
    assert.ok(app.log.some(({ msg, level }) => msg === "Entry#0 listens for HTTP" && level === debug));
  });

  it("is off unless it is asked for", async () => {
    using app = new RunningApp("inspected.mjs:Entry");
    await app.call("where");
    assert.equal(await app.end(), 0);
    assert.deepEqual(app.log, []);
  });
});
