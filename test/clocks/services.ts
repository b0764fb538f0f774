import { api, currentCall, depends, Service, task } from "ekiben";
import { z } from "zod";

/** Clock readings of a replica. */
export interface SeenTime {
  /** Difference between its time of day and the real time, and between its time of day and the caller's. */
  readonly offsetMs: number;
  readonly remainingMs: number;
  /** Time from its own time of day to the deadline of the call. */
  readonly untilDeadlineMs: number;
}

const readClock = () => (globalThis as any)[Symbol.for("test.clock")] as { offsetMs: number } | undefined;

function readTime(): SeenTime {
  const { remainingMs, deadline } = currentCall();
  return { offsetMs: readClock()?.offsetMs ?? 0, remainingMs, untilDeadlineMs: deadline - Date.now() };
}

/** Sets the time of day of this replica. */
function step(ms: number): number {
  const clock = readClock();
  if (clock === undefined) throw new Error("the clock of this replica can't be set");
  clock.offsetMs += ms;
  return clock.offsetMs;
}

/** Waits until the call is cancelled, then returns how many milliseconds it had. */
async function waitForAbort(): Promise<number> {
  const { signal } = currentCall();
  const begun = performance.now();
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  return performance.now() - begun;
}

export class Model extends Service() {
  #waitedMs: number[] = [];
  #release = () => {};
  readonly #trained = new Set<number>();

  see = api({ output: z.any(), idempotent: true }, () => readTime());
  step = api({ input: z.number(), output: z.number() }, step);
  /** Answers when a test releases it. */
  hold = api({ output: z.any() }, async () => {
    await new Promise<void>((resolve) => (this.#release = resolve));
    return readTime();
  });
  release = api({ output: z.null() }, () => {
    this.#release();
    return null;
  });
  wait = api({ output: z.string() }, async () => {
    this.#waitedMs.push(await waitForAbort());
    return "late";
  });
  waited = api({ output: z.array(z.number()) }, () => this.#waitedMs.splice(0));
  batched = api(
    { input: z.array(z.number()), output: z.array(z.any()), batch: { maxRows: 4, targetLatencyMs: 200 } },
    (rows) => rows.map(() => readTime()),
  );
  count = api({ input: z.number(), yields: z.any() }, async function* (items) {
    for (let i = 0; i < items; i++) yield readTime();
  });
  /** Sets the clock in its first attempt. A lease in the store uses the time of day, which all processes share. */
  train = task({ input: z.number(), output: z.any() }, (ms) => {
    if (!this.#trained.has(ms)) step(ms);
    this.#trained.add(ms);
    return readTime();
  });
}

/** Calls the model across a process boundary, and reads its own time. */
export class Entry extends Service() {
  model = depends(Model);

  step = api({ input: z.number(), output: z.number() }, step);
  see = api({ output: z.any() }, async () => ({ above: readTime(), below: await this.model.see() }));
  /** Calls with a time limit. @returns The duration until the call gave up. */
  giveUp = api({ input: z.number(), output: z.any() }, async (timeoutMs) => {
    const begun = performance.now();
    const failure = await this.model.wait(undefined, { timeoutMs }).then(String, (error) => error.message);
    return { failure, ms: performance.now() - begun };
  });
}
