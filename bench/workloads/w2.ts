// W2: three hops one after the other, each with the answer of the previous one.
import { api, depends, Service, Tensor, tensor } from "ekiben";
import { z } from "zod";
import { countTrigrams, createMatrix, features, labels, pickLabel, scoreLabels } from "./maths.ts";

const Vector = tensor("float32", [features]);
const Scores = tensor("float32", [labels]);
const Answer = z.object({ label: z.int(), confidence: z.number() });

export class Preprocess extends Service() {
  features = api(
    { input: z.string(), output: Vector },
    (text) => new Tensor("float32", [features], countTrigrams(text)),
  );
}

export class Model extends Service() {
  #weights = createMatrix(features, labels, 42);

  infer = api(
    { input: Vector, output: Scores },
    (vector) => new Tensor("float32", [labels], scoreLabels(vector.data, this.#weights)),
  );
}

export class Postprocess extends Service() {
  label = api({ input: Scores, output: Answer }, (scores) => pickLabel(scores.data));
}

export class Pipeline extends Service() {
  preprocess = depends(Preprocess);
  model = depends(Model);
  postprocess = depends(Postprocess);

  predict = api({ input: z.object({ raw_input: z.string() }), output: Answer }, async ({ raw_input }) => {
    const vector = await this.preprocess.features(raw_input);
    const scores = await this.model.infer(vector);
    return this.postprocess.label(scores);
  });
}
