import { randomUUID } from "node:crypto";
import { api, depends, Service } from "ekiben";
import { z } from "zod";

/**
 * Silence after which a replica counts as stuck: much shorter than all its calls together, much longer than one of
 * them.
 */
export const replaceAfterMs = 2_000;
export const runMs = 20;

const instance = randomUUID();

function compute(ms: number): string {
  for (const end = performance.now() + ms; performance.now() < end; );
  return instance;
}

const run = { input: z.number(), output: z.string() };

/** Computes without an await for the given time; returns the name of the replica. */
export class Model extends Service({ liveness: { intervalMs: 50, suspendAfterMs: replaceAfterMs, replaceAfterMs } }) {
  run = api(run, compute);
  runLater = api(run, async (ms) => compute(ms));
}

/** Runs each api once in advance, because the first run is slow. */
export class Compiled extends Service({
  liveness: { intervalMs: 50, suspendAfterMs: 200, replaceAfterMs: 400, warmUpMs: 60_000 },
}) {
  readonly #compiled = new Set<string>();

  run = api(run, (ms) => this.#compute("run", ms));
  rows = api({ input: z.array(z.number()), output: z.array(z.string()), batch: { maxRows: 4 } }, (rows) =>
    rows.map((ms) => this.#compute("rows", ms)),
  );
  items = api({ input: z.number(), yields: z.string() }, async function* (ms) {
    yield compute(1_500);
    yield compute(ms);
  });

  #compute(api: string, ms: number): string {
    const isCompiled = this.#compiled.has(api);
    this.#compiled.add(api);
    return compute(isCompiled ? ms : 1_500);
  }
}

/** Asks for one replica for every two calls in flight. */
export class Scaled extends Service({ replicas: { min: 1, max: 2, targetInFlight: 2 } }) {
  run = api(run, compute);
}

export class Front extends Service() {
  scaled = depends(Scaled);
  compiled = depends(Compiled);
  model = depends(Model);
}
