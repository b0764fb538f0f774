// The leaf services of W1, W2 and W3 as plain functions, for frameworks that carry JSON: vectors are arrays of numbers.
import { countTrigrams, createMatrix, features, labels, pickLabel, scoreLabels } from "../workloads/maths.ts";

export interface Leaf {
  readonly service: string;
  readonly method: string;
  readonly run: (input: any) => unknown;
}

const createPreprocess = (service: string): Leaf => ({
  service,
  method: "features",
  run: ({ text }) => Array.from(countTrigrams(text)),
});

function createModel(service: string, seed: number): Leaf {
  const weights = createMatrix(features, labels, seed);
  return { service, method: "infer", run: ({ vector }) => Array.from(scoreLabels(vector, weights)) };
}

const echo: Leaf = { service: "echo", method: "echo", run: ({ text }) => ({ text }) };
const preprocess = createPreprocess("preprocess");
const model = createModel("model", 42);
const postprocess: Leaf = { service: "postprocess", method: "label", run: ({ scores }) => pickLabel(scores) };
const pre = createPreprocess("pre");
const modelA = createModel("modelA", 1);
const modelB = createModel("modelB", 2);
const aggregator: Leaf = {
  service: "aggregator",
  method: "combine",
  run: ({ a, b }: { a: number[]; b: number[] }) =>
    pickLabel(a.map((score, label) => (score + (b[label] as number)) / 2)),
};

/** Leaf services; each runs in a process of its own. */
export const leaves: Readonly<Record<string, readonly Leaf[]>> = {
  w1: [echo],
  w2: [preprocess, model, postprocess],
  w3: [pre, modelA, modelB, aggregator],
};

/** Work of the entry service with its leaves. */
export const entries: Readonly<
  Record<string, (ask: (leaf: Leaf, input: object) => Promise<any>, body: any) => Promise<unknown>>
> = {
  w1: (ask, { text }) => ask(echo, { text }),
  w2: async (ask, { raw_input }) => {
    const vector = await ask(preprocess, { text: raw_input });
    const scores = await ask(model, { vector });
    return ask(postprocess, { scores });
  },
  w3: async (ask, { data }) => {
    const vector = await ask(pre, { text: data });
    const [a, b] = await Promise.all([ask(modelA, { vector }), ask(modelB, { vector })]);
    return ask(aggregator, { a, b });
  },
};
