import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { runCommand } from "./cli-process.js";
import { RunningApp } from "./faults/running-app.js";

const folder = mkdtempSync(join(tmpdir(), "ekiben-faults-"));
const markers = {
  LOADS_LONG: join(folder, "long"),
  WEIGHTS_ARE_LOST: join(folder, "lost"),
  NOBODY_SAYS: join(folder, "silent"),
};
after(() => rmSync(folder, { recursive: true, force: true }));

describe("a service that fails while the app runs", () => {
  let app: RunningApp;
  before(async () => {
    app = new RunningApp("shop.mjs:Shop", ["--wait-for-replica-ms", "60000"], { env: markers });
    await app.call("whereSilent");
  });
  after(async () => {
    await app.end();
    app[Symbol.dispose]();
  });

  it("is named by /readyz as long as it has no replica that is ready", async () => {
    assert.deepEqual(await app.get("/readyz"), {
      status: 200,
      body: {
        status: "ready",
        services: ["Fragile", "Silent", "Shop"].map((name) => ({
          ...{ name, isReady: true, readyReplicas: 1, replicas: 1 },
        })),
      },
    });
  });

  it("is said to be starting while another replica loads; calls that come meanwhile wait for it", async () => {
    const { body: pid } = await app.call("whereSilent");
    writeFileSync(markers.LOADS_LONG, "");
    process.kill(pid, "SIGKILL");
    const [, next] = await app.command.until(/loading in (\d+)/);
    const { status, body } = await app.get("/readyz");
    assert.deepEqual([status, body.status], [503, "not ready"]);
    assert.equal((await app.readiness("Silent")).detail, "0 of 1 replicas are ready; Silent#0 is starting");
    const waiting = app.call("whereSilent");
    assert.equal((await app.call("whereFragile")).status, 200);
    process.kill(Number(next), "SIGUSR2");
    assert.deepEqual(await waiting, { status: 200, body: Number(next) });
    assert.equal((await app.get("/readyz")).status, 200);
  });

  it("is down when its start() fails again and again: callers, /readyz and metrics say so, and it comes back by itself", async () => {
    const { body: pid } = await app.call("whereFragile");
    writeFileSync(markers.WEIGHTS_ARE_LOST, "");
    process.kill(pid, "SIGKILL");
    await app.command.until(
      /"msg":"Fragile#0 start\(\) threw: weights.onnx is gone; caused by: the disk is not mounted; it is down/,
    );
    const gone = "start() threw: weights.onnx is gone; caused by: the disk is not mounted";
    const lines = app.log.filter((line) => line["replica"] === "Fragile#0").slice(0, 3);
    const [, , { delayMs = 0 } = {}] = lines;
    assert.ok(delayMs >= 1000 && delayMs <= 1250, `${delayMs} ms are a second and up to a quarter more`);
    const downText = `it is down after 3 failures in a row (restart.giveUpAfter) and is started again after ${delayMs} ms (restart.slowBackoffMs)`;
    assert.deepEqual(
      lines.map((line) => [line["level"], line["msg"], line["delayMs"], line["service"]]),
      [
        [40, "Fragile#0 was ended by SIGKILL; it is started again", 0, "Fragile"],
        [40, `Fragile#0 ${gone}; it is started again`, 20, "Fragile"],
        [50, `Fragile#0 ${gone}; ${downText}`, delayMs, "Fragile"],
      ],
    );
    const answer = await app.request("whereFragile");
    const { code, id, service, error } = answer.body;
    assert.deepEqual(
      { status: answer.status, code, id, service },
      { status: 503, code: "unavailable", id: "service_failed", service: "Fragile" },
    );
    assert.match(
      error,
      /^service Fragile is down: its replicas failed \d+ times in a row: start\(\) threw: weights\.onnx is gone/,
    );
    assert.equal(answer.headers.get("retry-after"), "2");
    for (const line of lines.slice(1)) assert.match(line["err"].stack, /at loadWeights .*shop\.mjs:\d+/);
    assert.equal((await app.call("whereSilent")).status, 200);
    const readyz = await app.get("/readyz");
    assert.deepEqual([readyz.status, readyz.body.status], [503, "not ready"]);
    const { isReady, readyReplicas, detail } = await app.readiness("Fragile");
    assert.deepEqual([isReady, readyReplicas], [false, 0]);
    assert.match(
      detail ?? "",
      /^0 of 1 replicas are ready; Fragile#0 .*down.*: start\(\) threw: weights\.onnx is gone/,
    );
    assert.match(await app.text("/metrics"), /^ekiben_service_down\{service="Fragile"\} 1$/m);
    assert.match(await app.text("/metrics"), /^ekiben_service_down\{service="Shop"\} 0$/m);
    assert.equal((await app.readiness("Shop")).isReady, true);
    // Logs each failed restart, and recovers when a restart succeeds.
    await app.command.until(/it is down after 4 failures in a row/);
    rmSync(markers.WEIGHTS_ARE_LOST);
    await app.command.until(/"msg":"Fragile#0 restarted"/);
    assert.equal((await app.call("whereFragile")).status, 200);
    const metrics = await app.text("/metrics");
    assert.match(metrics, /^ekiben_service_down\{service="Fragile"\} 0$/m);
    assert.match(metrics, /^ekiben_replicas\{service="Fragile",state="ready"\} 1$/m);
    assert.match(metrics, /^ekiben_replica_restarts_total\{service="Fragile"\} [3-9]\d*$/m);
  });

  it("does not hold up /readyz, which names it, when its ready() never answers", async () => {
    writeFileSync(markers.NOBODY_SAYS, "");
    const { isReady, detail } = await app.readiness("Silent");
    assert.deepEqual(
      [isReady, detail],
      [false, "0 of 1 replicas are ready; Silent#0 did not answer in time whether it is ready"],
    );
    assert.equal((await app.call("whereSilent")).status, 200);
  });
});

describe("a service that fails at the start of the app", () => {
  for (const placement of ["process", "thread"]) {
    it(`ends the app with its hook, message and cause, in placement ${placement}`, async () => {
      writeFileSync(markers.WEIGHTS_ARE_LOST, "");
      const args = [
        "serve",
        join(import.meta.dirname, "faults/shop.mjs:Shop"),
        "--port",
        "0",
        "--placement",
        placement,
      ];
      const { status, stderr } = await runCommand(args, { env: markers });
      assert.equal(status, 1);
      // Output of other replicas may stand between the lines.
      assert.match(
        stderr,
        /✗ Fragile {2}failed in start\(\) after [\d.]+ m?s\n(?:loading in \d+\n)* {4}start\(\) threw: weights\.onnx is gone; caused by: the disk is not mounted\n/,
      );
      assert.match(stderr, /at loadWeights \(.*shop\.mjs:\d+:\d+\)/);
      assert.match(stderr, /all services were stopped\n$/);
    });
  }
});
