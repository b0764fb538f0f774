import assert from "node:assert/strict";
import { after, afterEach, describe, it } from "node:test";
import { TextDetector } from "@ekiben/example-document-intake/ocr";
import { Tensor } from "ekiben";
import { compose } from "ekiben/testing";
import { askAll } from "./ask-all.ts";
import { posterNames, questions, readPoster } from "./posters.ts";
import { Embedder, Faces, Objects, PosterSearch } from "./service.ts";

/** The posters that their own question no longer finds. */
function pickLost(firsts: readonly (string | undefined)[]): string[] {
  return posterNames.filter((name, index) => firsts[index] !== name);
}

for (const placement of ["inline", "thread", "process"] as const)
  describe(`poster search, ${placement}`, async () => {
    const app = await compose(PosterSearch, { placement });
    after(() => app.close());
    afterEach(() => app.clearFaults());

    it("answers each of five questions with its poster", async () => {
      assert.deepEqual(await askAll(app.entry), posterNames);
    });

    it("says what is on a poster by all three branches", async () => {
      const harbour = await app.entry.describe({ poster: await readPoster("harbour") });
      assert.equal(harbour.caption, "Admission free. A picture of a boat");
      assert.deepEqual([harbour.words, harbour.things, harbour.missing], [["Admission free"], ["boat"], []]);
      const people = await app.entry.describe({ poster: await readPoster("people") });
      assert.equal(people.caption, "Saturday 9 PM. A picture of a group of 4 people with faces");
      assert.equal(people.faces, 4);
    });

    it("needs Objects for the boat", async () => {
      app.fail(Objects);
      assert.deepEqual(pickLost(await askAll(app.entry)), ["harbour"]);
    });

    it("needs Faces for the group of people", async () => {
      app.fail(Faces);
      assert.deepEqual(pickLost(await askAll(app.entry)), ["people"]);
    });

    it("needs the text for the train and the flying lessons", async () => {
      app.fail(TextDetector);
      assert.deepEqual(pickLost(await askAll(app.entry)), ["train", "air"]);
    });

    it("names the branch a description goes without", async () => {
      app.fail(Objects);
      const { caption, missing } = await app.entry.describe({ poster: await readPoster("harbour") });
      assert.deepEqual([caption, missing], ["Admission free", ["objects"]]);
    });

    it("fails when no branch answers, and when what follows them does", async () => {
      const poster = await readPoster("harbour");
      app.fail(Embedder);
      await assert.rejects(app.entry.describe({ poster }), { code: "unavailable", id: "injected_failure" });
      for (const branch of [TextDetector, Objects, Faces]) app.fail(branch);
      await assert.rejects(app.entry.describe({ poster }), { code: "unavailable", id: "no_branch" });
    });

    it("takes a whole graph through one request: the right question scores highest", async () => {
      const poster = await readPoster("harbour");
      const right = await app.entry.match({ poster, question: questions.harbour });
      const wrong = await app.entry.match({ poster, question: questions.train });
      assert.equal(right.score.toFixed(2), "0.59");
      assert.ok(wrong.score < 0.3, String(wrong.score));
    });

    it("refuses a catalogue whose names do not fit its vectors", async () => {
      const vectors = new Tensor("float32", [2, 512], new Float32Array(1024));
      await assert.rejects(app.entry.search({ question: "?", names: ["one"], vectors }), { id: "names_do_not_fit" });
    });
  });
