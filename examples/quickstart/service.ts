import { api, depends, resource, Service, Tensor, tensor } from "ekiben";
import { z } from "zod";
import { countTriples, featureCount } from "./features.ts";
import { LinearModel, languages } from "./model.ts";

const Result = z.object({ label: z.enum(languages), confidence: z.number().min(0).max(1) });

/** Turns a text into the numbers the model was trained on. */
export class Preprocessing extends Service({ placement: "inline" }) {
  preprocess = api({ input: z.string(), output: tensor("float32", ["n"]) }, (text) => {
    return new Tensor("float32", [featureCount], countTriples(text));
  });
}

/** Tells how likely each of eight languages is. */
export class InferenceModel extends Service({ resources: { cpu: 1 } }) {
  model = resource(() => LinearModel.load());

  predict = api({ input: tensor("float32", ["n"]), output: tensor("float32", [8]) }, (features) => {
    return new Tensor("float32", [8], this.model.predict(features.data));
  });
}

/** Turns the model's scores into an answer for people. */
export class Postprocessing extends Service({ placement: "inline" }) {
  decide = api({ input: tensor("float32", [8]), output: Result }, (scores) => {
    const confidence = Math.max(...scores.data);
    return { label: languages[scores.data.indexOf(confidence)] ?? languages[0], confidence };
  });
}

/** Tells which language a text is written in. */
export class Pipeline extends Service() {
  preprocessing = depends(Preprocessing);
  model = depends(InferenceModel);
  postprocessing = depends(Postprocessing);

  predict = api(
    {
      summary: "Tells which language a text is written in.",
      input: z.object({ rawInput: z.string().min(1) }),
      output: Result,
      examples: [
        { rawInput: "Where is the railway station, please?" },
        { rawInput: "Où est la gare, s'il vous plaît ?" },
      ],
    },
    async ({ rawInput }) => {
      const features = this.preprocessing.preprocess(rawInput);
      const scores = this.model.predict(features); // neither is awaited: an unfinished result is a valid argument
      return this.postprocessing.decide(scores);
    },
  );
}
