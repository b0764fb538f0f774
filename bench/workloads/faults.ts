// A call that takes three hops to the service that does the work, for what happens when somebody goes away.
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { api, currentCall, depends, Service } from "ekiben";
import { z } from "zod";

const Milliseconds = z.object({ ms: z.number() });
const Seen = z.object({
  /** Calls of `hold` so far. */
  calls: z.int(),
  /** When the latest of them was cancelled, in milliseconds of the machine's clock; 0 while none was. */
  cancelledAt: z.number(),
});

/** Milliseconds since the machine started: the same in all of its processes. */
export const readMachineClock = (): number => Number(process.hrtime.bigint()) / 1e6;

export class Last extends Service() {
  #seen = { calls: 0, cancelledAt: 0 };

  pid = api({ output: z.int() }, () => process.pid);

  work = api({ input: Milliseconds, output: Milliseconds }, async ({ ms }) => {
    await sleep(ms);
    return { ms };
  });

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

  pid = api({ output: z.int() }, () => this.last.pid());

  seen = api({ output: Seen }, () => this.last.seen());
}
