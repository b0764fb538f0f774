/** Cores that one service declared. */
export interface CoreWish {
  readonly service: string;
  readonly replicas: number;
  /** For each replica; `undefined` where the author declared none, which then counts for nothing. */
  readonly cpu: number | undefined;
}

/**
 * Says that replicas will compete for cores: when what services declared, over all their replicas, is more than there are.
 *
 * Services that declare nothing do not count: most wait for others rather than compute, and five of them on a laptop are no
 * mistake.
 *
 * @returns One sentence with the numbers, for the notices at start; `undefined` when there is nothing to say.
 */
export function describeCores(wishes: readonly CoreWish[], cores: number): string | undefined {
  const declared = wishes.flatMap(({ service, replicas, cpu }) =>
    cpu === undefined ? [] : [{ service, replicas, cpu }],
  );
  const wanted = round(declared.reduce((sum, { replicas, cpu }) => sum + replicas * cpu, 0));
  if (wanted <= cores) return undefined;
  const parts = [...declared]
    .sort((a, b) => b.replicas * b.cpu - a.replicas * a.cpu)
    .map(({ service, replicas, cpu }) => `${service} ${replicas} x ${round(cpu)}`);
  return (
    `services ask for ${wanted} cores in all (${parts.join(", ")}); this machine has ${cores}: ` +
    "replicas that compute at the same time slow one another down"
  );
}

/** Thousandths are the finest that can be declared; sums of them should read so. */
const round = (value: number): number => Math.round(value * 1000) / 1000;
