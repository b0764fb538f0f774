// W3: two models called at once, four hops in all.
import { api, depends, Service, Tensor, tensor } from "ekiben";
import { z } from "zod";
import { countTrigrams, createMatrix, features, labels, pickLabel, scoreLabels } from "./maths.ts";

const Vector = tensor("float32", [features]);
const Scores = tensor("float32", [labels]);
const Answer = z.object({ label: z.int(), confidence: z.number() });

export class Pre extends Service() {
  features = api(
    { input: z.string(), output: Vector },
    (text) => new Tensor("float32", [features], countTrigrams(text)),
  );
}

export class ModelA extends Service() {
  #weights = createMatrix(features, labels, 1);

  infer = api(
    { input: Vector, output: Scores },
    (vector) => new Tensor("float32", [labels], scoreLabels(vector.data, this.#weights)),
  );
}

export class ModelB extends Service() {
  #weights = createMatrix(features, labels, 2);

  infer = api(
    { input: Vector, output: Scores },
    (vector) => new Tensor("float32", [labels], scoreLabels(vector.data, this.#weights)),
  );
}

export class Aggregator extends Service() {
  combine = api({ input: { a: Scores, b: Scores }, output: Answer }, ({ a, b }) =>
    pickLabel(a.data.map((score, label) => (score + (b.data[label] as number)) / 2)),
  );
}

export class Ensemble extends Service() {
  pre = depends(Pre);
  modelA = depends(ModelA);
  modelB = depends(ModelB);
  aggregator = depends(Aggregator);

  run = api({ input: z.object({ data: z.string() }), output: Answer }, async ({ data }) => {
    const vector = await this.pre.features(data);
    const [a, b] = await Promise.all([this.modelA.infer(vector), this.modelB.infer(vector)]);
    return this.aggregator.combine({ a, b });
  });
}
