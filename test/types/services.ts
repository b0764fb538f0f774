// Services of the type tests. This is also the program on the first page of the README, and must compile unchanged.
import { api, depends, Service, tensor } from "ekiben";
import { z } from "zod";

export interface Tokenizer {
  encode(text: string): import("ekiben").Tensor<"float32", [number]>;
}
declare function loadTokenizer(): Promise<Tokenizer>;

const Result = z.object({ label: z.string(), confidence: z.number() });

export class Preprocessing extends Service({ resources: { cpu: 2 } }) {
  #tokenizer!: Tokenizer;
  protected cacheSize = 10;
  private calls = 0;

  override async start() {
    this.#tokenizer = await loadTokenizer();
    this.calls += this.cacheSize;
  }

  preprocess = api({ input: z.string(), output: tensor("float32", ["n"]) }, (text) => this.#tokenizer.encode(text));

  /** Helper method of the class: not an api. */
  normalise(text: string): string {
    return text.trim();
  }
}

export class InferenceModel extends Service({ resources: { gpu: 1, memory: "8Gi" }, replicas: 2 }) {
  predict = api({ input: tensor("float32", ["n"]), output: tensor("float32", [8]) }, (features) => ({
    dtype: "float32",
    shape: [8],
    data: features.data.slice(0, 8),
  }));

  words = api({ input: z.string(), yields: z.object({ word: z.string() }) }, async function* (text) {
    for (const word of text.split(" ")) yield { word };
  });

  warmUp = api({ output: z.number() }, () => 1);
}

export class Pipeline extends Service() {
  preprocessing = depends(Preprocessing);
  model = depends(InferenceModel);

  predict = api({ input: z.object({ rawInput: z.string() }), output: Result }, async ({ rawInput }) => {
    const scores = await this.model.predict(this.preprocessing.preprocess(rawInput));
    return { label: String(scores.data.indexOf(1)), confidence: Math.max(...scores.data) };
  });
}
