// Counts the files of src/ that run for one small JSON request over one process hop, from V8's coverage; needs dist/.
//   tsx scripts/count-request-files.ts
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { listDescendants, readCommand } from "../test/chaos/processes.js";
import { CommandProcess } from "../test/cli-process.js";
import { repositoryRoot } from "./repository.js";

const inRepository = (path: string) => join(repositoryRoot, path);
const limitMs = 30_000;
/** Number of measurements. Files that a timer runs appear in some of them only, and are left out. */
const measurements = 5;

const folder = mkdtempSync(join(tmpdir(), "ekiben-coverage-"));
const flags = ["--placement", "process", "--port", "0", "--host", "127.0.0.1", "--no-http-access-log"];
using app = new CommandProcess(["serve", inRepository("bench/workloads/w1.ts"), ...flags], {
  env: { REQUEST_COVERAGE: folder, NODE_OPTIONS: `--import ${inRepository("scripts/request-coverage.mjs")}` },
});
try {
  const url = await app.url();
  const pids = listDescendants(app.child.pid as number).filter((pid) => readCommand(pid).includes("process-main"));
  for (let i = 0; i < 50; i++) await request(url);
  let common: Set<string> | undefined;
  for (let i = 0; i < measurements; i++) {
    await takeCoverage(pids, 2 * i);
    await request(url);
    const ran = new Set(await takeCoverage(pids, 2 * i + 1));
    common = common === undefined ? ran : new Set([...common].filter((file) => ran.has(file)));
  }
  const files = [...(common ?? [])].sort();
  const lines = files.reduce(
    (sum, file) => sum + readFileSync(inRepository(`src/${file}`), "utf8").split("\n").length,
    0,
  );
  console.log(`${files.join("\n")}\n${files.length} files, ${lines} lines, in ${pids.length} processes`);
} finally {
  app.child.kill("SIGTERM");
  await app.ended;
  rmSync(folder, { recursive: true, force: true });
}

async function request(url: string): Promise<void> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${url}/run`, { method: "POST", headers, body: '{"text":"hello"}' });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  await response.arrayBuffer();
}

/** Reads the coverage of all processes. @returns Files that ran since the previous reading. */
async function takeCoverage(pids: readonly number[], take: number): Promise<readonly string[]> {
  for (const pid of pids) process.kill(pid, "SIGUSR2");
  const paths = pids.map((pid) => join(folder, `${pid}-${take}`));
  for (const end = performance.now() + limitMs; !paths.every(isWritten); await sleep(5)) {
    if (performance.now() > end) throw new Error(`no coverage within ${limitMs} ms`);
  }
  return paths.flatMap((path) => JSON.parse(readFileSync(path, "utf8")) as string[]);
}

function isWritten(path: string): boolean {
  return existsSync(path) && readFileSync(path, "utf8").endsWith("]");
}
