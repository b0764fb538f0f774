import assert from "node:assert/strict";
import { it } from "node:test";
import { serve } from "ekiben";
import { connect } from "ekiben/client";
import { askAll } from "./ask-all.ts";
import { PosterSearch } from "./service.ts";

it("finds two posters over HTTP as it does inside", async () => {
  const server = await serve(PosterSearch, { port: 0, options: { logLevel: "silent" } });
  try {
    const search = await connect<PosterSearch>(server.url);
    assert.deepEqual(await askAll(search, ["people", "harbour"]), ["people", "harbour"]);
  } finally {
    await server.close();
  }
});
