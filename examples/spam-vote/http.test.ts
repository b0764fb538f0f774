import assert from "node:assert/strict";
import { it } from "node:test";
import { serve } from "ekiben";
import { connect } from "ekiben/client";
import { readMails } from "./mails.ts";
import { SpamVote } from "./service.ts";

it("gives the client over HTTP the verdict it gives inside", async () => {
  const spam = (await readMails("test")).find(({ label }) => label === "spam");
  const server = await serve(SpamVote, { port: 0, options: { logLevel: "silent" } });
  try {
    const voting = await connect<SpamVote>(server.url);
    const verdict = await voting.vote(spam?.text ?? "");
    assert.equal(verdict.label, "spam");
    assert.equal(verdict.spam.toFixed(3), "0.979");
  } finally {
    await server.close();
  }
});
