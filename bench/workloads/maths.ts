// The arithmetic of the workloads. Every rival does the same, so that all of them must give the same answers.

/** Makes a matrix of values from -1 to 1 by a linear congruential generator; row-major. */
export function createMatrix(rows: number, columns: number, seed: number): Float32Array {
  let state = seed >>> 0;
  return Float32Array.from({ length: rows * columns }, () => {
    state = (Math.imul(1664525, state) + 1013904223) >>> 0;
    return (state / 2 ** 32) * 2 - 1;
  });
}

export const features = 128;
export const labels = 8;

/** Counts the byte trigrams of a text by their FNV-1a hash, as a vector of length 1. Shape `[128]`. */
export function countTrigrams(text: string): Float32Array {
  const bytes = Buffer.from(text);
  const counts = new Float32Array(features);
  for (let start = 0; start + 2 < bytes.length; start++) {
    let hash = 2166136261;
    for (const byte of bytes.subarray(start, start + 3)) hash = Math.imul(hash ^ byte, 16777619) >>> 0;
    (counts[hash % features] as number) += 1;
  }
  const norm = Math.sqrt(counts.reduce((sum, count) => sum + count * count, 0));
  return norm === 0 ? counts : counts.map((count) => count / norm);
}

/** Returns the probabilities of the labels: softmax of vector times matrix. Shape `[8]`. */
export function scoreLabels(vector: ArrayLike<number>, weights: Float32Array): Float32Array {
  const sums = new Float32Array(labels);
  for (let row = 0; row < features; row++) {
    const value = vector[row] as number;
    if (value === 0) continue;
    for (let label = 0; label < labels; label++) {
      (sums[label] as number) += value * (weights[row * labels + label] as number);
    }
  }
  const largest = Math.max(...sums);
  const powers = sums.map((sum) => Math.exp(sum - largest));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}

/** Returns the most likely label. */
export function pickLabel(scores: ArrayLike<number>): { label: number; confidence: number } {
  let label = 0;
  for (let other = 1; other < scores.length; other++) {
    if ((scores[other] as number) > (scores[label] as number)) label = other;
  }
  return { label, confidence: scores[label] as number };
}

/** Shape of a picture as models take it; 602 kB as float32. */
export const pictureShape = [1, 3, 224, 224] as const;
const pictureSize = 3 * 224 * 224;

const base = Float32Array.from({ length: pictureSize }, (_, index) => (index % 1000) / 1000);

export const createPicture = (seed: number): Float32Array => scale(base, seed);

/** A loop, because `map` of a typed array takes ten times as long. */
export function scale(values: Float32Array, factor: number): Float32Array {
  const scaled = new Float32Array(values.length);
  for (let index = 0; index < values.length; index++) scaled[index] = (values[index] as number) * factor;
  return scaled;
}

/** Computes in double precision. */
export function sum(values: Float32Array): number {
  let total = 0;
  for (let index = 0; index < values.length; index++) total += values[index] as number;
  return total;
}
