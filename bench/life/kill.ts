import { setTimeout as sleep } from "node:timers/promises";
import { startEkiben } from "../ekiben-command.ts";
import type { Units } from "../grid.ts";
import type { ServerProcess } from "../server-process.ts";

/** Observations of clients when their replica was killed. Times in milliseconds from the kill. */
export type KillFigures = {
  /** Requests in flight when the replica was killed. */
  readonly inFlight: number;
  /** Time until each of those was answered or had failed. */
  readonly settledMs: number;
  readonly lostInFlight: number;
  /** Time of the last failure of those; `NaN` when none failed. */
  readonly lostMs: number;
  /** Time until the first good answer to a request that was sent after the kill. */
  readonly goodAgainMs: number;
  /** Longest wait of a request sent after the kill for its good answer. */
  readonly slowestMs: number;
  /** Failed requests that were sent after the kill. */
  readonly failedAfter: number;
};

export const killUnits: Units<KillFigures> = {
  inFlight: ["in flight at the kill", ""],
  settledMs: ["all of those answered", "ms"],
  lostInFlight: ["of those failed", ""],
  lostMs: ["the failures came after", "ms"],
  goodAgainMs: ["good answers again", "ms"],
  slowestMs: ["longest wait after", "ms"],
  failedAfter: ["failed after", ""],
};

interface Request {
  readonly sentAt: number;
  answeredAt: number;
  isGood: boolean;
}

/** Work of one request, and interval of requests: about five are in flight. */
const workMs = 100;
const everyMs = 20;
const beforeMs = 1000;
const afterMs = 3000;

/** Settings of a kill. */
export interface Victim {
  readonly api: "work" | "repeatable";
  readonly replicas: number;
}

/** Sends requests at a steady rate and kills, with SIGKILL, one replica of the service that does the work. */
export async function measureKill({ api, replicas }: Victim): Promise<KillFigures> {
  const flags = ["--replicas", `Last=${replicas}`];
  await using server = await startEkiben({ file: "faults", placement: "process", flags });
  const pid = (await (await fetch(`${server.url}/pid`, { method: "POST" })).json()) as number;
  if (pid === server.listProcesses()[0]) throw new Error("the replica has no process of its own");
  await send(server, api);

  const requests: Request[] = [];
  const answers: Promise<void>[] = [];
  const begun = performance.now();
  let killedAt = Number.POSITIVE_INFINITY;
  for (let now = begun; now - begun < beforeMs + afterMs; now = performance.now()) {
    if (now - begun >= beforeMs && killedAt > now) {
      process.kill(pid, "SIGKILL");
      killedAt = performance.now();
    }
    const request = { sentAt: performance.now(), answeredAt: Number.POSITIVE_INFINITY, isGood: false };
    requests.push(request);
    answers.push(follow(request, send(server, api)));
    await sleep(everyMs);
  }
  await Promise.all(answers);
  return summarize(requests, killedAt);
}

function summarize(requests: readonly Request[], killedAt: number): KillFigures {
  const inFlight = requests.filter(({ sentAt, answeredAt }) => sentAt < killedAt && answeredAt > killedAt);
  const lost = inFlight.filter(({ isGood }) => !isGood);
  const later = requests.filter(({ sentAt }) => sentAt > killedAt);
  const good = later.filter(({ isGood }) => isGood);
  return {
    inFlight: inFlight.length,
    settledMs: Math.max(...inFlight.map(({ answeredAt }) => answeredAt - killedAt)),
    lostInFlight: lost.length,
    lostMs: lost.length === 0 ? Number.NaN : Math.max(...lost.map(({ answeredAt }) => answeredAt - killedAt)),
    goodAgainMs: Math.min(...good.map(({ answeredAt }) => answeredAt - killedAt)),
    slowestMs: Math.max(...good.map(({ sentAt, answeredAt }) => answeredAt - sentAt)),
    failedAfter: later.length - good.length,
  };
}

async function follow(request: Request, answer: Promise<boolean>): Promise<void> {
  request.isGood = await answer;
  request.answeredAt = performance.now();
}

/** True for a good answer. */
async function send(server: ServerProcess, api: string): Promise<boolean> {
  const headers = { "content-type": "application/json" };
  try {
    const response = await fetch(`${server.url}/${api}`, {
      ...{ method: "POST", headers, body: JSON.stringify({ ms: workMs }) },
      signal: AbortSignal.timeout(15_000),
    });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}
