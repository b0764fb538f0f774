/** The middle of a list of figures; of an even number, the mean of the two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low = Number.NaN, high = low] = sorted.slice(Math.ceil(middle - 1), Math.floor(middle + 1));
  return (low + high) / 2;
}

/** The value below which `share` (0 to 1) of the values lie. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** Each round by itself, since its contestants met the same neighbours on the machine. */
export function divideByRound(values: readonly number[], by: readonly number[]): number[] {
  return values.map((value, round) => value / (by[round] ?? Number.NaN));
}

/** Something to measure: one round gives one figure, or several of them. */
export interface Contestant<Figure = number> {
  readonly name: string;
  readonly round: () => Promise<Figure>;
}

/**
 * Measures all contestants in turn, round after round, so that what else the machine does meets each of them alike.
 *
 * @param rounds How often each is measured. One more, the first, in which code is compiled, is not counted.
 * @returns      The figures of each contestant, in the order of rounds.
 */
export async function measureInTurn<Figure>(
  contestants: readonly Contestant<Figure>[],
  rounds: number,
): Promise<Map<string, Figure[]>> {
  const figures = new Map<string, Figure[]>(contestants.map(({ name }) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const { name, round: measure } of contestants) {
      const figure = await measure();
      if (round > 0) figures.get(name)?.push(figure);
    }
  }
  return figures;
}
