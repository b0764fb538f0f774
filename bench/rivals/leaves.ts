// The leaf services of W1 and W2 as plain functions, for frameworks that carry JSON: vectors are arrays of numbers.
import { countTrigrams, createMatrix, features, labels, pickLabel, scoreLabels } from "../workloads/maths.ts";

export interface Leaf {
  readonly service: string;
  readonly method: string;
  readonly run: (input: any) => unknown;
}

const weights = createMatrix(features, labels, 42);
const preprocess: Leaf = {
  service: "preprocess",
  method: "features",
  run: ({ raw_input }) => Array.from(countTrigrams(raw_input)),
};
const model: Leaf = {
  service: "model",
  method: "infer",
  run: ({ vector }) => Array.from(scoreLabels(vector, weights)),
};
const postprocess: Leaf = { service: "postprocess", method: "label", run: ({ scores }) => pickLabel(scores) };
const echo: Leaf = { service: "echo", method: "echo", run: ({ text }) => ({ text }) };

/** Each runs in a process of its own. */
export const leaves: Readonly<Record<string, readonly Leaf[]>> = { w1: [echo], w2: [preprocess, model, postprocess] };

/** What the entry service does with its leaves. */
export const entries: Readonly<
  Record<string, (ask: (leaf: Leaf, input: object) => Promise<any>, body: any) => Promise<unknown>>
> = {
  w1: (ask, { text }) => ask(echo, { text }),
  w2: async (ask, { raw_input }) => {
    const vector = await ask(preprocess, { raw_input });
    const scores = await ask(model, { vector });
    return ask(postprocess, { scores });
  },
};
