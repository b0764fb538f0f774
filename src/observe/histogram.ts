/** Upper bounds of the buckets in seconds: 100 us for a hop in memory up to a minute for a slow model. */
export const durationBounds: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];

/** Counts of durations by bucket; observing one costs a short search and no allocation. */
export class Histogram {
  /** One entry a bound and one for what is longer; not cumulative. */
  readonly counts = new Float64Array(durationBounds.length + 1);
  /** Seconds. */
  sum = 0;

  observe(ms: number): void {
    const seconds = ms / 1000;
    let bucket = 0;
    while (bucket < durationBounds.length && seconds > (durationBounds[bucket] as number)) bucket++;
    this.counts[bucket] = (this.counts[bucket] as number) + 1;
    this.sum += seconds;
  }

  get count(): number {
    return this.counts.reduce((total, count) => total + count, 0);
  }
}
