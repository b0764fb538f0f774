import { Tensor } from "../../src/define/tensor.js";
import type { Random } from "../http/random.js";

/** Makes any value that may cross, small ones more often than large. No blobs: those take time. */
export function createPortable(random: Random, depth = 0): unknown {
  const leaf = random.pick(leaves);
  if (depth > 4 || random.chance(0.5)) return leaf(random);
  const items = () => Array.from({ length: random.between(0, 5) }, () => createPortable(random, depth + 1));
  switch (random.between(0, 5)) {
    case 0:
    case 1:
      return items();
    case 2:
      return new Map(items().map((item) => [createPortable(random, depth + 2), item]));
    case 3:
      return new Set(items());
    default:
      return Object.fromEntries(items().map((item) => [createKey(random), item]));
  }
}

const createKey = (random: Random): string =>
  random.chance(0.2) ? random.pick(["$", "toString", "constructor", "0", "7", ""]) : random.text(3);

const createBytes = (random: Random, size: number): ArrayBuffer => new Uint8Array(random.bytes(size)).buffer;

const leaves: readonly ((random: Random) => unknown)[] = [
  () => null,
  () => undefined,
  (random) => random.chance(0.5),
  (random) => random.text(random.between(0, 12)),
  (random) => random.between(-1e9, 1e9),
  (random) => (random.next() - 0.5) * 10 ** random.between(-300, 300),
  (random) => random.pick([0, -0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]),
  (random) => BigInt(random.between(-1e9, 1e9)) ** BigInt(random.between(0, 9)),
  (random) => new Date(random.chance(0.1) ? Number.NaN : random.between(-1e12, 1e12)),
  (random) => random.bytes(random.between(0, 9)),
  (random) => new Float32Array(createBytes(random, 4 * random.between(0, 4))),
  (random) => new BigInt64Array(createBytes(random, 8 * random.between(0, 3))),
  (random) => Array.from({ length: random.between(0, 20) }, () => random.next()),
  (random) => {
    const shape = Array.from({ length: random.between(0, 3) }, () => random.between(0, 3));
    const size = shape.reduce((product, dim) => product * dim, 1);
    return new Tensor("float64", shape, new Float64Array(createBytes(random, 8 * size)));
  },
  (random) => ({ $: random.pick<unknown>(["undefined", "x", ["bytes", 0], { $: 1 }, null]) }),
];
