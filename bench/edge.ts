// Measures the cost of one JSON request at the HTTP server: node:http, bare Fastify and ekiben in the same minutes.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { driveHttp, loadTool } from "./load.ts";
import { divideByRound, median } from "./measure.ts";
import { createRow, createVerdict, report } from "./report.ts";
import { readSettings } from "./settings.ts";

const body = '{"text":"hello"}';
const connections = 32;
const { seconds, rounds } = readSettings({ seconds: 2, rounds: 9 });

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
  /** CPU time of the server process, in microseconds. */
  readonly cpuPerRequest: number[];
}

const contenders = await Promise.all(Object.keys(names).map(startServer));
try {
  for (let round = 0; round <= rounds; round++) {
    for (const contender of contenders) {
      const cpuBefore = await readCpu(contender.child);
      const result = await driveHttp({ url: contender.url, bodies: [body], connections, seconds });
      if (result.failed > 0) throw new Error(`${result.failed} requests failed at ${contender.kind}`);
      const cpu = (await readCpu(contender.child)) - cpuBefore;
      if (round === 0) continue;
      contender.requestsPerSecond.push(result.requests / result.seconds);
      contender.cpuPerRequest.push(cpu / result.requests);
    }
  }
} finally {
  for (const { child } of contenders) child.kill();
}

function compareCpu(kind: string, rival: string): number[] {
  const of = (name: string) => contenders.find((contender) => contender.kind === name)?.cpuPerRequest ?? [];
  return divideByRound(of(kind), of(rival));
}

const withoutLog = compareCpu("ekiben", "fastify");
const withLog = compareCpu("ekiben-log", "fastify-log");
report("edge", {
  rows: [
    ...contenders.map(({ kind, cpuPerRequest }) => createRow(`${names[kind]}: CPU a request`, "us", cpuPerRequest)),
    ...contenders.map(({ kind, requestsPerSecond }) => createRow(`${names[kind]}: requests`, "/s", requestsPerSecond)),
    createRow("CPU a request, ekiben to bare Fastify", "x", withoutLog),
    createRow("the same, both with their log", "x", withLog),
  ],
  verdicts: [
    createVerdict("CPU a request, ekiben with all checks to bare Fastify", median(withoutLog), { atMost: 1.3 }, "x"),
    createVerdict("the same, both with their log", median(withLog), { atMost: 1.3 }, "x"),
  ],
  setup: { body, connections, seconds, rounds, load: loadTool },
});

async function startServer(kind: string): Promise<Contender> {
  const child = fork(fileURLToPath(import.meta.resolve("./edge-server.ts")), [kind], {
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
