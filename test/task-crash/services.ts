// Tasks that write down each of their attempts, so that a test can tell how often each was begun, and which attempt was
// recorded.
import { randomUUID } from "node:crypto";
import { appendFileSync } from "node:fs";
import { currentCall, depends, Service, task } from "ekiben";
import { z } from "zod";

/** Appending a line is one write: it is there as soon as the call has returned, however the process ends. */
const note = (line: string): void => appendFileSync(process.env["TASK_LOG"] as string, `${line}\n`);

const Order = z.object({ n: z.number(), ms: z.number() });
/** `by` names the attempt. */
const Done = z.object({ n: z.number(), by: z.string() });

async function work({ n, ms }: z.infer<typeof Order>): Promise<z.infer<typeof Done>> {
  const by = randomUUID();
  note(`begun ${n} ${by}`);
  currentCall().progress(0.5);
  await new Promise((resolve) => setTimeout(resolve, ms));
  note(`ended ${n} ${by}`);
  return { n, by };
}

const contract = { input: Order, output: Done, idempotent: true, attempts: 1000, maxConcurrent: 8, retryBackoffMs: 10 };

/** The tasks of a service that the entry calls: theirs is another process. */
export class Deep extends Service({ replicas: 2 }) {
  work = task(contract, work);
}

export class Shallow extends Service({ replicas: 2 }) {
  deep = depends(Deep);

  work = task(contract, work);
  /** A task that waits for another one: nested, both are kept. */
  nested = task(contract, async (order) => {
    const { n, by } = await this.deep.work(order);
    return { n, by };
  });
}
