// W5 over HTTP, beside rivals that batch: rows a second and latency, each request with one row.
import assert from "node:assert/strict";
import { findFreePorts } from "../free-ports.ts";
import { Grid } from "../grid.ts";
import { driveHttp, loadTool } from "../load.ts";
import { measureInTurn, median } from "../measure.ts";
import { createRow, createVerdict, report, type Verdict } from "../report.ts";
import { ServerProcess } from "../server-process.ts";
import { withPython } from "../settings.ts";
import { createMlpRow } from "../workloads/mlp-model.ts";
import { type BatchContender, contenders, createBodies, names } from "./contenders.ts";
import { openOffline } from "./offline.ts";

const connectionCounts = [1, 16, 64];

/** Result of one round. */
type HttpFigures = { readonly perSecond: number; readonly p50: number; readonly p99: number; readonly failed: number };

interface Running {
  readonly contender: BatchContender;
  readonly server: ServerProcess;
}

export async function measureHttp(seconds: number, rounds: number): Promise<void> {
  const grid = new Grid<HttpFigures>({
    perSecond: ["rows", "/s"],
    p50: ["p50", "ms"],
    p99: ["p99", "ms"],
    failed: ["failed", ""],
  });
  const notRun: Record<string, string> = {};
  const running: Running[] = [];
  try {
    for (const contender of contenders) {
      if (contender.isPython && !withPython) notRun[contender.name] = "asked for with --python";
      else await start(contender, running, notRun);
    }
    for (const connections of connectionCounts) {
      const contestants = running.map((one) => ({
        name: one.contender.name,
        round: () => measureRound(one, connections, seconds),
      }));
      grid.add(`${connections} at once`, await measureInTurn(contestants, rounds));
    }
  } finally {
    await Promise.all(running.map(({ server }) => server.stop()));
  }
  await reportHttp(grid, { seconds, rounds, notRun });
}

async function start(contender: BatchContender, running: Running[], notRun: Record<string, string>): Promise<void> {
  let server: ServerProcess | undefined;
  try {
    const [port = 0] = await findFreePorts(3);
    server = await ServerProcess.start(await contender.prepare(port));
    await checkScores(server.url, contender);
    running.push({ contender, server });
  } catch (error) {
    await server?.stop();
    if (!contender.isPython) throw error;
    notRun[contender.name] = (error as Error).message;
  }
}

/** Sends one request. @throws {Error} when the answer differs from the offline result of the network. */
async function checkScores(url: string, { route, createBody, readScores }: BatchContender): Promise<void> {
  const offline = await openOffline();
  const row = createMlpRow(3);
  const expected = await offline.score(row);
  await offline.close();
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${url}${route}`, { method: "POST", headers, body: createBody(row) });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  const scores = readScores(JSON.parse(text));
  assert.equal(scores.length, expected.length);
  // The body has four digits of each number.
  scores.forEach((score, i) => {
    assert.ok(Math.abs(score - (expected[i] as number)) < 1e-3, `score ${i} is ${score}, offline ${expected[i]}`);
  });
}

async function measureRound({ contender, server }: Running, connections: number, seconds: number) {
  const load = { url: `${server.url}${contender.route}`, bodies: createBodies(contender), connections, seconds };
  const { requests, seconds: took, failed, p50Ms, p99Ms } = await driveHttp(load);
  return { perSecond: requests / took, p50: p50Ms, p99: p99Ms, failed };
}

interface Setup {
  readonly seconds: number;
  readonly rounds: number;
  readonly notRun: Readonly<Record<string, string>>;
}

async function reportHttp(grid: Grid<HttpFigures>, { seconds, rounds, notRun }: Setup): Promise<void> {
  const { batched, plain, mosecs } = names;
  const added = grid
    .read("1 at once", batched, "p50")
    .map((p50, round) => p50 - (grid.read("1 at once", plain, "p50")[round] ?? Number.NaN));
  const failed = connectionCounts.flatMap((count) => grid.read(`${count} at once`, batched, "failed"));
  const verdicts: Verdict[] = [
    createVerdict("p50 with 1 connection, more than without batching", median(added), { atMost: 1 }, "ms"),
    createVerdict(
      "requests that failed",
      failed.reduce((sum, count) => sum + count, 0),
      { atMost: 0 },
      "",
    ),
  ];
  for (const mosec of mosecs) {
    if (notRun[mosec] !== undefined) continue;
    const ratio = grid.ratio("64 at once", "perSecond", [batched, mosec]);
    verdicts.push(createVerdict(`rows/s with 64 connections, ekiben to ${mosec}`, ratio, { atLeast: 1 }, "x"));
  }
  const others = contenders.filter(({ name }) => name !== batched && notRun[name] === undefined);
  const ratios = grid.compare(
    ["perSecond", "p50"],
    others.map(({ name }) => [batched, name]),
  );
  report("batching-http", {
    rows: [...grid.rows, ...ratios.rows, createRow("p50 with 1 connection, more than without batching", "ms", added)],
    tables: [grid.table, ratios.table],
    verdicts,
    setup: {
      ...{ title: "W5, a small network in ONNX, one row a request", seconds, rounds, load: loadTool, notRun },
      contenders: Object.fromEntries(contenders.map(({ name, note }) => [name, note])),
    },
  });
  for (const [rival, why] of Object.entries(notRun)) console.log(`  not run: ${rival}: ${why}`);
}
