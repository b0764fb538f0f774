import type { Units } from "./grid.ts";
import { quantile } from "./measure.ts";
import { listTree, readCpuMicros } from "./processes.ts";

/** Result of one round of calls. Times in microseconds. */
export type CallFigures = {
  readonly p50: number;
  readonly p99: number;
  readonly perSecond: number;
  /** CPU time of this process with its threads, and of all processes it has started. */
  readonly cpu: number;
};

export const callUnits: Units<CallFigures> = {
  p50: ["p50", "us"],
  p99: ["p99", "us"],
  perSecond: ["calls", "/s"],
  cpu: ["CPU a call", "us"],
};

/**
 * Makes calls one after the other in `loops` concurrent loops, for some seconds.
 *
 * @param call Takes the number of its loop, from 0.
 */
export async function driveLoops(
  call: (loop: number) => Promise<unknown>,
  loops: number,
  seconds: number,
): Promise<CallFigures> {
  const latencies: number[] = [];
  const cpuBefore = readOwnCpu();
  const begun = performance.now();
  const end = begun + seconds * 1000;
  const run = async (loop: number) => {
    for (let sent = performance.now(); sent < end; ) {
      await call(loop);
      const answered = performance.now();
      latencies.push((answered - sent) * 1000);
      sent = answered;
    }
  };
  await Promise.all(Array.from({ length: loops }, (_, loop) => run(loop)));
  const took = (performance.now() - begun) / 1000;
  return {
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    perSecond: latencies.length / took,
    cpu: (readOwnCpu() - cpuBefore) / latencies.length,
  };
}

function readOwnCpu(): number {
  const { user, system } = process.cpuUsage();
  const [, ...started] = listTree(process.pid);
  return user + system + readCpuMicros(started);
}
