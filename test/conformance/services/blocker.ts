import { appendFileSync, existsSync } from "node:fs";
import { api, Service } from "ekiben";
import { z } from "zod";

const block = z.object({
  name: z.string(),
  /** The file that tells what has begun. */
  log: z.string(),
  forMs: z.number().default(5),
  /** The file that lets it go on. */
  until: z.string().optional(),
});

/** What a call of `Blocker` does. */
export type Block = z.input<typeof block>;

/** However slow the machine: what it waits for comes in no time, or never. */
const limitMs = 20_000;

/** Computes without an await, as a model does that runs in the thread of JavaScript: nothing else happens there meanwhile. */
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
