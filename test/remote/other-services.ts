import { api, depends, Service } from "ekiben";
import { z } from "zod";
import * as own from "./services.js";

// Services as another version of their source has them.

/** Accepts more than before and gives less: every caller of the former version can live with it. */
class Wider extends Service({ name: "Ranker" }) {
  score = api(
    { input: z.number().or(z.string()), output: z.object({ score: z.number(), by: z.string() }), idempotent: true },
    (n) => ({ score: Number(n) * 3, by: "wider" }),
  );
  add = api({ input: z.number(), output: z.number() }, (n) => n + 1);
  hold = api({ output: z.null() }, () => null);
  held = api({ output: z.number() }, () => 0);
  left = api({ output: z.number() }, () => 0);
  count = api({ input: z.number(), yields: z.number() }, async function* (n) {
    yield n;
  });
  size = new own.Ranker().size;
  train = new own.Ranker().train;
  added = api({ output: z.string() }, () => "new");
}

/** Gives a text where callers expect a number. */
class Different extends Service({ name: "Ranker" }) {
  score = api({ input: z.number(), output: z.object({ score: z.string(), by: z.string() }) }, () => ({
    score: "high",
    by: "different",
  }));
}

export class WiderFront extends Service({ name: "Front" }) {
  ranker = depends(Wider);
  rank = api({ output: z.null() }, () => null);
}

export class DifferentFront extends Service({ name: "Front" }) {
  ranker = depends(Different);
  rank = api({ output: z.null() }, () => null);
}
