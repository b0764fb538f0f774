import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

const logModule = JSON.stringify(fileURLToPath(new URL("./log.ts", import.meta.url)));

/** Runs a program that logs, and gives the lines it wrote until it ended, as text. */
function printLines(program: string): string[] {
  const code = `import { createLog } from ${logModule}; const { log, flush } = createLog("info"); ${program}`;
  const run = spawnSync(process.execPath, ["--import", "tsx", "--input-type=module", "-e", code], { encoding: "utf8" });
  return run.stdout.split("\n").filter((line) => line !== "");
}

const runLogger = (program: string) =>
  printLines(program).map((line) => JSON.parse(line) as { msg: string; level: number });

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

  it("takes a text alone, and writes each key once, the innermost value", () => {
    const code = `
      for (const level of ["info", "warn", "error"]) log[level]("a text");
      log.child({ service: "Model", replica: "Model#0" }).child({ service: "Model", api: "run" }).info({ api: "walk" }, "twice");`;
    const printed = printLines(code);
    assert.deepEqual(
      printed.map((line) => JSON.parse(line)).map(({ msg, level }) => `${level} ${msg}`),
      ["30 a text", "40 a text", "50 a text", "30 twice"],
    );
    const names = (printed[3]?.match(/"(service|replica|api)":"[^"]*"/g) ?? []).sort();
    assert.deepEqual(names, ['"api":"walk"', '"replica":"Model#0"', '"service":"Model"']);
  });

  it("leaves out what is below its level", () => {
    assert.deepEqual(
      runLogger('log.debug({}, "no"); log.warn({}, "yes");').map((line) => line.msg),
      ["yes"],
    );
  });
});
