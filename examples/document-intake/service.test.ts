import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, describe, it } from "node:test";
import { serve } from "ekiben";
import { connect } from "ekiben/client";
import { compose } from "ekiben/testing";
import sharp from "sharp";
import type { DocumentKind } from "./document-kinds.ts";
import { TextRecognizer } from "./ocr.ts";
import { DocClassifier, DocumentIntake } from "./service.ts";

interface Expected {
  readonly page: string;
  readonly label: DocumentKind;
  readonly language: string;
  readonly lines: readonly string[];
}

const fixtures = new URL("fixtures/", import.meta.url);
const expected: Expected[] = JSON.parse(await readFile(new URL("expected.json", fixtures), "utf8"));

async function readPage(name: string): Promise<File> {
  const bytes = await readFile(new URL(`pages/${name}`, fixtures));
  return new File([bytes], name, { type: "image/png" });
}

describe("document intake", async () => {
  const app = await compose(DocumentIntake);
  after(() => app.close());

  let wrongCharacters = 0;
  for (const { page, label, language, lines } of expected) {
    it(`takes ${page} for ${label} of ${lines.length} lines`, async () => {
      const answer = await app.entry.read({ page: await readPage(page) });
      assert.equal(answer.label, label);
      assert.equal(answer.language, language);
      assert.equal(answer.lines.length, lines.length);
      assert.equal(answer.scores[label], Math.max(...Object.values(answer.scores)));
      lines.forEach((line, index) => {
        wrongCharacters += countEdits(answer.lines[index]?.text ?? "", line);
      });
    });
  }

  it("reads all but 6 of the 1,085 characters right", () => {
    assert.equal(expected.flatMap(({ lines }) => lines).join("").length, 1085);
    assert.equal(wrongCharacters, 6);
  });

  it("says where each line stands, from top to bottom", async () => {
    const { lines } = await app.entry.read({ page: await readPage("b-recipe.png") });
    const tops = lines.map(({ region }) => region.top);
    assert.deepEqual(
      tops,
      [...tops].sort((a, b) => a - b),
    );
    assert.ok(lines.every(({ region }) => region.left >= 0 && region.left + region.width <= 900));
  });

  it("refuses an empty page", async () => {
    const blank = await sharp({ create: { width: 600, height: 400, channels: 3, background: "#fff" } })
      .png()
      .toBuffer();
    const page = new File([new Uint8Array(blank)], "blank.png", { type: "image/png" });
    await assert.rejects(app.entry.read({ page }), { code: "invalid_argument", id: "no_text" });
  });

  it("refuses bytes that are no picture, and names the file", async () => {
    const page = new File(["not a picture"], "letter.png", { type: "image/png" });
    await assert.rejects(app.entry.read({ page }), {
      id: "unreadable_picture",
      message: /^letter\.png is not a picture/,
    });
  });

  it("refuses a file of another type before it is decoded", async () => {
    const page = new File(["hello"], "letter.txt", { type: "text/plain" });
    await assert.rejects(app.entry.read({ page }), { code: "invalid_argument", id: "invalid_input" });
  });

  it("passes the failure of a service on as it is", async () => {
    app.fail(DocClassifier, { times: 1 });
    await assert.rejects(app.entry.read({ page: await readPage("b-recipe.png") }), { code: "unavailable" });
  });
});

describe("document intake in another language", () => {
  it("refuses to classify a page that is not English, and gives back its text", async () => {
    const german = [{ text: "Am Freitag wird es stark regnen und im Gebirge schneien", confidence: 1 }];
    await using app = await compose(DocumentIntake, { replace: [[TextRecognizer, { read: () => german }]] });
    await assert.rejects(app.entry.read({ page: await readPage("a-weather.png") }), {
      id: "language_not_supported",
      details: { language: "de", text: german[0]?.text },
    });
  });
});

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

/** Levenshtein distance. */
function countEdits(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const replaced = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min((previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1, replaced));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}
