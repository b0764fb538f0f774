import assert from "node:assert/strict";
import { it } from "node:test";
import { serve } from "ekiben";
import { connect } from "ekiben/client";
import { allRight, askAll } from "./ask-all.ts";
import { PosterSearch } from "./service.ts";

it("answers the client's five questions over HTTP as it does inside", async () => {
  const server = await serve(PosterSearch, { port: 0, options: { logLevel: "silent" } });
  try {
    assert.deepEqual(await askAll(await connect<PosterSearch>(server.url)), allRight);
  } finally {
    await server.close();
  }
});
