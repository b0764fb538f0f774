// Sends random sessions to both sides of a link until one breaks a promise.   npm run fuzz:wire -- [rounds] [seed]
//
// The seed of that round is printed; the same seed makes the same round again: npm run fuzz:wire -- 1 <seed>
import { fuzzWire } from "../test/transport/fuzz.js";

const total = Number(process.argv[2] ?? 100_000);
const first = Number(process.argv[3] ?? Math.floor(Math.random() * 2 ** 31));
/** Rounds against one replica, before a new one is made. */
const perReplica = 2_000;

const sum = new Map<string, number>();
for (let done = 0; done < total; done += perReplica) {
  const count = Math.min(perReplica, total - done);
  for (const [end, times] of await fuzzWire(first + done, count)) sum.set(end, (sum.get(end) ?? 0) + times);
  const counts = [...sum].sort(([a], [b]) => (a < b ? -1 : 1)).map(([end, times]) => `${end} ${times}`);
  console.log(`${done + count} rounds from seed ${first}: ${counts.join(", ")}`);
}
