import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { api, depends, run, Service } from "ekiben";
import { compose } from "ekiben/testing";
import { z } from "zod";
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
