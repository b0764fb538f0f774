import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { OnnxSentenceEncoder, sentenceDimensions } from "@ekiben/example-models/onnx-sentence-encoder";
import { multiplyVectors } from "@ekiben/example-models/vectors";
import { api, depends, resource, Service, Tensor, tensor } from "ekiben";
import { z } from "zod";
import { Database } from "./database.ts";
import { cutPassages, type Draft, readDraft } from "./passages.ts";

/** Passages of one answer. */
const passagesPerAnswer = 3;
/** Similarity below which a passage has nothing to do with the question. */
const minSimilarity = 0.28;

/** A document of the library, with the number of its passages. */
export const Document = z.object({ id: z.int(), title: z.string(), passages: z.int() });

/** A passage that may answer a question. */
export const Passage = z.object({
  title: z.string(),
  text: z.string(),
  /** Similarity to the question, at most 1. */
  score: z.number(),
});

/** Turns texts into vectors, those of several callers in one run of the model. */
export class Embedder extends Service({ resources: { cpu: 1, memory: "512Mi" } }) {
  encoder = resource(
    ({ resources }) => OnnxSentenceEncoder.load(resources.cpuThreads),
    (encoder) => encoder.release(),
  );

  embed = api(
    {
      summary: "Returns one vector a text: near each other if the texts mean the same.",
      input: z.array(z.string()),
      output: tensor("float32", ["texts", sentenceDimensions]),
      batch: { maxRows: 32 },
      idempotent: true,
      examples: [["How do I get my money back?"]],
    },
    async (texts) => new Tensor("float32", [texts.length, sentenceDimensions], await this.encoder.encodeRows(texts)),
  );
}

/** Keeps the documents, and finds the passages that are nearest to a question. */
export class Library extends Service() {
  embedder = depends(Embedder);
  database = resource(
    async () => {
      const folder = process.env["SUPPORT_DESK_DATA"] ?? join(import.meta.dirname, ".ekiben");
      await mkdir(folder, { recursive: true });
      return Database.open(join(folder, "documents.db"));
    },
    (database) => database.close(),
  );

  /** Fills a new database with the documents of the example. */
  override async start() {
    if (this.database.listDocuments().length > 0) return;
    const folder = join(import.meta.dirname, "fixtures", "documents");
    for (const name of (await readdir(folder)).sort()) {
      await this.#add(readDraft(await readFile(join(folder, name), "utf8"), name));
    }
  }

  add = api(
    {
      summary: "Stores a document.",
      input: z.object({ title: z.string().min(1), text: z.string().min(1) }),
      output: Document,
    },
    (draft) => this.#add(draft),
  );

  list = api({ summary: "Lists the documents.", output: z.array(Document), idempotent: true }, () =>
    this.database.listDocuments(),
  );

  // Takes rows, as the embedder returns them: its unawaited result is the argument.
  search = api(
    {
      summary: "Finds, for each question, the passages that are nearest to it.",
      input: tensor("float32", ["questions", sentenceDimensions]),
      output: z.array(z.array(Passage)),
      idempotent: true,
    },
    ({ shape: [count], data }) => {
      const passages = this.database.listPassages();
      return Array.from({ length: count }, (_, row) => {
        const question = data.subarray(row * sentenceDimensions, (row + 1) * sentenceDimensions);
        return passages
          .map(({ title, text, vector }) => ({ title, text, score: multiplyVectors(question, vector) }))
          .filter(({ score }) => score >= minSimilarity)
          .sort((a, b) => b.score - a.score)
          .slice(0, passagesPerAnswer);
      });
    },
  );

  refresh = api(
    {
      summary: "Works out the vectors of a document again. Returns how many.",
      input: z.int(),
      output: z.int(),
      idempotent: true,
    },
    async (document) => {
      const passages = this.database.listPassagesOf(document);
      const vectors = await this.#embed(passages);
      passages.forEach(({ id }, index) => {
        this.database.setVector(id, vectors[index] as Float32Array);
      });
      return passages.length;
    },
  );

  async #add({ title, text }: Draft) {
    const passages = cutPassages(text).map((passage) => ({ title, text: passage }));
    const vectors = await this.#embed(passages);
    const stored = passages.map((passage, index) => ({ text: passage.text, vector: vectors[index] as Float32Array }));
    return { id: this.database.addDocument(title, stored), title, passages: passages.length };
  }

  /** Embeds each passage below its title, which often has the word that a question has. Questions go first. */
  async #embed(passages: readonly { readonly title: string; readonly text: string }[]): Promise<Float32Array[]> {
    const texts = passages.map(({ title, text }) => `${title}. ${text}`);
    const { data } = await this.embedder.embed(texts, { priority: "background" });
    return texts.map((_, row) => data.slice(row * sentenceDimensions, (row + 1) * sentenceDimensions));
  }
}
