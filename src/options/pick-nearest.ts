/**
 * Finds the known name that a misspelt one most likely means.
 *
 * @returns `undefined` when no name is near: more than a third of the letters differ, or more than three.
 */
export function pickNearest(name: string, known: Iterable<string>): string | undefined {
  let nearest: string | undefined;
  let least = Math.min(3, Math.max(1, Math.floor(name.length / 3))) + 1;
  for (const candidate of known) {
    const distance = countEdits(name.toLowerCase(), candidate.toLowerCase());
    // A name that begins another is likely cut short: "timeout" for "timeoutMs".
    const isStart = name.length >= 3 && candidate.toLowerCase().startsWith(name.toLowerCase());
    const cost = isStart ? Math.min(distance, 2) : distance;
    if (cost >= least) continue;
    least = cost;
    nearest = candidate;
  }
  return nearest;
}

/** Counts letters to add, drop, change or swap with a neighbour: the restricted Damerau-Levenshtein distance. */
function countEdits(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 1; i <= from.length; i++) {
    const row = [i];
    for (let j = 1; j <= to.length; j++) {
      const change = at(last, j - 1) + (from[i - 1] === to[j - 1] ? 0 : 1);
      const swap =
        from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1] ? at(beforeLast, j - 2) + 1 : Number.POSITIVE_INFINITY;
      row.push(Math.min(at(last, j) + 1, at(row, j - 1) + 1, change, swap));
    }
    beforeLast = last;
    last = row;
  }
  return at(last, to.length);
}

const at = (row: readonly number[], index: number): number => row[index] ?? Number.POSITIVE_INFINITY;
