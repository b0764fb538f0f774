import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { api, Service, ServingError } from "ekiben";
import { compose } from "ekiben/testing";
import { z } from "zod";
import { makeThrown, thrownNames } from "./hostile-failures/thrown.js";
import { Project } from "./loading/project.js";

// When a hook of an author throws, the app reports it and can be stopped, without an unhandled rejection.

/** Service whose hook throws, before or after an await. */
function createService(hook: "constructor" | "start" | "ready" | "stop", thrown: string, isLate: boolean) {
  const fail = async () => {
    if (isLate) await undefined;
    throw makeThrown(thrown);
  };
  const failAt = (name: typeof hook) => {
    if (name !== hook) return undefined;
    if (!isLate) throw makeThrown(thrown);
    return fail();
  };
  return class Odd extends Service() {
    constructor() {
      super();
      if (hook === "constructor") throw makeThrown(thrown);
    }
    hello = api({ output: z.string() }, () => "hello");
    override async start() {
      await failAt("start");
    }
    override ready() {
      failAt("ready")?.catch(() => {});
      return hook !== "ready";
    }
    override async stop() {
      await failAt("stop");
    }
  };
}

for (const isLate of [false, true]) {
  const when = isLate ? "after an await" : "at once";
  for (const hook of ["constructor", "start"] as const) {
    it(`an app whose ${hook} throws ${when} does not start, and its failure can be described`, async () => {
      for (const thrown of thrownNames) {
        const started = compose(createService(hook, thrown, isLate), { placement: "inline" });
        const outcome = await started.then(
          async (app) => app.close().then(() => "started"),
          (error: unknown) => error,
        );
        assert.ok(outcome instanceof ServingError, `${thrown}: ${String(outcome)}`);
        assert.ok(outcome.message.length < 128 * 1024 && JSON.stringify(outcome).length > 0, thrown);
      }
    });
  }

  it(`an app whose stop() throws ${when} is answered until then, and ends (RP2)`, async () => {
    for (const thrown of thrownNames) {
      const app = await compose(createService("stop", thrown, isLate), { placement: "inline" });
      assert.equal(await app.entry.hello(), "hello");
      await app.close();
    }
  });
}

describe("a replica whose ready() throws", () => {
  it("is not ready, and the app that waits for it says so", async () => {
    for (const thrown of thrownNames) {
      const options = { services: { Odd: { startTimeoutMs: 50 } } };
      const outcome = await compose(createService("ready", thrown, false), { placement: "inline", options }).then(
        async (app) => app.close().then(() => "started"),
        (error: unknown) => error,
      );
      assert.ok(outcome === "started" || outcome instanceof ServingError, `${thrown}: ${String(outcome)}`);
    }
  });
});

describe("a promise that start() left and that is rejected", () => {
  const files = {
    "app.mjs": `import { api, Service } from "ekiben";
import { z } from "zod";
export class Odd extends Service() {
  hello = api({ output: z.string() }, () => "hello");
  start() { setTimeout(() => void Promise.reject(new Error("left behind"))); }
}`,
    "main.mjs": `import { serve } from "ekiben";
import { Odd } from "./app.mjs";
await serve(Odd, { port: 0, options: { placement: "inline", logLevel: "silent" } });`,
  };

  for (const placement of ["process", "thread", "inline"]) {
    it(`is one line of the log in a process that runs only services, in placement ${placement} (MB3)`, async () => {
      using project = new Project({ files });
      using program = project.command(["serve", "app.mjs:Odd", "--port", "0", "--placement", placement]);
      const url = await program.url();
      await program.until(/a promise was rejected and nothing awaits it: left behind; await it, or catch its failure/);
      assert.equal(await (await fetch(`${url}/hello`, { method: "POST" })).json(), "hello");
      program.child.kill("SIGTERM");
      assert.equal((await program.ended).status, 0);
    });
  }

  it("ends any other program, as it does without ekiben (MB3)", async () => {
    using project = new Project({ files });
    using program = project.run(["main.mjs"]);
    const { status, stderr } = await program.ended;
    assert.equal(status, 1);
    assert.match(stderr, /^Error: left behind$/m);
    assert.doesNotMatch(stderr, /nothing awaits it/);
  });
});
