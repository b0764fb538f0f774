type Vector = ArrayLike<number>;

/** Sum of the products of two vectors of one length. */
export function multiplyVectors(a: Vector, b: Vector): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}

/** The direction in which several vectors of one length point together, with length 1. */
export function averageDirection(vectors: readonly Vector[]): Float32Array {
  const sum = new Float64Array(vectors[0]?.length ?? 0);
  for (const vector of vectors) {
    for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] ?? 0) + (vector[i] ?? 0);
  }
  const length = Math.hypot(...sum);
  return Float32Array.from(sum, (value) => value / length);
}

/** Position of the largest value; -1 for none. The first of equals wins. */
export function findLargest(values: Vector): number {
  let largest = -1;
  for (let i = 0; i < values.length; i++) {
    if (largest === -1 || (values[i] ?? 0) > (values[largest] ?? 0)) largest = i;
  }
  return largest;
}
