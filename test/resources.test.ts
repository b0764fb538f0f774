import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { resource, Service } from "ekiben";
import { compose } from "ekiben/testing";
import { Desk } from "./resources/service.js";

const folder = mkdtempSync(join(tmpdir(), "ekiben-test-"));
after(() => rmSync(folder, { recursive: true }));
const from = new URL("./resources/service.ts", import.meta.url);

describe("resource()", () => {
  it("fails the start where it can't be opened; neither start() nor stop() runs, and what was opened is closed", async () => {
    const told: string[] = [];
    class Half extends Service() {
      one = resource(
        () => told.push("one opened"),
        () => told.push("one closed"),
      );
      two = resource(() => Promise.reject(new Error("no file")));
      override start() {
        told.push("started");
      }
      override stop() {
        told.push("stopped");
      }
    }
    await assert.rejects(compose(Half), { id: "resource_failed", service: "Half", message: /Half\.two .*: no file/ });
    assert.deepEqual(told, ["one opened", "one closed"]);
  });

  it("is opened within the time limit of start()", async () => {
    const told: string[] = [];
    class Slow extends Service() {
      one = resource(
        () => "one",
        () => told.push("one closed"),
      );
      two = resource(() => new Promise<string>(() => {}));
    }
    const options = { startTimeoutMs: 20 };
    const keepsAlive = setInterval(() => {}, 60_000);
    const message = /^start\(\) did not finish within 20 ms \(startTimeoutMs, from compose\(\) startTimeoutMs\)$/;
    await assert.rejects(compose(Slow, { options }), { id: "start_timeout", service: "Slow", message });
    clearInterval(keepsAlive);
    assert.deepEqual(told, ["one closed"]);
  });

  const placements = [
    { placement: "inline", options: {} },
    { placement: "thread", options: {} },
    { placement: "process", options: {} },
    { placement: "process", options: { group: "all" } },
  ] as const;
  for (const { placement, options } of placements) {
    it(`is opened before start() and closed after stop(), in reverse (${JSON.stringify({ placement, ...options })})`, async () => {
      const journal = join(folder, `${placement}${Object.keys(options).join("")}`);
      process.env["RESOURCE_JOURNAL"] = journal;
      const app = await compose(Desk, { placement, options, from });
      assert.deepEqual(await app.entry.known(["train", "bus", "box", "train"]), ["train", "box"]);
      await app.close();
      assert.deepEqual(readFileSync(journal, "utf8").trim().split("\n"), [
        "lexicon opened by Reader#0, in time",
        "limit opened, after the lexicon",
        "started with 2",
        "stopped with 2",
        "limit 2 closed",
        "lexicon closed",
      ]);
    });
  }
});
