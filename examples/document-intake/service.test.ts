import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { compose } from "ekiben/testing";
import sharp from "sharp";
import { countEdits } from "./count-edits.ts";
import { TextRecognizer } from "./ocr.ts";
import { readExpected, readPage } from "./pages.ts";
import { DocClassifier, DocumentIntake } from "./service.ts";

const expected = await readExpected();

for (const placement of ["inline", "thread", "process"] as const)
  describe(`document intake, ${placement}`, async () => {
    const app = await compose(DocumentIntake, { placement });
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
  it("refuses to classify a page that is not English", async () => {
    const german = { text: "Am Freitag wird es stark regnen", confidence: 1 };
    await using app = await compose(DocumentIntake, {
      replace: [[TextRecognizer, { read: (strips) => strips.map(() => german) }]],
    });
    await assert.rejects(app.entry.read({ page: await readPage("b-weather.png") }), {
      id: "language_not_supported",
      details: { language: "de", text: new Array(4).fill(german.text).join(". ") },
    });
  });
});
