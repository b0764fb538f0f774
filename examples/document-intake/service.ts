import { LanguageModel } from "@ekiben/example-models/language-identifier";
import { SentenceEncoder } from "@ekiben/example-models/sentence-encoder";
import { averageDirection, findLargest, multiplyVectors } from "@ekiben/example-models/vectors";
import { api, depends, resource, Service, ServingError } from "ekiben";
import { z } from "zod";
import { documentKinds, examplesByKind } from "./document-kinds.ts";
import { Line, Region, TextDetector, TextRecognizer } from "./ocr.ts";
import { PictureDecoder, Upload } from "./picture.ts";

const Kind = z.enum(documentKinds);

const Classification = z.object({
  label: Kind,
  /** Similarity of the text to each kind, from -1 to 1. */
  scores: z.record(Kind, z.number()),
});

const Intake = Classification.extend({
  lines: z.array(Line.extend({ region: Region })),
  text: z.string(),
  language: z.string(),
});

/** Tells the language of a text. A fifth of a millisecond, so it stays in the process of its caller. */
export class LanguageId extends Service({ placement: "inline" }) {
  model = resource(
    () => LanguageModel.load(),
    (model) => model.dispose(),
  );

  identify = api(
    {
      summary: "Tells the language of a text.",
      input: z.string().min(1),
      output: z.object({ language: z.string(), probability: z.number() }),
      examples: ["Heavy rain is expected on Friday", "Am Freitag wird es stark regnen"],
    },
    (text) => this.model.identify(text),
  );
}

/** Tells what kind of document an English text is: the kind whose examples are nearest to it in meaning. */
export class DocClassifier extends Service({ resources: { cpu: 1, memory: "512Mi" } }) {
  encoder = resource(
    ({ resources }) => SentenceEncoder.load(resources.cpuThreads),
    (encoder) => encoder.dispose(),
  );
  /** One for each kind; made once the encoder above is open. */
  directions = resource(async () => {
    const directions: Float32Array[] = [];
    for (const kind of documentKinds) {
      directions.push(averageDirection(await this.encoder.encode(examplesByKind[kind])));
    }
    return directions;
  });

  classify = api(
    {
      summary: "Tells what kind of document an English text is.",
      input: z.string().min(1),
      output: Classification,
      examples: ["Total amount due 255.50 USD. Please pay within thirty days", "Bake for 35 minutes until golden"],
    },
    async (text) => {
      const [vector = []] = await this.encoder.encode([text]);
      const similarities = this.directions.map((direction) => multiplyVectors(direction, vector));
      const scores = Object.fromEntries(documentKinds.map((kind, index) => [kind, similarities[index]]));
      return Classification.parse({ label: documentKinds[findLargest(similarities)], scores });
    },
  );
}

/** Takes a scanned page and tells what is written on it and what kind of document it is. */
export class DocumentIntake extends Service({ timeoutMs: 30_000 }) {
  decoder = depends(PictureDecoder);
  detector = depends(TextDetector);
  recognizer = depends(TextRecognizer);
  languageId = depends(LanguageId);
  classifier = depends(DocClassifier);

  read = api(
    {
      summary: "Reads a scanned page and tells what kind of document it is.",
      input: { page: Upload },
      output: Intake,
    },
    async ({ page }) => {
      const found = await this.detector.detect(this.decoder.decode({ page }));
      const read = await this.recognizer.read(found.map(({ strip }) => strip));
      const lines = found.map(({ region }, index) => ({ text: "", confidence: 0, ...read[index], region }));
      const text = lines.map((line) => line.text).join(". ");
      if (text === "") {
        throw new ServingError({ code: "invalid_argument", id: "no_text", message: "There is no text on this page." });
      }

      const { language } = await this.languageId.identify(text);
      if (language !== "en") {
        throw new ServingError({
          code: "invalid_argument",
          id: "language_not_supported",
          message: `This page seems to be in language "${language}"; only English documents can be classified.`,
          details: { language, text },
        });
      }
      return { lines, text, language, ...(await this.classifier.classify(text)) };
    },
  );
}
