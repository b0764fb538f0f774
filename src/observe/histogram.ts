/** Upper bounds of the buckets in seconds: 100 us for a hop in memory up to a minute for a slow model. */
const durationBounds: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];

/** Upper bounds of the buckets for counts of things: rows and calls of a batch. */
export const countBounds: readonly number[] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

/** Counts of figures by bucket; observing one costs a short search and no allocation. */
export class Histogram {
  readonly bounds: readonly number[];
  /** One entry a bound and one for what is larger; not cumulative. */
  readonly counts: Float64Array;
  sum = 0;

  constructor(bounds: readonly number[] = durationBounds) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  /** Takes a duration, into buckets of seconds. */
  observe(ms: number): void {
    this.add(ms / 1000);
  }

  /** Takes a figure in the unit of the bounds. */
  add(figure: number): void {
    const { bounds, counts } = this;
    let bucket = 0;
    while (bucket < bounds.length && figure > (bounds[bucket] as number)) bucket++;
    counts[bucket] = (counts[bucket] as number) + 1;
    this.sum += figure;
  }

  get count(): number {
    return this.counts.reduce((total, count) => total + count, 0);
  }
}
