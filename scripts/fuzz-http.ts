// Sends random requests to the HTTP server until one breaks a promise.   npm run fuzz -- [requests] [seed]
//
// The seed of that request is printed; the same seed makes the same request again: npm run fuzz -- 1 <seed>
import { fuzz } from "../test/http/fuzz.js";

const total = Number(process.argv[2] ?? 100_000);
const first = Number(process.argv[3] ?? Math.floor(Math.random() * 2 ** 31));
/** Requests to one server, before a new one is made. */
const perServer = 2_000;

const sum = new Map<number, number>();
for (let done = 0; done < total; done += perServer) {
  const count = Math.min(perServer, total - done);
  for (const [status, times] of await fuzz(first + done, count)) sum.set(status, (sum.get(status) ?? 0) + times);
  const counts = [...sum].sort(([a], [b]) => a - b).map(([status, times]) => `${status || "none"} ${times}`);
  console.log(`${done + count} requests from seed ${first}: ${counts.join(", ")}`);
}
