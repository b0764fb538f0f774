import assert from "node:assert/strict";
import { it } from "node:test";
import { serve } from "ekiben";
import { connect } from "ekiben/client";
import { readExpected } from "./expected.ts";
import { Pipeline } from "./service.ts";

it("answers the client over HTTP as it does inside", async () => {
  const server = await serve(Pipeline, { port: 0, options: { logLevel: "silent" } });
  try {
    const pipeline = await connect<Pipeline>(server.url);
    for (const { rawInput, label } of await readExpected()) {
      assert.equal((await pipeline.predict({ rawInput })).label, label, rawInput);
    }
  } finally {
    await server.close();
  }
});
