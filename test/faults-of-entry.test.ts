import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { RunningApp } from "./faults/running-app.js";

const folder = mkdtempSync(join(tmpdir(), "ekiben-entry-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const isRunning = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

/** Sends requests until the answer is as wanted; each request must be answered, by any replica. */
async function until<T>(ask: () => Promise<T>, isWanted: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (isWanted(answer)) return answer;
  }
}

describe("an app whose entry service is down", () => {
  it("answers 503 with the reason, and serves again when a replica is ready, whatever its clients do", async () => {
    using app = new RunningApp("entry.mjs:Entry", ["--wait-for-replica-ms", "60000"]);
    const { body: other } = await app.call("whereOther");
    for (let round = 0; round < 2; round++) {
      // A client ends each run; the second run is short, after a short one.
      const failed = await until(
        async () => {
          await app.call("end", "").catch(() => {});
          return app.request("where").catch(() => undefined);
        },
        (answer) => answer?.body.id === "service_failed",
      );
      assert.deepEqual([failed?.status, failed?.body.id, failed?.body.service], [503, "service_failed", "Entry"]);
      assert.match(failed?.body.error, /is down: its replicas failed \d+ times in a row: ended with exit code 3/);
      assert.equal(failed?.headers.get("retry-after"), "2");
      assert.deepEqual(await app.get("/livez"), { status: 200, body: { status: "live" } });
      const readyz = await app.get("/readyz");
      if (readyz.status === 503) {
        const entry = readyz.body.services.find(({ name }: { name: string }) => name === "Entry");
        assert.match(entry.detail, /Entry#0 .*ended with exit code 3/);
      }
      const back = await until(
        () => app.call("whereOther").catch(() => ({ status: 0, body: undefined })),
        ({ status }) => status === 200,
      );
      assert.equal(back.body, other, "the other service was left alone");
    }
    assert.equal(await app.end(), 0);
    assert.equal(isRunning(other), false);
  });

  for (const placement of ["process", "thread"]) {
    it(`ends with exit code 1 and a message when it can't come back, in placement ${placement}`, async () => {
      const broken = join(folder, `broken-${placement}`);
      const args = ["--exit-after-ms", "1000", "--placement", placement];
      using app = new RunningApp("entry.mjs:Entry", args, { env: { BROKEN: broken } });
      const { body: other } = await app.call("whereOther");
      writeFileSync(broken, "");
      await app.call("end", "").catch(() => {});
      const { status, stderr } = await app.command.ended;
      assert.equal(status, 1);
      assert.match(
        stderr,
        /no replica of the entry service Entry was ready for 1000 ms, so the app ended: Entry#0 is down/,
      );
      assert.match(stderr, /start\(\) threw: the weights are gone/);
      assert.match(stderr, /exitAfterMs/);
      const line = app.log.find(({ msg }) => msg.startsWith("no replica of the entry service"));
      assert.deepEqual([line?.["level"], line?.["service"]], [50, "Entry"]);
      if (placement === "process") assert.equal(isRunning(other), false);
    });
  }

  it("ends a program that called serve() with exit code 1, which hears of it", async () => {
    const broken = join(folder, "broken-program");
    const program = spawn(process.execPath, [join(import.meta.dirname, "faults/serve-entry.mjs")], {
      env: { ...process.env, BROKEN: broken },
    });
    let printed = "";
    const ready = new Promise<string>((resolve) =>
      program.stderr.on("data", (chunk) => {
        printed += chunk;
        const [, url] = /ready at (\S+)/.exec(printed) ?? [];
        if (url !== undefined) resolve(url);
      }),
    );
    const ended = once(program, "close");
    const url = await ready;
    writeFileSync(broken, "");
    await fetch(`${url}/end`, { method: "POST", headers: { "content-type": "text/plain" }, body: "now" }).catch(
      () => {},
    );
    assert.deepEqual(await ended, [1, null]);
    assert.match(printed, /failed with entry_gone/);
  });
});

describe("a call on a replica that is killed since it does not answer", () => {
  for (const placement of ["process", "thread"]) {
    it(`says why, and which option that was, in placement ${placement}`, async () => {
      using app = new RunningApp("entry.mjs:Front", ["--placement", `Busy=${placement}`]);
      const { status, body } = await app.call("compute", "");
      assert.deepEqual([status, body.id], [503, "replica_lost"]);
      assert.match(body.error, /did not answer for 1000 ms \(liveness\.replaceAfterMs\) and was killed/);
      await app.command.until(
        /"msg":"Busy#0 did not answer for 1000 ms \(liveness\.replaceAfterMs\) and was killed; it is/,
      );
      assert.equal(await app.end(), 0);
    });
  }
});

describe("an app with a call that never ends", () => {
  it("drains up to its limit, runs stop() and ends with 0, also when nothing holds its process", async () => {
    const stopped = join(folder, "stopped");
    const args = ["--placement", "inline", "--drain-timeout-ms", "500"];
    using app = new RunningApp("entry.mjs:Endless", args, { env: { STOPPED: stopped } });
    const url = await app.command.url();
    const client = request(`${url}/wait`, { method: "POST", headers: { "content-type": "text/plain" } });
    client.on("error", () => {});
    client.end("x");
    await app.command.until(/waiting/);
    client.destroy();
    const begun = performance.now();
    assert.equal(await app.end(), 0);
    assert.ok(performance.now() - begun >= 450, "the drain had its time");
    assert.ok(existsSync(stopped));
  });
});
