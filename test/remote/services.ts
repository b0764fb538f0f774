import { api, currentCall, depends, Service, task } from "ekiben";
import { z } from "zod";

/** Tells the lives of one service apart. */
const life = Math.random().toString(36).slice(2);
let starts = 0;

/** Service that other apps call. */
export class Ranker extends Service() {
  readonly #id = `${life}-${++starts}`;
  #held = 0;

  score = api(
    { input: z.number(), output: z.object({ score: z.number(), by: z.string() }), idempotent: true },
    (n) => ({
      score: n * 2,
      by: this.#id,
    }),
  );
  /** An api that must not run twice for one call. */
  add = api({ input: z.number(), output: z.number() }, (n) => n + 1);
  /** Answers when it is cancelled. */
  hold = api({ output: z.null() }, async () => {
    this.#held++;
    const { signal } = currentCall();
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    this.#held--;
    return null;
  });
  held = api({ output: z.number() }, () => this.#held);
  left = api({ output: z.number() }, () => currentCall().remainingMs);
  count = api({ input: z.number(), yields: z.number() }, async function* (n) {
    for (let i = 0; i < n; i++) yield i;
  });
  size = api({ input: z.instanceof(Uint8Array), output: z.number() }, (bytes) => bytes.byteLength);
  train = task({ input: z.number(), output: z.number() }, (n) => n * 10);
}

/** Entry service of the calling app. */
export class Front extends Service() {
  ranker = depends(Ranker);

  rank = api({ input: z.number(), output: z.any() }, (n) => this.ranker.score(n));
}
