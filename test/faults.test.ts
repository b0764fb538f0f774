import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type Answer, RunningApp } from "./faults/running-app.js";

// A replica may end in any way: only its own calls fail, and another replica takes its place.

interface Ending {
  readonly how: string;
  /** Expected log line. */
  readonly says: string;
  /** Expected other output on stderr. */
  readonly shows?: RegExp;
}

const endings: Readonly<Record<"process" | "thread", readonly Ending[]>> = {
  process: [
    { how: "kill", says: "was ended by SIGKILL" },
    { how: "segfault", says: "was ended by SIGSEGV" },
    { how: "abort", says: "was ended by SIGABRT" },
    { how: "exit", says: "ended with exit code 3" },
    { how: "heap", says: "was ended by SIGABRT", shows: /JavaScript heap out of memory/ },
    {
      how: "timer",
      says: "ended with exit code 1",
      shows: /Error: thrown in a timer\n +at .*services\.mjs/,
    },
  ],
  thread: [
    { how: "exit", says: "ended with exit code 3" },
    { how: "a heap that grows", says: "threw: Worker terminated due to reaching memory limit: JS heap out of memory" },
    { how: "timer", says: "threw: thrown in a timer", shows: /Error: thrown in a timer\n +at .*services\.mjs/ },
    { how: "null", says: "threw: an object was thrown: null" },
  ],
};

const lostCall = { code: "unavailable", id: "replica_lost" };
const lost = (body: Answer["body"]) => {
  const { code, id, service, api } = body;
  return { code, id, service, api };
};

// Both at once, because each waits for some seconds until a stuck replica is killed.
describe("a replica", { concurrency: 2 }, () => {
  for (const placement of ["process", "thread"] as const) {
    describe(`in a ${placement} of its own`, { concurrency: 1 }, () => {
      let app: RunningApp;
      let folder: string;
      let names = 0;

      before(async () => {
        folder = mkdtempSync(join(tmpdir(), "ekiben-faults-"));
        app = new RunningApp("services.mjs:Front", ["--placement", placement]);
        await app.call("echo", "up");
      });
      after(async () => {
        await app.end();
        app[Symbol.dispose]();
        rmSync(folder, { recursive: true, force: true });
      });

      /** Calls until both replicas of a service have answered: the entry then has a link to each. */
      const findBoth = async (api: string) => {
        const found = new Set<string>();
        for (let i = 0; i < 10_000 && found.size < 2; i++) {
          const { body } = await app.call(api);
          found.add(body.replica ?? body);
        }
        assert.equal(found.size, 2);
      };

      /** Holds a call on each of the two replicas. */
      const holdBoth = async (api: string) => {
        const held: { readonly name: string; readonly answer: Promise<Answer> }[] = [];
        for (let i = 0; i < 2; i++) {
          const name = `held ${++names}`;
          held.push({ name, answer: app.call(api, name) });
          await app.call("reached", name);
        }
        return held;
      };

      for (const { how, says, shows } of endings[placement]) {
        it(`that ends by ${how} takes only its own calls with it, is named in the log, and is followed by another`, async () => {
          const since = app.command.printed;
          await findBoth("where");
          const held = await holdBoth("hold");
          const { status, body } = await app.call("end", how);
          assert.deepEqual([status, lost(body)], [503, { ...lostCall, service: "Model", api: "end" }]);
          const [, ended] = await app.command.until(
            new RegExp(`"msg":"(Model#\\d) ${says}; it is started again"`),
            since,
          );
          assert.equal((await app.call("echo", "meanwhile")).body, "meanwhile");
          const { replica } = (await app.call("where")).body;
          assert.match(replica, /^Model#[01]$/);
          for (const { name } of held) await app.call("open", name);
          const answers = await Promise.all(held.map(({ answer }) => answer));
          const failures = answers.filter((answer) => answer.status !== 200);
          assert.deepEqual(
            failures.map((answer) => lost(answer.body)),
            [{ ...lostCall, service: "Model", api: "hold" }],
          );
          const survivor = answers.find((answer) => answer.status === 200)?.body;
          assert.deepEqual([survivor, ended].sort(), ["Model#0", "Model#1"]);
          await app.command.until(new RegExp(`"msg":"${ended} restarted"`), since);
          if (shows !== undefined) await app.command.until(shows, since);
          assert.equal((await app.readiness("Model")).readyReplicas, 2);
        });
      }

      it("lives on when a promise of its author's own is rejected and nothing awaits it, and says where (MB2)", async () => {
        const since = app.command.printed;
        const { status, body } = await app.call("leaveRejection", "left alone");
        assert.deepEqual([status, body], [200, "left alone"]);
        const said = "a promise in Model.leaveRejection was rejected and nothing awaits it: left alone";
        await app.command.until(new RegExp(said), since);
        const { readyReplicas } = await app.readiness("Model");
        assert.equal(readyReplicas, 2);
      });

      it("that is lost with a call of an idempotent api costs its caller nothing: another replica answers", async () => {
        const since = app.command.printed;
        await findBoth("where");
        const { status, body } = await app.call("endOnce", { how: "exit", marker: join(folder, "ended once") });
        const [, ended] = await app.command.until(
          /"msg":"(Model#\d) ended with exit code 3; it is started again"/,
          since,
        );
        assert.deepEqual([status, body], [200, ended === "Model#0" ? "Model#1" : "Model#0"]);
      });

      it("that is stuck in a loop gets no new calls, is killed and replaced; other replicas keep running", async () => {
        const since = app.command.printed;
        await findBoth("whoSleeps");
        const held = await holdBoth("holdSleeper");
        const looping = app.call("loop");
        const [, stuck] = await app.command.until(
          /"service":"Sleeper","replica":"(Sleeper#\d)","suspendAfterMs":1000,"msg":"Sleeper#\d suspended: it does not answer and gets no new calls"/,
          since,
        );
        const other = stuck === "Sleeper#0" ? "Sleeper#1" : "Sleeper#0";
        for (let i = 0; i < 4; i++) assert.equal((await app.call("whoSleeps")).body, other);
        assert.equal((await app.call("echo", "meanwhile")).body, "meanwhile");
        const { isReady, detail } = await app.readiness("Sleeper");
        assert.deepEqual(
          [isReady, detail],
          [true, `1 of 2 replicas are ready; ${stuck} does not answer, its event loop is busy`],
        );
        const killed = `"msg":"${stuck} did not answer for 4000 ms \\(liveness.replaceAfterMs\\) and was killed; it is started again"`;
        await app.command.until(new RegExp(killed), since);
        const { status, body } = await looping;
        assert.deepEqual([status, lost(body)], [503, { ...lostCall, service: "Sleeper", api: "loop" }]);
        for (const { name } of held) await app.call("open", name);
        const answers = await Promise.all(held.map(({ answer }) => answer));
        const statuses = answers.map((answer) => answer.status).sort();
        assert.deepEqual([statuses, answers.find((answer) => answer.status === 200)?.body], [[200, 503], other]);
        await app.command.until(new RegExp(`"msg":"${stuck} restarted"`), since);
        await findBoth("whoSleeps");
      });

      it("with an unexpected error two hops down has the stacks of callee and callers in the log", async () => {
        const since = app.command.printed;
        const { status, body } = await app.call("fail", "page 7");
        const { incident } = body;
        assert.deepEqual(
          { status, error: body.error, code: body.code, id: body.id, service: body.service, api: body.api },
          {
            status: 500,
            error: `internal error; incident ${incident}`,
            code: "internal",
            id: "unhandled_error",
            service: "Gate",
            api: "fail",
          },
        );
        await app.command.until(new RegExp(`"incident":"${incident}","msg":"Front\\.fail failed`), since);
        const lines = app.log.filter((line) => line["incident"] === incident);
        const line = (service: string) => lines.find((own) => own["service"] === service);
        assert.equal(line("Gate")?.["msg"], "Gate.fail threw: no weights for page 7");
        assert.match(
          line("Gate")?.["err"].stack,
          /^TypeError: no weights for page 7\n +at failDeepInside .*services\.mjs:\d+/,
        );
        assert.equal(line("Model")?.["msg"], "Model.fail failed with what Gate.fail threw");
        const stack: string = line("Front")?.["err"].stack;
        assert.match(
          stack,
          /failDeepInside .*services\.mjs(.|\n)*-- called by Model\.fail --\n +-- called by Front\.fail --\n +at .*services\.mjs/,
        );
        assert.equal(new Set(lines.map((own) => own["requestId"])).size, 1);
        assert.equal(new Set(lines.map((own) => own["replica"])).size, 3);
      });
    });
  }
});
