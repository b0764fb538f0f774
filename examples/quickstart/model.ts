import { readFile } from "node:fs/promises";
import { featureCount } from "./features.ts";

/** Languages, in the order of the model's scores. */
export const languages = [
  "Dutch",
  "English",
  "French",
  "German",
  "Italian",
  "Portuguese",
  "Spanish",
  "Swedish",
] as const;

export type Language = (typeof languages)[number];

/** File that `train.ts` writes and the service reads: one signed byte per weight, shape `[8, 8192]`. */
export const weightsFile = new URL("artifacts/weights.int8", import.meta.url);

/** Weights are kept as bytes: a step of one twentieth loses nothing that matters and makes the file 64 KiB. */
export const stepsPerUnit = 20;

/** A linear model with a softmax: for each triple of letters, how much it speaks for each language. */
export class LinearModel {
  readonly #weights: Float32Array;

  constructor(weights: Int8Array) {
    const expected = languages.length * featureCount;
    if (weights.length !== expected) throw new Error(`Expected ${expected} weights, got ${weights.length}`);
    this.#weights = Float32Array.from(weights, (weight) => weight / stepsPerUnit);
  }

  static async load(): Promise<LinearModel> {
    return new LinearModel(new Int8Array(await readFile(weightsFile)));
  }

  /** One probability a language, 1 in all. Shape `[8]`. */
  predict(features: Float32Array): Float32Array {
    const scores = Float32Array.from(languages, (_, language) => this.#score(language, features));
    const largest = Math.max(...scores);
    const powers = scores.map((score) => Math.exp(score - largest));
    const total = powers.reduce((sum, power) => sum + power, 0);
    return powers.map((power) => power / total);
  }

  #score(language: number, features: Float32Array): number {
    const weights = this.#weights.subarray(language * featureCount, (language + 1) * featureCount);
    return features.reduce((sum, count, place) => (count === 0 ? sum : sum + count * (weights[place] ?? 0)), 0);
  }
}
