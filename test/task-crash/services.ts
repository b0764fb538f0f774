// Tasks that write down each of their attempts, so that a test can tell how often each was begun, and which attempt was
// recorded.
import { randomUUID } from "node:crypto";
import { appendFileSync } from "node:fs";
import { currentCall, depends, Service, task } from "ekiben";
import { z } from "zod";

/** Appends a line with a single write: it is in the file when the call returns, however the process ends. */
const note = (line: string): void => appendFileSync(process.env["TASK_LOG"] as string, `${line}\n`);

const Order = z.object({ n: z.number(), ms: z.number() });
/** Records an attempt. @param by Name of the attempt. */
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

/** Tasks of a service that the entry calls; they run in another process. */
export class Deep extends Service({ replicas: 2 }) {
  work = task(contract, work);
}

export class Shallow extends Service({ replicas: 2 }) {
  deep = depends(Deep);

  work = task(contract, work);
  /** Task that waits for another task: both are stored. */
  nested = task(contract, async (order) => {
    const { n, by } = await this.deep.work(order);
    return { n, by };
  });
}
