import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { runCommand } from "./cli-process.js";
import { RunningApp } from "./faults/running-app.js";

// Resources of the machine that real replicas get, and what happens when they take more.

const threadVariables = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"];
// The environment of the user overrides everything, so it is cleared here.
for (const name of [...threadVariables, "CUDA_VISIBLE_DEVICES"]) delete process.env[name];

const cores = availableParallelism();

describe("the replicas of an app", () => {
  let app: RunningApp;
  let folder: string;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "ekiben-resources-"));
    const config = join(folder, "app.json");
    writeFileSync(config, JSON.stringify({ services: { InProcess: { replicas: 5 }, Shared: { replicas: 2 } } }));
    const flags = ["--gpus", "4,5,7,9", "--replicas", "InProcess=2", "--resources-cpu", `InProcess=${cores + 1}`];
    app = new RunningApp("machine.mjs:Machine", ["--config", config, ...flags]);
    await app.call("whereLeaks");
    // Each replica writes its own lines, after a moment.
    await app.command.until(/("msg":"granted"(.|\n)*){5}/);
  });
  after(async () => {
    await app.end();
    app[Symbol.dispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  const grantsOf = (service: string) => {
    const lines = app.log.filter((line) => line["msg"] === "granted" && line["service"] === service);
    return lines.sort((one, other) => one["replica"].localeCompare(other["replica"]));
  };

  it("are as many as the command line says, else the app file, else the code", () => {
    const counts = ["InProcess", "Shared", "InThread"].map((service) => grantsOf(service).length);
    assert.deepEqual(counts, [2, 2, 1]);
  });

  it("get their number of threads, in processes also by the variables that native libraries read", async () => {
    for (const { resources, env } of grantsOf("InProcess")) {
      assert.equal(resources.cpuThreads, cores, "never more than the machine has");
      for (const name of threadVariables) assert.equal(env[name], String(cores));
    }
    const [inThread] = grantsOf("InThread");
    assert.equal(inThread?.["resources"].cpuThreads, Math.min(2, cores));
    for (const name of threadVariables) assert.equal(inThread?.["env"][name], undefined);
  });

  it("cause a warning when together they request more cores than there are", async () => {
    const asked = 2 * (cores + 1) + 2;
    await app.command.until(new RegExp(`note: services ask for ${asked} cores in all .*; this machine has ${cores}:`));
  });

  it("have a heap of three quarters of their memory, in processes and threads", () => {
    for (const { resources, heapArguments } of grantsOf("InProcess")) {
      assert.deepEqual([resources.memoryBytes, heapArguments], [256 * 1024 ** 2, ["--max-old-space-size=192"]]);
    }
    const [inThread] = grantsOf("InThread");
    assert.deepEqual([inThread?.["resources"].memoryBytes, inThread?.["threadHeapMiB"]], [256 * 1024 ** 2, 192]);
  });

  it("have devices of their own, or share one by fractions, and see no other in a process", () => {
    const whole = [...grantsOf("InProcess"), ...grantsOf("InThread")].map(({ resources }) => resources.gpus);
    const shared = grantsOf("Shared").map(({ resources }) => resources.gpus);
    assert.deepEqual(shared[0], shared[1]);
    assert.deepEqual([...whole, shared[0]].flat().sort(), [4, 5, 7, 9]);
    for (const { resources, env } of [...grantsOf("InProcess"), ...grantsOf("Shared")]) {
      assert.equal(env.CUDA_VISIBLE_DEVICES, String(resources.gpus[0]));
    }
    assert.equal(grantsOf("InThread")[0]?.["env"].CUDA_VISIBLE_DEVICES, undefined);
  });

  it("make room for another when they hold too much memory, and no call fails meanwhile", async () => {
    const { pid } = (await app.call("whereLeaks")).body;
    const held = app.call("holdLeaky", "held");
    await app.call("reached", "held");
    assert.equal((await app.call("grow", 256 * 1024 ** 2)).status, 200);
    let answer = await app.call("whereLeaks");
    while (answer.status === 200 && answer.body.pid === pid) answer = await app.call("whereLeaks");
    assert.equal(answer.status, 200);
    await app.call("open", "held");
    assert.deepEqual(await held, { status: 200, body: { pid } });
    await app.command.until(
      /"replica":"Leaky#0".*"msg":"Leaky#0 exceeded its memory limit; another replica replaces it"/,
    );
    await app.command.until(/"msg":"Leaky#0 was replaced; the old replica finishes its calls and ends"/);
  });

  it("increase in number with the calls in flight, when a range is allowed", async () => {
    const names = ["one", "two", "three", "four"];
    const held = names.map((name) => app.call("holdElastic", name));
    for (const name of names) await app.call("reached", name);
    await app.command.until(/"to":3,.*"msg":"Elastic scaled from 1 to 3 replicas: \d calls in flight"/);
    while ((await app.readiness("Elastic")).readyReplicas < 3);
    for (const name of names) await app.call("open", name);
    for (const { status } of await Promise.all(held)) assert.equal(status, 200);
  });
});

describe("an app that asks for more devices than there are", () => {
  it("starts nothing, and says how many are missing and how to name others", async () => {
    const args = ["serve", join(import.meta.dirname, "faults/machine.mjs:Machine"), "--port", "0"];
    const { status, stderr } = await runCommand(args, { env: { EKIBEN_GPUS: "3" } });
    assert.equal(status, 1);
    assert.match(stderr, /error: .*the replicas of all services need 3 GPUs and the machine has 1; no GPU is left for/);
    assert.match(stderr, /fix: .*--gpus 0,1 or EKIBEN_GPUS=0,1/);
    assert.doesNotMatch(stderr, /started/);
  });
});
