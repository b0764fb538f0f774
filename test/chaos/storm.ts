import { setTimeout as sleep } from "node:timers/promises";
import { Random } from "../http/random.js";
import type { ChaosApp } from "./app.js";
import { type Caller, callOn, callOnce, limitMs } from "./caller.js";
import { Connection } from "./exchange.js";
import { createRequest, type Kind, kindNames } from "./requests.js";
import { Tally } from "./tally.js";

/** Weights of client behaviours, of 64 connections: most wait for their answers, some are slow, some disconnect. */
const manners = [
  ...Array<Caller["manner"]>(40).fill("steady"),
  ...Array<Caller["manner"]>(12).fill("slow"),
  ...Array<Caller["manner"]>(12).fill("leaving"),
];
export const connectionCount = manners.length;

/** Replicas, of eight, that may be down at once: the machine decides how fast they restart. */
const maxDown = 3;

/** Share of kills that hit a starting replica, if there is one. */
const earlyKills = 0.2;

/** One storm. */
export interface Storm {
  readonly seed: number;
  readonly ms: number;
  /** Replicas that are spared. Default: none. */
  readonly isSpared?: (replica: string) => boolean;
}

/**
 * Runs callers on all connections while replicas are killed. Ends when each caller has the answer to its last request.
 */
export async function rage(app: ChaosApp, { seed, ms, isSpared = () => false }: Storm, tally: Tally): Promise<void> {
  const end = performance.now() + ms;
  const isOver = () => performance.now() > end;
  const callers = manners.map((manner, i): Caller => ({ manner, random: new Random(seed + 1 + i) }));
  tally.begin();
  const killer = killReplicas(app, new Random(seed), isSpared, isOver);
  await Promise.all([killer, ...callers.map((caller) => callOn(app.url, caller, tally, isOver))]);
  noteUnexplained(app, tally);
}

async function killReplicas(
  app: ChaosApp,
  random: Random,
  isSpared: (replica: string) => boolean,
  isOver: () => boolean,
) {
  for (;;) {
    await sleep(random.between(150, 600));
    if (isOver()) return;
    const victims = app.replicas.filter((pid) => !isSpared(app.replicaOf(pid) ?? ""));
    const up = victims.filter((pid) => app.replicaOf(pid) !== undefined);
    const starting = victims.filter((pid) => app.replicaOf(pid) === undefined);
    const isEarly = starting.length > 0 && random.chance(earlyKills);
    if (starting.length < maxDown && up.length > 0) app.kill(random.pick(isEarly ? starting : up));
  }
}

/** True for entry replicas: only those have connections of clients. */
function noteUnexplained(app: ChaosApp, tally: Tally): void {
  const ends = app.kills.filter(({ pid }) => app.replicaOf(pid)?.startsWith("Front")).map(({ at }) => at);
  for (const { openedAt, at, what } of tally.breaks.splice(0)) {
    if (!ends.some((end) => end >= openedAt && end <= at)) tally.faults.push(`no entry replica was killed: ${what}`);
  }
}

/** Checks the app without a storm: each answer is right at once. */
export async function askCalmly(app: ChaosApp, seed: number): Promise<string[]> {
  const tally = new Tally();
  const random = new Random(seed);
  const ask = async (kind: Kind) => {
    const connection = new Connection(app.url, limitMs);
    await callOnce(connection, createRequest(random, kind, "steady"), tally);
    connection.close();
  };
  await Promise.all(kindNames.flatMap((kind) => Array.from({ length: 8 }, () => ask(kind))));
  const unexpected = [...tally.failures.keys(), ...tally.breaks.map(({ what }) => what), ...tally.faults];
  return unexpected.map((what) => `in calm weather, ${what}`);
}
