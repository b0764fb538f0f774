import { appendFileSync, existsSync } from "node:fs";
import { api, Service } from "ekiben";
import { z } from "zod";

const block = z.object({
  name: z.string(),
  /** File that records what has begun. */
  log: z.string(),
  forMs: z.number().default(5),
  /** File that releases the call. */
  until: z.string().optional(),
});

/** Behaviour of a call of `Blocker`. */
export type Block = z.input<typeof block>;

/** Limit for each wait, on any machine: the event comes at once, or never. */
const limitMs = 20_000;

/** Computes without an await, like a model that runs in the JavaScript thread: nothing else runs there meanwhile. */
export class Blocker extends Service() {
  plain = api({ input: block, output: z.string() }, (input) => run(input));
  later = api({ input: block, output: z.string() }, async (input) => run(input));
  narrow = api({ input: block, output: z.string(), maxConcurrent: 1, maxQueued: 2 }, (input) => run(input));
  rows = api({ input: z.array(block), output: z.array(z.string()), batch: { maxRows: 1 } }, (inputs) =>
    inputs.map(run),
  );
  items = api({ input: z.array(block), yields: z.string() }, async function* (inputs) {
    for (const input of inputs) yield run(input);
  });
}

function run({ name, log, forMs, until }: z.output<typeof block>): string {
  appendFileSync(log, `${name}\n`);
  const begun = performance.now();
  while (performance.now() < begun + forMs || (until !== undefined && !existsSync(until))) {
    if (performance.now() > begun + limitMs) throw new Error(`${name} waited for ${until} in vain`);
  }
  return name;
}
