import { multiplyVectors } from "./vectors.ts";

/** One weight a feature and the offset; what the model file holds. */
export interface LogisticWeights {
  readonly weights: readonly number[];
  readonly bias: number;
}

export interface LogisticTraining {
  readonly steps: number;
  readonly learningRate: number;
  /** Strength of the pull towards small weights. Default 0.0001. */
  readonly decay?: number;
}

/** Probability of the positive class for one row of features. */
export function predictLogistic({ weights, bias }: LogisticWeights, features: ArrayLike<number>): number {
  return 1 / (1 + Math.exp(-(bias + multiplyVectors(features, weights))));
}

/** Fits a logistic regression by full-batch gradient descent; the same data always gives the same weights. */
export function fitLogistic(
  rows: readonly ArrayLike<number>[],
  labels: readonly (0 | 1)[],
  { steps, learningRate, decay = 1e-4 }: LogisticTraining,
): LogisticWeights {
  const weights = new Array<number>(rows[0]?.length ?? 0).fill(0);
  let bias = 0;
  for (let step = 0; step < steps; step++) {
    const gradient = new Float64Array(weights.length);
    let biasGradient = 0;
    rows.forEach((row, index) => {
      const error = predictLogistic({ weights, bias }, row) - (labels[index] ?? 0);
      biasGradient += error;
      for (let i = 0; i < weights.length; i++) gradient[i] = (gradient[i] ?? 0) + error * (row[i] ?? 0);
    });
    for (let i = 0; i < weights.length; i++) {
      const weight = weights[i] ?? 0;
      weights[i] = weight - learningRate * ((gradient[i] ?? 0) / rows.length + decay * weight);
    }
    bias -= (learningRate * biasGradient) / rows.length;
  }
  return { weights, bias };
}
