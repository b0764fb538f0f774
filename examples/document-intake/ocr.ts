import { TextDetectionModel } from "@ekiben/example-models/text-detector";
import { TextRecognitionModel } from "@ekiben/example-models/text-recognizer";
import { cutTextStrip } from "@ekiben/example-models/text-strip";
import { api, resource, Service } from "ekiben";
import { z } from "zod";
import { Picture, toImage } from "./picture.ts";

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
  model = resource(
    ({ resources }) => TextDetectionModel.load(resources.cpuThreads),
    (model) => model.release(),
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
  model = resource(
    ({ resources }) => TextRecognitionModel.load(resources.cpuThreads),
    (model) => model.release(),
  );

  read = api(
    { summary: "Reads lines of text, one answer a line.", input: z.array(Strip), output: z.array(Line) },
    (strips) => this.model.read(strips),
  );
}
