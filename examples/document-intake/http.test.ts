import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { serve } from "ekiben";
import { connect } from "ekiben/client";
import { readPage } from "./pages.ts";
import { DocumentIntake } from "./service.ts";

describe("document intake over HTTP", async () => {
  const server = await serve(DocumentIntake, { port: 0, options: { logLevel: "silent" } });
  after(() => server.close());

  it("gives the client the answer it gives inside", async () => {
    const intake = await connect<DocumentIntake>(server.url);
    const answer = await intake.read({ page: await readPage("a-invoice.png") });
    assert.equal(answer.label, "invoice");
    assert.equal(answer.lines.length, 6);
  });

  it("takes a plain multipart form", async () => {
    const form = new FormData();
    form.set("page", await readPage("b-resume.png"));
    const response = await fetch(`${server.url}/read`, { method: "POST", body: form });
    assert.equal(response.status, 200);
    assert.equal(((await response.json()) as { label: string }).label, "resume");
  });

  it("answers 400 with the author's own failure", async () => {
    const form = new FormData();
    form.set("page", new File(["not a picture"], "letter.png", { type: "image/png" }));
    const response = await fetch(`${server.url}/read`, { method: "POST", body: form });
    assert.equal(response.status, 400);
    assert.equal(((await response.json()) as { id: string }).id, "unreadable_picture");
  });
});
