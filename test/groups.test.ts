import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { RunningApp } from "./faults/running-app.js";

// Services of one group share processes, and stay deployments of their own.

const folder = mkdtempSync(join(tmpdir(), "ekiben-groups-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Model and Words are one group; the other services are on their own. */
const pair = ["--group", "Model=text", "--group", "Words=text", "--wait-for-replica-ms", "60000"];

const start = (args: readonly string[] = pair, env: Readonly<Record<string, string>> = {}) =>
  new RunningApp("grouped.mjs:Front", args, { env });

/** Sends requests until both answer from one process that is not `old`. */
async function findNext(app: RunningApp, old: number): Promise<number> {
  for (;;) {
    const { status, body } = await app.call("where");
    if (status === 200 && body.model.process !== old && body.model.process === body.words.process) {
      return body.model.process;
    }
  }
}

/** Log lines about a replica with this text. */
const linesOf = (app: RunningApp, replica: string, message: RegExp) =>
  app.log.filter((line) => line["replica"] === replica && message.test(line["msg"]));

describe("services of one group", { concurrency: 2 }, () => {
  it("share a process, each with its own readiness, metrics and lines of the log", async () => {
    using app = start();
    const { body } = await app.call("where");
    assert.equal(body.model.process, body.words.process);
    assert.notEqual(body.front, body.model.process);
    for (const service of ["Model", "Words"]) assert.equal((await app.readiness(service)).readyReplicas, 1);
    const metrics = await app.text("/metrics");
    for (const service of ["Model", "Words"]) {
      assert.match(metrics, new RegExp(`^ekiben_api_run_seconds_count\\{service="${service}",api="where"\\} 1$`, "m"));
    }
    assert.match(metrics, /^ekiben_calls_total\{caller="Front",service="Words",api="where",code="ok"\} 1$/m);
    assert.equal(await app.end(), 0);
    for (const service of ["Model", "Words"]) assert.equal(linesOf(app, `${service}#0`, /^begins$/).length, 1);
  });

  it("may contain all services of an app, the one that answers HTTP too", async () => {
    using app = start(["--group", "all"]);
    const { body } = await app.call("where");
    assert.deepEqual([body.model.process, body.words.process], [body.front, body.front]);
    assert.notEqual(body.front, app.command.child.pid);
    const held = app.call("hold", "x");
    await app.call("reached", "x");
    const ended = app.end();
    assert.equal((await app.call("open", "x").catch(() => ({ status: 0 }))).status, 200);
    assert.deepEqual(await held, { status: 200, body: "x" });
    assert.equal(await ended, 0);
  });

  it("end together when their process is killed, with one cause, and come back in one other process", async () => {
    using app = start();
    const { body } = await app.call("where");
    process.kill(body.model.process, "SIGKILL");
    const next = await findNext(app, body.model.process);
    assert.equal((await app.call("where")).body.front, body.front);
    for (const replica of ["Model#0", "Words#0"]) {
      await app.command.until(new RegExp(`"replica":"${replica}".*"msg":"${replica} restarted"`));
      assert.equal(linesOf(app, replica, /was ended by SIGKILL; it is started again$/).length, 1);
    }
    const metrics = await app.text("/metrics");
    for (const service of ["Model", "Words"]) {
      assert.match(metrics, new RegExp(`^ekiben_replica_restarts_total\\{service="${service}"\\} 1$`, "m"));
    }
    assert.equal((await app.call("both")).body.words.process, next);
    assert.equal(await app.end(), 0);
  });

  it("do without one of them that can't start, which joins their process once it can", async () => {
    const broken = join(folder, "broken");
    using app = start(pair, { BROKEN: broken });
    const { body } = await app.call("where");
    writeFileSync(broken, "");
    process.kill(body.words.process, "SIGKILL");
    await app.command.until(/Model#0 start\(\) threw: the weights are gone; it is down after/);
    const words = (await app.call("whereWords")).body;
    assert.notEqual(words.process, body.words.process);
    assert.deepEqual((await app.readiness("Words")).readyReplicas, 1);
    assert.equal((await app.call("both")).body.id, "service_failed");
    rmSync(broken);
    assert.equal(await findNext(app, body.words.process), words.process, "Words was left alone");
    assert.equal(await app.end(), 0);
  });

  it("have replica i of each in process i, and call one another there", async () => {
    using app = start([...pair, "--replicas", "Model=2", "--replicas", "Words=2"]);
    const seen = new Map<string, number>();
    while (seen.size < 2) {
      const { model, words } = (await app.call("both")).body;
      assert.equal(words.process, model.process);
      assert.equal(words.replica.slice(-2), model.replica.slice(-2));
      seen.set(model.replica, model.process);
    }
    assert.equal(new Set(seen.values()).size, 2);
    assert.equal(await app.end(), 0);
  });

  it("scale on their own: a service that needs more replicas gets them in further processes", async () => {
    using app = start([...pair, "--replicas", "Words=1..3"]);
    const { model, words } = (await app.call("where")).body;
    const names = Array.from({ length: 24 }, (_, i) => `call ${i}`);
    const held = names.map((name) => app.call("holdWords", name));
    for (const name of names) await app.call("reached", name);
    await app.command.until(/"msg":"Words scaled from \d to 3 replicas: \d+ calls in flight"/);
    while ((await app.readiness("Words")).readyReplicas < 3);
    assert.equal((await app.readiness("Model")).readyReplicas, 1);
    // The first replica has calls in flight, so the others are called.
    const places = new Map<string, number>([[words.replica, words.process]]);
    while (places.size < 3) {
      const { replica, process: pid } = (await app.call("whereWords")).body;
      places.set(replica, pid);
    }
    assert.equal(new Set(places.values()).size, 3);
    assert.equal((await app.call("where")).body.model.process, model.process);
    for (const name of names) await app.call("open", name);
    for (const { status } of await Promise.all(held)) assert.equal(status, 200);
    assert.equal(await app.end(), 0);
  });

  it("are all silent when one of them holds the event loop, and are killed once, with the reason", async () => {
    using app = start();
    const { body } = await app.call("where");
    const held = app.call("holdWords", "long");
    await app.call("reached", "long");
    const blocked = app.call("block", "");
    for (const { body: lost } of await Promise.all([held, blocked])) {
      assert.equal(lost.id, "replica_lost");
      assert.match(lost.error, /did not answer for 1500 ms \(liveness\.replaceAfterMs\) and was killed/);
    }
    await findNext(app, body.model.process);
    await app.call("open", "long");
    // A process may hold lines of its log back for a moment: all are there when it has ended.
    assert.equal(await app.end(), 0);
    for (const replica of ["Model#0", "Words#0"]) {
      assert.equal(
        linesOf(app, replica, /did not answer for 1500 ms .* and was killed; it is started again$/).length,
        1,
      );
    }
  });

  it("wait for a member whose start() loads a model without a pause, at the first start and at later ones", async () => {
    // Words is ready by then, and its event loop is checked: it may be silent for 1.5 s.
    using app = start(pair, { LOAD_MS: "3000" });
    const { body } = await app.call("where");
    process.kill(body.model.process, "SIGKILL");
    await findNext(app, body.model.process);
    for (const replica of ["Model#0", "Words#0"]) {
      await app.command.until(new RegExp(`"msg":"${replica} restarted"`));
      assert.deepEqual(linesOf(app, replica, /not answer/), []);
    }
    const metrics = await app.text("/metrics");
    assert.match(metrics, /^ekiben_replica_restarts_total\{service="Words"\} 1$/m);
    assert.equal(await app.end(), 0);
  });

  it("move together to another process when theirs holds too much memory, and no call fails meanwhile", async () => {
    using app = start([...pair, "--resources-memory", "Model=96Mi", "--resources-memory", "Words=96Mi"]);
    const { body } = await app.call("where");
    const held = app.call("holdWords", "old");
    await app.call("reached", "old");
    assert.equal((await app.call("fill", 200)).status, 200);
    let answer = await app.call("where");
    const old = body.model.process;
    while (answer.status === 200 && [answer.body.model, answer.body.words].some(({ process: pid }) => pid === old)) {
      answer = await app.call("where");
    }
    assert.equal(answer.status, 200);
    assert.equal(answer.body.model.process, answer.body.words.process);
    await app.call("open", "old");
    assert.deepEqual(await held, { status: 200, body: "old" });
    for (const service of ["Model", "Words"]) await app.command.until(new RegExp(`"msg":"${service}#0 was replaced;`));
    assert.equal(await app.end(), 0);
  });
});
