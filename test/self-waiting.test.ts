import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { api, depends, Service, stream } from "ekiben";
import { compose } from "ekiben/testing";
import { z } from "zod";
import { failureOf } from "./conformance/suite.js";

const texts = z.array(z.string());

/** Has as many slots as streams are read at once, and none for what they are made of. */
class Sink extends Service() {
  gather = api({ input: stream(z.string()), output: texts, maxConcurrent: 2 }, async (items) => {
    const all: string[] = [];
    for await (const item of items) all.push(item);
    return all;
  });
}

/** Needs a slot of that lane for each of its batches. */
class Joined extends Service() {
  sink = depends(Sink);
  upper = api({ input: texts, output: texts, batch: { maxRows: 2, windowMs: 60_000 } }, (rows) =>
    this.sink.gather(rows.map((row) => row.toUpperCase())),
  );
}

class Front extends Service() {
  sink = depends(Sink);
  joined = depends(Joined);

  /** Two streams, each made of one row of the same batch. */
  both = api({ output: z.array(texts) }, () => {
    const { joined } = this;
    async function* make(text: string) {
      yield* await joined.upper([text]);
    }
    return Promise.all([this.sink.gather(make("a")), this.sink.gather(make("b"))]);
  });
}

describe("a lane whose slots are held by readers of one batch", () => {
  it("is seen to wait for itself when the batch needs a slot of it (LN5)", async () => {
    const app = await compose(Front);
    const failure = await failureOf(app.entry.both());
    assert.deepEqual([failure.id, failure.service, failure.api], ["lane_waits_for_itself", "Sink", "gather"]);
    assert.match(failure.message, /^Sink\.gather waits for itself: its 2 slots are held by calls that read /);
    assert.deepEqual(await app.service(Sink).gather(["x"]), ["x"]);
    await app.close();
  });
});
