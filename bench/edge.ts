// Measures the cost of one JSON request at the HTTP server: node:http, bare Fastify and ekiben in the same minutes.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { request } from "node:https";
import { json } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { driveHttp, loadTool } from "./load.ts";
import { divideByRound, median } from "./measure.ts";
import { createRow, createVerdict, report } from "./report.ts";
import { readSettings } from "./settings.ts";

const body = '{"text":"hello"}';
const connections = 32;
const post = { method: "POST", headers: { "content-type": "application/json" }, body };
const { seconds, rounds } = readSettings({ seconds: 2, rounds: 9 });

const names: Record<string, string> = {
  "node-http": "node:http",
  fastify: "Fastify, bare",
  "fastify-zod": "Fastify, zod called in the route",
  "fastify-log": "Fastify, bare, with its log",
  ekiben: "ekiben, all checks, no access log",
  "ekiben-log": "ekiben, all checks, with its access log",
  "ekiben-tls": "ekiben, all checks, no access log, over TLS",
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
const overTls = compareCpu("ekiben-tls", "ekiben");
report("edge", {
  rows: [
    ...contenders.map(({ kind, cpuPerRequest }) => createRow(`${names[kind]}: CPU a request`, "us", cpuPerRequest)),
    ...contenders.map(({ kind, requestsPerSecond }) => createRow(`${names[kind]}: requests`, "/s", requestsPerSecond)),
    createRow("CPU a request, ekiben to bare Fastify", "x", withoutLog),
    createRow("the same, both with their log", "x", withLog),
    createRow("CPU a request, over TLS with keep-alive to plain", "x", overTls),
  ],
  verdicts: [
    createVerdict("CPU a request, ekiben with all checks to bare Fastify", median(withoutLog), { atMost: 1.3 }, "x"),
    createVerdict("the same, both with their log", median(withLog), { atMost: 1.3 }, "x"),
    createVerdict("CPU a request, over TLS with keep-alive to plain", median(overTls), { atMost: 1.3 }, "x"),
  ],
  setup: { body, connections, seconds, rounds, load: loadTool },
});

/** Sends the body over TLS, whose certificate `fetch` can't be told to trust. */
async function askOverTls(url: string): Promise<unknown> {
  const ca = readFileSync(fileURLToPath(import.meta.resolve("../test/fixtures/tls/first.crt")));
  const sent = request(url, { method: post.method, headers: post.headers, ca, agent: false });
  sent.end(body);
  const [response] = await once(sent, "response");
  return json(response);
}

async function startServer(kind: string): Promise<Contender> {
  const child = fork(fileURLToPath(import.meta.resolve("./edge-server.ts")), [kind], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const [{ port }] = (await once(child, "message")) as [{ port: number }];
  const isSecure = kind.endsWith("-tls");
  const url = `${isSecure ? "https" : "http"}://127.0.0.1:${port}/echo`;
  const answer = isSecure ? await askOverTls(url) : await (await fetch(url, post)).json();
  if (JSON.stringify(answer) !== body) throw new Error(`${kind} does not echo`);
  return { kind, child, url, requestsPerSecond: [], cpuPerRequest: [] };
}

async function readCpu(child: ChildProcess): Promise<number> {
  child.send("cpu");
  const [{ cpuMicros }] = (await once(child, "message")) as [{ cpuMicros: number }];
  return cpuMicros;
}
