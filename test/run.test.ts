import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { api, currentCall, depends, run, Service, serve, task } from "ekiben";
import { compose } from "ekiben/testing";
import { z } from "zod";
import { createDeferred } from "../src/base/clock.js";
import { Letters } from "./composing/services.js";
import { Project } from "./loading/project.js";

const head = `import { api, currentCall, depends, run, Service, ServingError } from "ekiben";\nimport { z } from "zod";\n`;
const services = `
export class Model extends Service() {
  override stop() { console.error("Model stopped"); }
  double = api({ input: z.number(), output: z.number() }, (n) => n * 2);
  hold = api({ output: z.number() }, async () => {
    await new Promise((resolve) => currentCall().signal.addEventListener("abort", resolve));
    return 0;
  });
  fail = api({ output: z.number() }, (): number => { throw new ServingError({ code: "not_found", message: "no such row" }); });
  pid = api({ output: z.number() }, () => process.pid);
}
export class Pipeline extends Service() {
  model = depends(Model);
  run = api({ input: z.number(), output: z.number() }, (n) => this.model.double(n));
  forget = api({ output: z.string() }, async () => {
    void this.model.fail();
    await this.model.fail().catch(() => {});
    return "forgotten";
  });
}`;

/** Runs a script to its end. */
async function runScript(files: Record<string, string>, ...args: string[]) {
  using project = new Project({ files });
  using program = project.run(["--import", "tsx", "main.ts", ...args]);
  return await program.ended;
}

describe("run()", () => {
  for (const placement of ["inline", "thread", "process"] as const) {
    it(`runs a graph in a script, which ends when it has closed the app (${placement})`, async () => {
      const main = `import { run } from "ekiben";
import { Model, Pipeline } from "./service.ts";
await using app = await run(Pipeline, { placement: "${placement}" });
const isElsewhere = (await app.service(Model).pid()) !== process.pid;
console.log(await app.entry.run(2), await app.service(Model).double(3), isElsewhere);`;
      const { status, stdout, stderr } = await runScript({ "service.ts": head + services, "main.ts": main });
      assert.equal(status, 0, stderr);
      assert.equal(stdout, `4 6 ${placement === "process"}\n`);
      assert.match(stderr, /Model stopped/);
    });
  }

  for (const placement of ["thread", "process"] as const) {
    it(`may be called by the script that defines the classes: replicas run it as far as that (DH1) (${placement})`, async () => {
      const main = `${head}${services}
console.error("above");
await using app = await run(Pipeline, { placement: "${placement}" });
console.log("below", await app.entry.run(2));`;
      const { status, stdout, stderr } = await runScript({ "main.ts": main });
      assert.equal(status, 0, stderr);
      assert.equal(stdout, "below 4\n");
      assert.equal(stderr.match(/above/g)?.length, 3);
    });

    it(`may be called twice by one script (DH2) (${placement})`, async () => {
      const main = `${head}${services}
export class Other extends Service() { run = api({ input: z.number(), output: z.number() }, (n) => n + 1); }
const first = await run(Pipeline, { placement: "${placement}" });
const second = await run(Other, { placement: "${placement}" });
console.log(await first.entry.run(2), await second.entry.run(2));
await Promise.all([first.close(), second.close(), second.close()]);`;
      const { status, stdout, stderr } = await runScript({ "main.ts": main });
      assert.equal(status, 0, stderr);
      assert.equal(stdout, "4 3\n");
    });
  }

  it("keeps the process alive while a call waits, and leaves stdout to the program", async () => {
    const main = `import { run } from "ekiben";
import { Model, Pipeline } from "./service.ts";
const app = await run(Pipeline, { placement: "inline" });
console.log(await app.service(Model).hold(undefined, { timeoutMs: 50 }).catch((error) => error.id));
console.log(await app.entry.forget());
await app.close();`;
    const { status, stdout, stderr } = await runScript({ "service.ts": head + services, "main.ts": main });
    assert.equal(status, 0, stderr);
    assert.equal(stdout, "deadline_exceeded\nforgotten\n");
    const [line = ""] = stderr.split("\n").filter((text) => text.startsWith("{"));
    assert.match((JSON.parse(line) as { msg: string }).msg, /^Model\.fail, called by Pipeline\.forget, failed, and/);
  });

  it("closes on Ctrl-C when it is asked to, and says by the exit code that the program was interrupted", async () => {
    const main = `import { run } from "ekiben";
import { Pipeline } from "./service.ts";
const app = await run(Pipeline, { placement: "process", signals: true });
console.log(await app.entry.run(2));`;
    using project = new Project({ files: { "service.ts": head + services, "main.ts": main } });
    using program = project.run(["--import", "tsx", "main.ts"]);
    await program.until(/4\n/);
    program.child.kill("SIGINT");
    const { status, stderr } = await program.ended;
    assert.equal(status, 130, stderr);
    assert.match(stderr, /Model stopped/);
  });

  it("ends the process on a signal when every app that leaves signals to it is closed, and no sooner", async () => {
    const main = `${head}
class Idle extends Service() {}
class Busy extends Service() {
  work = api({ output: z.string() }, async () => {
    const signaled = new Promise((resolve) => process.once("SIGTERM", () => setTimeout(resolve, 100)));
    console.log("begun");
    await signaled;
    return "answered";
  });
}
const options = { placement: "inline", signals: true } as const;
await (await run(Idle, options)).close();
const [idle, busy] = [await run(Idle, options), await run(Busy, options)];
console.log(await busy.entry.work());`;
    using project = new Project({ files: { "main.ts": main } });
    using program = project.run(["--import", "tsx", "main.ts"]);
    await program.until(/begun\n/);
    program.child.kill("SIGTERM");
    const { status, stdout, stderr } = await program.ended;
    assert.deepEqual([status, stdout], [143, "begun\nanswered\n"], stderr);
  });

  it("leaves no handler of a signal behind when it is closed, and neither does serve()", async () => {
    const count = () => ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"].map((signal) => process.listenerCount(signal));
    const before = count();
    const options = { env: {}, options: { logLevel: "silent", placement: "inline" }, signals: true } as const;
    const app = await run(Letters, options);
    const server = await serve(Letters, { ...options, port: 0, host: "127.0.0.1" });
    assert.deepEqual(
      count(),
      before.map((handlers) => handlers + 1),
    );
    await app.close();
    assert.notDeepEqual(count(), before);
    await server.close();
    assert.deepEqual(count(), before);
  });

  it("takes options and the environment, and refuses what is wrong before anything starts", async () => {
    const limited = { options: { services: { Letters: { timeoutMs: 1234 } } }, placement: "inline", env: {} } as const;
    await using app = await run(Letters, limited);
    assert.equal(await app.entry.tag("a"), "l:a");
    await assert.rejects(run(Letters, { env: { EKIBEN_TIMEOUT_MS: "soon" } }), { id: "invalid_graph" });
    await assert.rejects(run(Letters, { env: {}, options: { services: { Nobody: {} } } }), { id: "invalid_graph" });
    const appFile: object = { services: { Letters: { timeoutMs: 1234 } } };
    await assert.rejects(run(Letters, { ...appFile }), {
      id: "misplaced_option",
      message: /option services .*run\(\)/,
    });
    await assert.rejects(compose(Letters, { ...appFile }), { message: /option services .*compose\(\)/ });
  });

  it("gives its context to the calls and tasks of the program, and none to the tasks that a schedule submits", async (t) => {
    const data = mkdtempSync(join(tmpdir(), "ekiben-run-"));
    t.after(() => rmSync(data, { recursive: true, force: true }));
    const planned = createDeferred<unknown>();
    const look = () => ({ caller: currentCall().caller.service, context: currentCall().context });
    class Clerk extends Service() {
      who = api({ output: z.unknown() }, look);
      tidy = task({ output: z.unknown(), every: "1s" }, () => {
        const seen = look();
        if (seen.caller === "schedule") planned.resolve(seen);
        return seen;
      });
    }
    let user = "ann";
    const options = { data, logLevel: "silent" } as const;
    await using app = await run(Clerk, { placement: "inline", env: {}, options, context: () => ({ user }) });
    assert.deepEqual(await app.entry.who(), { caller: "local", context: { user: "ann" } });
    user = "bob";
    assert.deepEqual(await app.entry.tidy(), { caller: "local", context: { user: "bob" } });
    assert.deepEqual(await planned.promise, { caller: "schedule", context: undefined });
  });

  it("reaches every service of the graph, and no other", async () => {
    class Speller extends Service() {
      letters = depends(Letters);
      spell = api({ input: z.string(), output: z.string() }, (word) => this.letters.tag(word));
    }
    await using app = await run(Speller, { placement: "inline", env: {} });
    assert.deepEqual([await app.entry.spell("a"), await app.service(Letters).tag("b")], ["l:a", "l:b"]);
    class Stranger extends Service() {}
    assert.throws(() => app.service(Stranger), { id: "not_a_service" });
  });

  it("leaves nothing running when a service does not start", async () => {
    const main = `${head}
class Bad extends Service() { override start() { throw new Error("no weights"); } }
class Good extends Service() { bad = depends(Bad); run = api({ output: z.string() }, () => ""); }
await run(Good, { placement: "inline" }).catch((error) => console.log(error.id));`;
    const { status, stdout, stderr } = await runScript({ "main.ts": main });
    assert.deepEqual([status, stdout], [0, "start_failed\n"], stderr);
  });
});
