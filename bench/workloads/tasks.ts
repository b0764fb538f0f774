// Durable tasks without work of their own: the cost is that of storing and running them.
import { api, depends, Service, task } from "ekiben";
import { z } from "zod";
import { type CallFigures, driveLoops } from "../closed-loops.ts";

const Message = z.object({ text: z.string() });
export const message = { text: "hello" };

/** Maximum number of callers that wait for results at once; more than any load here. */
const bounds = { maxConcurrent: 64, maxQueued: 4096 };
const contract = { input: Message, output: Message, ...bounds };

/** Never ends: tasks that are submitted after the first stay in the store. */
const park = (): Promise<never> => new Promise(() => {});

class Jobs extends Service() {
  run = task(contract, (given) => given);
  parked = task({ ...contract, maxConcurrent: 1 }, park);
}

const Round = z.object({ what: z.enum(["submit", "run"]), loops: z.int(), seconds: z.number() });
const Figures = z.object({ p50: z.number(), p99: z.number(), perSecond: z.number(), cpu: z.number() });

export class Caller extends Service({ placement: "inline" }) {
  jobs = depends(Jobs);

  /** Offers the same tasks over HTTP, where only tasks of the entry service are available. */
  run = task(contract, (given) => given);
  parked = task({ ...contract, maxConcurrent: 1 }, park);

  drive = api({ input: Round, output: Figures }, ({ what, loops, seconds }): Promise<CallFigures> => {
    const call = what === "submit" ? () => this.jobs.parked.submit(message) : () => this.jobs.run(message);
    return driveLoops(call, loops, seconds);
  });
}
