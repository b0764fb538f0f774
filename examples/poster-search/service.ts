import { Line, TextDetector, TextRecognizer } from "@ekiben/example-document-intake/ocr";
import { decodePicture, Picture, toImage } from "@ekiben/example-document-intake/picture";
import { FaceDetectionModel } from "@ekiben/example-models/face-detector";
import { ObjectDetectionModel } from "@ekiben/example-models/object-detector";
import { SentenceEncoder, sentenceDimensions } from "@ekiben/example-models/sentence-encoder";
import { multiplyVectors } from "@ekiben/example-models/vectors";
import { api, currentCall, depends, file, resource, Service, ServingError, Tensor, tensor } from "ekiben";
import { z } from "zod";
import { pickThings, pickWords, writeCaption } from "./caption.ts";

const Found = z.object({ score: z.number(), left: z.number(), top: z.number(), width: z.number(), height: z.number() });
const FoundObject = Found.extend({ label: z.string() });

const Poster = file({ contentType: ["image/png", "image/jpeg"], maxBytes: 8 * 1024 * 1024 });
const Question = z.string().min(1).max(1000);
const Vector = tensor("float32", [sentenceDimensions]);

const Branch = z.enum(["text", "objects", "faces"]);
type Branch = z.infer<typeof Branch>;

/** Facts about a poster, from all branches. */
const Description = {
  caption: z.string(),
  words: z.array(z.string()),
  things: z.array(z.string()),
  faces: z.int(),
  /** Branches that failed; the caption is made without them. */
  missing: z.array(Branch),
  vector: Vector,
};

/** Finds things of eighty kinds: boats, vases, trains … */
export class Objects extends Service({ resources: { cpu: 1, memory: "512Mi" } }) {
  model = resource(
    ({ resources }) => ObjectDetectionModel.load(resources.cpuThreads),
    (model) => model.dispose(),
  );

  find = api(
    { summary: "Finds things in a picture, the surest first.", input: Picture, output: z.array(FoundObject) },
    (picture) => this.model.detect(toImage(picture)),
  );
}

/** Finds faces, to count people. */
export class Faces extends Service({ resources: { cpu: 1, memory: "512Mi" } }) {
  model = resource(
    ({ resources }) => FaceDetectionModel.load(resources.cpuThreads),
    (model) => model.dispose(),
  );

  find = api({ summary: "Finds the faces in a picture.", input: Picture, output: z.array(Found) }, (picture) =>
    this.model.detect(toImage(picture)),
  );
}

/** Puts into one sentence what the branches found. String work, so it stays in the process of its caller. */
export class Fusion extends Service({ placement: "inline" }) {
  caption = api(
    {
      summary: "Says in English what is on a poster.",
      input: z.object({ lines: z.array(Line), objects: z.array(FoundObject), faces: z.array(Found) }),
      output: z.string(),
    },
    (findings) => writeCaption(findings),
  );
}

/** Turns captions and questions into vectors that are near each other when they mean the same. */
export class Embedder extends Service({ resources: { cpu: 1, memory: "512Mi" } }) {
  encoder = resource(
    ({ resources }) => SentenceEncoder.load(resources.cpuThreads),
    (encoder) => encoder.dispose(),
  );

  embed = api(
    {
      summary: "The vectors of English texts; those of several callers are worked out together.",
      input: z.array(z.string()),
      output: tensor("float32", ["texts", sentenceDimensions]),
      batch: { maxRows: 32 },
      examples: [["A boat on the water"]],
    },
    async (texts) => new Tensor("float32", [texts.length, sentenceDimensions], await this.encoder.encodeRows(texts)),
  );
}

/** Compares one question with many posters. */
export class Rank extends Service({ placement: "inline" }) {
  score = api(
    {
      summary: "How near each poster is to a question, from -1 to 1.",
      input: {
        question: tensor("float32", [1, sentenceDimensions]),
        posters: tensor("float32", ["posters", sentenceDimensions]),
      },
      output: tensor("float32", ["posters"]),
    },
    ({ question, posters }) => {
      const [count] = posters.shape;
      const scores = Float32Array.from({ length: count }, (_, row) => {
        const poster = posters.data.subarray(row * sentenceDimensions, (row + 1) * sentenceDimensions);
        return multiplyVectors(question.data, poster);
      });
      return new Tensor("float32", [count], scores);
    },
  );
}

/** Reads the text of a picture: finding it and recognising it are two models, and one step to whoever asks. */
export class TextReader extends Service({ placement: "inline" }) {
  detector = depends(TextDetector);
  recognizer = depends(TextRecognizer);

  read = api({ summary: "The lines of text in a picture.", input: Picture, output: z.array(Line) }, async (picture) => {
    const found = await this.detector.detect(picture);
    return this.recognizer.read(found.map(({ strip }) => strip));
  });
}

/** Looks at a poster in three ways at once and says what it saw. */
export class Describer extends Service({ placement: "inline" }) {
  text = depends(TextReader);
  objects = depends(Objects);
  faces = depends(Faces);
  fusion = depends(Fusion);
  embedder = depends(Embedder);

  describe = api(
    { summary: "Says what is on a poster, in words and as a vector.", input: Picture, output: Description },
    async (picture) => {
      const found = await Promise.all([
        attempt("text", this.text.read(picture)),
        attempt("objects", this.objects.find(picture)),
        attempt("faces", this.faces.find(picture)),
      ]);
      const [lines, objects, faces] = found;
      const missing = found.filter((branch) => branch.failed).map((branch) => branch.name);
      if (missing.length === found.length) {
        throw new ServingError({
          code: "unavailable",
          id: "no_branch",
          message: "None of the three detectors answered.",
        });
      }
      const findings = { lines: lines.values, objects: objects.values, faces: faces.values };
      const caption = await this.fusion.caption(findings);
      return {
        caption,
        words: pickWords(findings),
        things: pickThings(findings),
        faces: faces.values.length,
        missing,
        vector: new Tensor("float32", [sentenceDimensions], (await this.embedder.embed([caption])).data),
      };
    },
  );
}

/** Describes posters and finds the one that answers a question. */
export class PosterSearch extends Service({ timeoutMs: 30_000 }) {
  describer = depends(Describer);
  embedder = depends(Embedder);
  rank = depends(Rank);

  describe = api(
    {
      summary: "Says what is on a poster, in words and as a vector to keep for searching.",
      input: { poster: Poster },
      output: Description,
    },
    ({ poster }) => this.describer.describe(decodePicture(poster)),
  );

  search = api(
    {
      summary: "Ranks posters, by their vectors, for a question.",
      input: {
        question: Question,
        names: z.array(z.string()),
        vectors: tensor("float32", ["posters", sentenceDimensions]),
      },
      output: z.array(z.object({ name: z.string(), score: z.number() })),
    },
    async ({ question, names, vectors }) => {
      if (names.length !== vectors.shape[0]) {
        throw new ServingError({
          code: "invalid_argument",
          id: "names_do_not_fit",
          message: `There are ${names.length} names for ${vectors.shape[0]} vectors.`,
        });
      }
      const scores = await this.rank.score({ question: await this.#embed(question), posters: vectors });
      const ranked = names.map((name, index) => ({ name, score: scores.data[index] ?? -1 }));
      return ranked.sort((a, b) => b.score - a.score);
    },
  );

  match = api(
    {
      summary: "How well one poster answers a question, from -1 to 1: the whole graph in one request.",
      input: { poster: Poster, question: Question },
      output: z.object({ score: z.number(), caption: z.string() }),
    },
    async ({ poster, question }) => {
      // The question does not wait for the poster.
      const [{ caption, vector }, asked] = await Promise.all([
        this.describer.describe(decodePicture(poster)),
        this.#embed(question),
      ]);
      const posters = new Tensor("float32", [1, sentenceDimensions], vector.data);
      const scores = await this.rank.score({ question: asked, posters });
      return { score: scores.data[0] ?? -1, caption };
    },
  );

  /** One row: the callers of other posters have theirs. */
  async #embed(question: string) {
    const { data } = await this.embedder.embed([question]);
    return new Tensor("float32", [1, sentenceDimensions], data);
  }
}

/** A branch that fails finds nothing; but when the caller itself has gone, there is nobody to answer. */
async function attempt<Value>(name: Branch, branch: Promise<Value[]>) {
  try {
    return { name, values: await branch, failed: false };
  } catch (error) {
    const { signal, log } = currentCall();
    if (signal.aborted) throw error;
    log.warn({ branch: name, err: error }, "branch left out");
    return { name, values: [], failed: true };
  }
}
