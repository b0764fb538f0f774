/** Returns the median of a list of figures; for an even number, the mean of the middle two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low = Number.NaN, high = low] = sorted.slice(Math.ceil(middle - 1), Math.floor(middle + 1));
  return (low + high) / 2;
}

/** Returns the value below which `share` (0 to 1) of the values lie. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** Returns the ratios round by round, because the contestants of a round share the same conditions on the machine. */
export function divideByRound(values: readonly number[], by: readonly number[]): number[] {
  return values.map((value, round) => value / (by[round] ?? Number.NaN));
}

/** Something to measure: one round gives one figure, or several. */
export interface Contestant<Figure = number> {
  readonly name: string;
  readonly round: () => Promise<Figure>;
}

/**
 * Measures all contestants in turn, round after round, so that other work on the machine affects them equally.
 *
 * @param rounds Number of measured rounds. An additional first round, in which code is compiled, does not count.
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
