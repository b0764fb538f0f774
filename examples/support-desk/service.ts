import { LanguageModel } from "@ekiben/example-models/language-identifier";
import { loadSentiment } from "@ekiben/example-models/sentiment";
import { api, currentCall, depends, file, resource, Service, ServingError, task } from "ekiben";
import { z } from "zod";
import { hasCardNumber } from "./card-number.ts";
import { Document, Embedder, Library, Passage } from "./library.ts";
import { readDraft } from "./passages.ts";
import { Token, Tone, Writer } from "./writer.ts";

/** Below this rating, between -1 and 1, a text sounds upset. */
const upsetBelow = -0.4;

const Question = z.object({ question: z.string().trim().min(3).max(500) });

/** Item of an answer: first its sources, numbered as in the text, then its tokens. */
const Item = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("sources"), sources: z.array(Passage) }),
  z.object({ kind: z.literal("token"), text: Token }),
]);

/** Tells the language of a text. A fifth of a millisecond, so it stays in the process of its caller. */
export class Languages extends Service({ placement: "inline" }) {
  model = resource(
    () => LanguageModel.load(),
    (model) => model.dispose(),
  );

  identify = api(
    { summary: "Tells the language of a text.", input: z.string().min(1), output: z.string() },
    (text) => this.model.identify(text).language,
  );
}

/** Reads a question before anything else is done with it. */
export class Moderation extends Service() {
  rate = resource(() => loadSentiment());

  check = api(
    {
      summary: "Tells the tone of a text, and whether it has something that must not be kept.",
      input: z.string(),
      output: z.object({ tone: Tone, hasCardNumber: z.boolean() }),
      idempotent: true,
    },
    (text) => ({ tone: this.rate(text) < upsetBelow ? "upset" : "calm", hasCardNumber: hasCardNumber(text) }),
  );
}

/** Answers questions from documents. */
export class SupportDesk extends Service({
  description: "Answers questions about Pedalo, a bicycle rental, from its documents.",
}) {
  languages = depends(Languages);
  moderation = depends(Moderation);
  embedder = depends(Embedder);
  library = depends(Library);
  writer = depends(Writer);

  ask = api(
    {
      summary: "Answers a question: its sources first, then the answer token by token.",
      input: Question,
      yields: Item,
      examples: [{ question: "How do I get my deposit back?" }],
    },
    ({ question }) => this.#answer(question),
  );

  upload = api(
    {
      summary: "Adds a document: plain text or Markdown, its title in the first line.",
      input: { document: file({ contentType: ["text/plain", "text/markdown"], maxBytes: 256 * 1024 }) },
      output: Document,
    },
    async ({ document }) => {
      const draft = readDraft(await document.text(), document.name);
      if (draft.text === "") {
        throw new ServingError({
          code: "invalid_argument",
          id: "empty_document",
          message: `${document.name} has no text`,
        });
      }
      return this.library.add(draft);
    },
  );

  documents = api({ summary: "Lists the documents.", output: z.array(Document) }, () => this.library.list());

  reindex = task(
    {
      summary: "Works out the vectors of all documents again, as after a change of the model.",
      output: z.object({ documents: z.int(), passages: z.int() }),
      idempotent: true,
    },
    async () => {
      const call = currentCall();
      const documents = await this.library.list();
      let passages = 0;
      for (const [index, { id, title }] of documents.entries()) {
        call.signal.throwIfAborted();
        passages += await this.library.refresh(id);
        call.progress((index + 1) / documents.length, title);
      }
      return { documents: documents.length, passages };
    },
  );

  async *#answer(question: string): AsyncGenerator<z.infer<typeof Item>> {
    // All three begin at once. If the question is refused, the search is cancelled.
    const searched = this.library.search(this.embedder.embed([question]));
    const [{ tone, hasCardNumber: isRefused }, language] = await Promise.all([
      this.moderation.check(question),
      this.languages.identify(question),
    ]);
    if (isRefused) {
      const message = "This question has the number of a payment card. Ask again without it.";
      throw new ServingError({ code: "invalid_argument", id: "card_number", message });
    }
    const [sources = []] = await searched;
    if (sources.length === 0) {
      const message = `No document says anything about this question, which seems to be in language "${language}".`;
      throw new ServingError({ code: "not_found", id: "nothing_found", message, details: { language } });
    }
    yield { kind: "sources", sources };
    for await (const text of this.writer.write({ question, tone, passages: sources })) yield { kind: "token", text };
  }
}
