import { request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { readMachineClock } from "../machine-clock.ts";
import { median } from "../measure.ts";
import type { ServerProcess } from "../server-process.ts";

interface Seen {
  readonly calls: number;
  readonly cancelledAt: number;
}

const timesARound = 10;
const limitMs = 10_000;

/**
 * Measures the time from a client's disconnect until the service three hops away is cancelled, in milliseconds; median
 * of ten.
 */
export async function measureLeave(server: ServerProcess): Promise<number> {
  const times: number[] = [];
  for (let time = 0; time < timesARound; time++) times.push(await leaveOnce(server));
  return median(times);
}

async function leaveOnce(server: ServerProcess): Promise<number> {
  const { calls } = await readSeen(server);
  const client = request(`${server.url}/hold`, { method: "POST" });
  client.on("error", () => {});
  client.end();
  await waitFor(server, (seen) => seen.calls > calls);
  const leftAt = readMachineClock();
  client.destroy();
  const { cancelledAt } = await waitFor(server, (seen) => seen.cancelledAt > 0);
  return cancelledAt - leftAt;
}

async function waitFor(server: ServerProcess, isReached: (seen: Seen) => boolean): Promise<Seen> {
  const end = performance.now() + limitMs;
  for (;;) {
    const seen = await readSeen(server);
    if (isReached(seen)) return seen;
    if (performance.now() > end) throw new Error(`the last service was not told in ${limitMs} ms`);
    await sleep(2);
  }
}

async function readSeen(server: ServerProcess): Promise<Seen> {
  const response = await fetch(`${server.url}/seen`, { method: "POST" });
  return (await response.json()) as Seen;
}
