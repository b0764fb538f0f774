// Apis that keep running after all their callers have left.
import { api, Service } from "ekiben";
import { z } from "zod";

const never = () => new Promise(() => {});
const rows = { input: z.array(z.string()), output: z.array(z.string()) };

export class Stuck extends Service({ maxConcurrent: 1, liveness: { intervalMs: 50 } }) {
  one = api({ input: z.string(), output: z.string(), timeoutMs: 50 }, never);
  rows = api({ ...rows, timeoutMs: 50, batch: { maxRows: 4, maxConcurrent: 1 } }, never);
  /** Runs a batch that begins with its second call. */
  pairs = api({ ...rows, batch: { maxRows: 2, windowMs: 60_000, maxConcurrent: 1 } }, never);
}
