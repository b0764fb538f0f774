/** CPU time of one run of the model, in milliseconds. */
export const runMs = 10;

const neverWoken = new Int32Array(new SharedArrayBuffer(4));

/** Set for a model that computes elsewhere, as on a GPU: it blocks its thread but uses no CPU. */
export const elsewhere = { BENCH_RUNS: "elsewhere" };

/** Blocks the thread for the time of one run, without a pause; uses the CPU unless runs are `elsewhere`. */
export function burn(x: number): number {
  if (process.env["BENCH_RUNS"] === elsewhere.BENCH_RUNS) {
    Atomics.wait(neverWoken, 0, 0, runMs);
    return x;
  }
  const end = readOwnMicros() + runMs * 1000;
  let y = x;
  while (readOwnMicros() < end) for (let i = 0; i < 20_000; i++) y = Math.sin(y + i);
  return y;
}

/** Number of runs in this process: a model has a process of its own. */
function readOwnMicros(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}
