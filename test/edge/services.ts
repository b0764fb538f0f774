import { threadId } from "node:worker_threads";
import { api, depends, Service, ServingError, stream } from "ekiben";
import { z } from "zod";

/** Lives inside the replicas of the service that calls it. */
export class Lexicon extends Service({ placement: "inline" }) {
  weigh = api({ input: z.string(), output: z.number() }, (word) => word.length);
}

/** Has a replica of its own beside the service that calls it. */
export class Counter extends Service() {
  #calls = 0;
  count = api({ output: z.number() }, () => ++this.#calls);
}

export class Ranker extends Service() {
  lexicon = depends(Lexicon);
  counter = depends(Counter);

  score = api({ input: z.string(), output: z.number() }, (word) => this.lexicon.weigh(word));
  calls = api({ output: z.number() }, () => this.counter.count());
  place = api({ output: z.object({ pid: z.number(), thread: z.number() }) }, () => ({
    pid: process.pid,
    thread: threadId,
  }));
  echo = api({ input: z.any(), output: z.any() }, (value) => value);
  rows = api({ input: z.array(z.number()), output: z.array(z.number()), batch: { maxRows: 64 } }, (rows) =>
    rows.map((row) => row * 2),
  );
  kept = api({ input: z.number(), output: z.number(), idempotent: true, cache: { ttlMs: 60_000 } }, () =>
    Math.random(),
  );
  items = api({ input: z.number(), yields: z.number() }, async function* (items) {
    for (let i = 0; i < items; i++) yield i;
  });
  sum = api({ input: stream(z.number()), output: z.number() }, async (numbers) => {
    let sum = 0;
    for await (const number of numbers) sum += number;
    return sum;
  });
  refuse = api({ output: z.null() }, () => {
    throw new ServingError({ code: "not_found", id: "no_such_page", message: "no page 7" });
  });
}

export class Gateway extends Service() {
  ranker = depends(Ranker);
  rank = api({ input: z.string(), output: z.number() }, (word) => this.ranker.score(word));
}
