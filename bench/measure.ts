/** The middle of a list of figures; of an even number, the mean of the two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low = Number.NaN, high = low] = sorted.slice(Math.ceil(middle - 1), Math.floor(middle + 1));
  return (low + high) / 2;
}

/** Something to measure: one round gives one figure. */
export interface Contestant {
  readonly name: string;
  readonly round: () => Promise<number>;
}

/**
 * Measures all contestants in turn, round after round, so that what else the machine does meets each of them alike.
 *
 * @param rounds How often each is measured. The first, in which code is compiled, is not counted.
 * @returns      The figures of each contestant, in the order of rounds.
 */
export async function measureInTurn(
  contestants: readonly Contestant[],
  rounds: number,
): Promise<Map<string, number[]>> {
  const figures = new Map<string, number[]>(contestants.map(({ name }) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const { name, round: measure } of contestants) {
      const figure = await measure();
      if (round > 0) figures.get(name)?.push(figure);
    }
  }
  return figures;
}
