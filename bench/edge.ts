// What one JSON request costs at the HTTP edge: node:http, bare Fastify and ekiben in the same minutes.
import { type ChildProcess, execFile, fork, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { median } from "./measure.ts";
import { createRow, createVerdict, report } from "./report.ts";

const body = '{"text":"hello"}';
const connections = 32;
const roundSeconds = 2;
const rounds = 9;

const names: Record<string, string> = {
  "node-http": "node:http",
  fastify: "Fastify, bare",
  "fastify-zod": "Fastify, zod called in the route",
  "fastify-log": "Fastify, bare, with its log",
  ekiben: "ekiben, all checks, no access log",
  "ekiben-log": "ekiben, all checks, with its access log",
};

interface Contender {
  readonly kind: string;
  readonly child: ChildProcess;
  readonly url: string;
  readonly requestsPerSecond: number[];
  /** Of the server process, in microseconds. */
  readonly cpuPerRequest: number[];
}

const hasWrk = spawnSync("wrk", ["-v"]).error === undefined;
const folder = mkdtempSync(join(tmpdir(), "ekiben-bench-"));
const contenders = await Promise.all(Object.keys(names).map(startServer));
try {
  for (let round = 0; round <= rounds; round++) {
    for (const contender of contenders) {
      const cpuBefore = await readCpu(contender.child);
      const { requests, seconds } = hasWrk
        ? await driveWithWrk(contender.url)
        : await driveWithAutocannon(contender.url);
      const cpu = (await readCpu(contender.child)) - cpuBefore;
      if (round === 0) continue;
      contender.requestsPerSecond.push(requests / seconds);
      contender.cpuPerRequest.push(cpu / requests);
    }
  }
} finally {
  for (const { child } of contenders) child.kill();
  rmSync(folder, { recursive: true });
}

/** Each round by itself, since its contenders met the same neighbours on the machine. */
function compareCpu(kind: string, rival: string): number[] {
  const of = (name: string) => contenders.find((contender) => contender.kind === name)?.cpuPerRequest ?? [];
  const rivals = of(rival);
  return of(kind).map((cpu, round) => cpu / (rivals[round] ?? Number.NaN));
}

const withoutLog = compareCpu("ekiben", "fastify");
const withLog = compareCpu("ekiben-log", "fastify-log");
report(
  "edge",
  [
    ...contenders.map(({ kind, cpuPerRequest }) => createRow(`${names[kind]}: CPU a request`, "us", cpuPerRequest)),
    ...contenders.map(({ kind, requestsPerSecond }) => createRow(`${names[kind]}: requests`, "/s", requestsPerSecond)),
    createRow("CPU a request, ekiben to bare Fastify", "x", withoutLog),
    createRow("the same, both with their log", "x", withLog),
  ],
  [
    createVerdict("CPU a request, ekiben with all checks to bare Fastify", median(withoutLog), 1.3, "x"),
    createVerdict("the same, both with their log", median(withLog), 1.3, "x"),
  ],
  { body, connections, roundSeconds, rounds, load: hasWrk ? "wrk" : "autocannon" },
);

async function startServer(kind: string): Promise<Contender> {
  const child = fork(join(import.meta.dirname, "edge-server.ts"), [kind], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const [{ port }] = (await once(child, "message")) as [{ port: number }];
  const url = `http://127.0.0.1:${port}/echo`;
  const answer = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
  if ((await answer.text()) !== body) throw new Error(`${kind} does not echo`);
  return { kind, child, url, requestsPerSecond: [], cpuPerRequest: [] };
}

async function readCpu(child: ChildProcess): Promise<number> {
  child.send("cpu");
  const [{ cpuMicros }] = (await once(child, "message")) as [{ cpuMicros: number }];
  return cpuMicros;
}

async function driveWithWrk(url: string): Promise<{ requests: number; seconds: number }> {
  const script = join(folder, "post.lua");
  writeFileSync(script, `wrk.method="POST"\nwrk.body='${body}'\nwrk.headers["content-type"]="application/json"\n`);
  const flags = ["-t1", `-c${connections}`, `-d${roundSeconds}s`, "-s", script, url];
  const { stdout } = await promisify(execFile)("wrk", flags);
  const [, requests, seconds] = /(\d+) requests in ([\d.]+)s/.exec(stdout) ?? [];
  if (requests === undefined || seconds === undefined || stdout.includes("Non-2xx")) throw new Error(stdout);
  return { requests: Number(requests), seconds: Number(seconds) };
}

async function driveWithAutocannon(url: string): Promise<{ requests: number; seconds: number }> {
  const { default: autocannon } = await import("autocannon");
  const headers = { "content-type": "application/json" };
  const result = await autocannon({ url, method: "POST", headers, body, connections, duration: roundSeconds });
  if (result.non2xx + result.errors > 0) throw new Error(`${result.non2xx + result.errors} requests failed at ${url}`);
  return { requests: result["2xx"], seconds: result.duration };
}
