// A call that takes three hops to the service that does the work, for tests of killed replicas and clients that leave.
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { api, currentCall, depends, Service } from "ekiben";
import { z } from "zod";
import { readMachineClock } from "../machine-clock.ts";

const Milliseconds = z.object({ ms: z.number() });
const Seen = z.object({
  /** Number of calls of `hold` so far. */
  calls: z.int(),
  /** Time when the latest of them was cancelled, in milliseconds of the machine's clock; 0 before the first. */
  cancelledAt: z.number(),
});

async function work({ ms }: { ms: number }) {
  await sleep(ms);
  return { ms };
}

export class Last extends Service() {
  #seen = { calls: 0, cancelledAt: 0 };

  pid = api({ output: z.int() }, () => process.pid);

  work = api({ input: Milliseconds, output: Milliseconds }, work);

  /** Does the same, but is idempotent, so that callers may retry. */
  repeatable = api({ input: Milliseconds, output: Milliseconds, idempotent: true }, work);

  /** Waits until it is cancelled. */
  hold = api({ output: Seen }, async () => {
    const { signal } = currentCall();
    this.#seen = { calls: this.#seen.calls + 1, cancelledAt: 0 };
    if (!signal.aborted) await once(signal, "abort");
    this.#seen.cancelledAt = readMachineClock();
    return this.#seen;
  });

  seen = api({ output: Seen }, () => this.#seen);
}

export class Third extends Service() {
  last = depends(Last);

  hold = api({ output: Seen }, () => this.last.hold());
}

export class Second extends Service() {
  third = depends(Third);

  hold = api({ output: Seen }, () => this.third.hold());
}

export class First extends Service() {
  second = depends(Second);
  last = depends(Last);

  hold = api({ output: Seen }, () => this.second.hold());

  work = api({ input: Milliseconds, output: Milliseconds }, (input) => this.last.work(input));

  repeatable = api({ input: Milliseconds, output: Milliseconds }, (input) => this.last.repeatable(input));

  pid = api({ output: z.int() }, () => this.last.pid());

  seen = api({ output: Seen }, () => this.last.seen());
}
