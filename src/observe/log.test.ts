import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

const logModule = JSON.stringify(fileURLToPath(new URL("./log.ts", import.meta.url)));

/** Runs a program that logs, and gives the lines it wrote until it ended. */
function runLogger(program: string): { msg: string; level: number }[] {
  const code = `import { createLog } from ${logModule}; const { log, flush } = createLog("info"); ${program}`;
  const run = spawnSync(process.execPath, ["--import", "tsx", "--input-type=module", "-e", code], { encoding: "utf8" });
  const lines = run.stdout.split("\n").filter((line) => line !== "");
  return lines.map((line) => JSON.parse(line) as { msg: string; level: number });
}

describe("createLog", () => {
  it("writes every line in order, though an ending process left them no time", () => {
    const lines = runLogger("for (let i = 0; i < 500; i++) log.info({ i }, 'line ' + i);");
    assert.deepEqual(
      lines.map((line) => line.msg),
      Array.from({ length: 500 }, (_, i) => `line ${i}`),
    );
  });

  it("has an error on its way, with what came before it, when the process is killed next", () => {
    const lines = runLogger(
      'setImmediate(() => { log.info({}, "before"); log.error({}, "broken"); process.kill(process.pid, "SIGKILL"); });',
    );
    assert.deepEqual(
      lines.map((line) => line.msg),
      ["before", "broken"],
    );
  });

  it("leaves out what is below its level", () => {
    assert.deepEqual(
      runLogger('log.debug({}, "no"); log.warn({}, "yes");').map((line) => line.msg),
      ["yes"],
    );
  });
});
