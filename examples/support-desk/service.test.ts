import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { OnnxSentenceEncoder } from "@ekiben/example-models/onnx-sentence-encoder";
import { SentenceEncoder } from "@ekiben/example-models/sentence-encoder";
import { multiplyVectors } from "@ekiben/example-models/vectors";
import type { Handle } from "ekiben";
import { compose } from "ekiben/testing";
import { createLibraryFolder, readExpected, readWarranty } from "./fixtures.ts";
import { Library } from "./library.ts";
import { Moderation, SupportDesk } from "./service.ts";
import { composeAnswer, Writer } from "./writer.ts";

process.env["WRITER_PACE_MS"] = "0";
const removeFolder = createLibraryFolder();
after(removeFolder);
const expected = await readExpected();

for (const placement of ["inline", "process"] as const)
  describe(`support desk, ${placement}`, async () => {
    const app = await compose(SupportDesk, { placement });
    after(() => app.close());

    for (const { question, title, says } of expected) {
      it(`answers "${question}" from "${title}"`, async () => {
        const { titles, text } = await readAnswer(app.entry, question);
        assert.equal(titles[0], title);
        assert.ok(text.includes(says), text);
        assert.match(text, /\[1\]/);
      });
    }

    it("says the same each time", async () => {
      const [first, second] = [
        await readAnswer(app.entry, "Can I cancel?"),
        await readAnswer(app.entry, "Can I cancel?"),
      ];
      assert.deepEqual(first, second);
    });

    it("hears that somebody is upset", async () => {
      const { text } = await readAnswer(app.entry, "This is terrible, the lock is broken and I hate it!");
      assert.match(text, /^I am sorry about the trouble\. /);
    });

    it("refuses a question with the number of a card, and writes nothing", async () => {
      await assert.rejects(readAnswer(app.entry, "Pay the deposit back to 4111 1111 1111 1111"), {
        code: "invalid_argument",
        id: "card_number",
      });
      await readAnswer(app.entry, "Is 4111 1111 1111 1112 the number of my deposit?");
    });

    it("says so when no document has an answer", async () => {
      await assert.rejects(readAnswer(app.entry, "Wie wird das Wetter am Freitag in Hamburg?"), {
        code: "not_found",
        id: "nothing_found",
        details: { language: "de" },
      });
    });

    it("works out all vectors again, and answers the same", async () => {
      const before = await readAnswer(app.entry, "How much is the monthly pass?");
      const { id } = await app.entry.reindex.submit();
      const { documents, passages } = await app.entry.reindex.result(id);
      const { progress, note } = await app.entry.reindex.status(id);
      assert.deepEqual([documents >= 12, passages >= documents, progress], [true, true, 1]);
      assert.ok(note !== undefined && note !== "");
      assert.deepEqual(await readAnswer(app.entry, "How much is the monthly pass?"), before);
    });

    it("fails before the first item when the library fails", async () => {
      app.fail(Library, { times: 1 });
      await assert.rejects(readAnswer(app.entry, "How much is the monthly pass?"), { id: "injected_failure" });
    });
  });

describe("a document that is uploaded", () => {
  it("answers from then on", async () => {
    await using app = await compose(SupportDesk);
    const question = "What does a new chain cost?";
    const document = await app.entry.upload({ document: await readWarranty() });
    assert.deepEqual([document.title, document.passages], ["Repairs of your own bicycle", 2]);
    const { titles, text } = await readAnswer(app.entry, question);
    assert.equal(titles[0], "Repairs of your own bicycle");
    assert.match(text, /35 euros/);
    assert.ok((await app.entry.documents()).some(({ title }) => title === document.title));
  });

  it("is refused when it is a picture or has no text", async () => {
    await using app = await compose(SupportDesk);
    const picture = new File(["x"], "x.png", { type: "image/png" });
    await assert.rejects(app.entry.upload({ document: picture }), { id: "invalid_input" });
    const empty = new File([" \n "], "empty.txt", { type: "text/plain" });
    await assert.rejects(app.entry.upload({ document: empty }), { id: "empty_document" });
  });
});

describe("parts of the desk, replaced", () => {
  it("stops the writer when the reader leaves", async () => {
    let isStopped = false;
    async function* write() {
      try {
        for (;;) yield " word";
      } finally {
        isStopped = true;
      }
    }
    await using app = await compose(SupportDesk, { replace: [[Writer, { write }]] });
    let tokens = 0;
    for await (const { kind } of app.entry.ask({ question: "How much is the monthly pass?" })) {
      if (kind === "token" && ++tokens === 3) break;
    }
    assert.ok(isStopped);
  });

  it("asks no writer for a question that is refused", async () => {
    const check = () => ({ tone: "calm", hasCardNumber: true }) as const;
    const write = () => assert.fail("the writer was called");
    await using app = await compose(SupportDesk, {
      replace: [
        [Moderation, { check }],
        [Writer, { write }],
      ],
    });
    await assert.rejects(readAnswer(app.entry, "How much is the monthly pass?"), { id: "card_number" });
  });
});

describe("the writer", () => {
  it("cites only sentences of its passages", () => {
    const passages = [
      { title: "Tea", text: "Tea is served at four. Coffee is not.", score: 0.8 },
      { title: "Cake", text: "Cake costs 2.50 euros.", score: 0.5 },
    ];
    const answer = composeAnswer({ question: "When is tea served?", tone: "calm", passages });
    assert.equal(answer, "Tea is served at four. [1] Coffee is not. [1] Cake costs 2.50 euros. [2]");
  });
});

describe("the encoder on ONNX", () => {
  it("gives the vectors of the same weights on TensorFlow.js", async () => {
    const texts = [
      "How old are you?",
      "What is your age?",
      "My phone is good.",
      "A text of many more words than the others",
    ];
    const [onnx, tensorflow] = [await OnnxSentenceEncoder.load(1), await SentenceEncoder.load(1)];
    const [found, known] = [await onnx.encodeRows(texts), await tensorflow.encodeRows(texts)];
    await onnx.release();
    tensorflow.dispose();
    const farthest = found.reduce((most, value, index) => Math.max(most, Math.abs(value - (known[index] ?? 0))), 0);
    assert.ok(farthest < 1e-5, `${farthest}`);
    assert.equal(multiplyVectors(found.subarray(0, 512), found.subarray(512, 1024)).toFixed(4), "0.8464");
  });
});

async function readAnswer(desk: Handle<SupportDesk>, question: string) {
  let text = "";
  let titles: string[] = [];
  for await (const item of desk.ask({ question })) {
    if (item.kind === "token") text += item.text;
    else titles = item.sources.map(({ title }) => title);
  }
  return { titles, text };
}
