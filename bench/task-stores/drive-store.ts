// One process that uses a task store as hard as it can. Its parent starts each round; its last message is the result.
import { randomBytes } from "node:crypto";
import { quantile } from "../measure.ts";
import { type OpenStore, openStore, type StoreChoice } from "./open.ts";

/** One round of one process. */
export interface Drive {
  readonly store: StoreChoice;
  readonly loops: number;
  readonly seconds: number;
  readonly inputBytes: number;
}

/** Result of one process in one phase. */
export interface Driven {
  readonly count: number;
  readonly seconds: number;
  /** Times in milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

const drive = JSON.parse(process.argv[2] as string) as Drive;
const input = randomBytes(drive.inputBytes);
const output = new Uint8Array(64);
const place = { namespace: "bench", service: "Model", api: "train" };
const claim = { ...place, limit: 1, owner: "bench", leaseMs: 600_000, maxAttempts: 3, lostFailure: "{}" };

const store = await openStore(drive.store);
for (const phase of [submit, run]) {
  await waitForStart();
  process.send?.(await repeat(() => phase(store)));
}
await store.close();
process.disconnect();

async function submit(to: OpenStore): Promise<boolean> {
  await to.submit({ ...place, id: randomBytes(16).toString("hex"), input, context: "{}", priority: 0 });
  return true;
}

async function run(from: OpenStore): Promise<boolean> {
  const [claimed] = await from.claim(claim);
  return claimed !== undefined && (await from.finish(claimed.lease, { status: "completed", output }));
}

/** Runs an action in loops until the time is over, or no work is left. */
async function repeat(step: () => Promise<boolean>): Promise<Driven> {
  const latencies: number[] = [];
  const begun = performance.now();
  const end = begun + drive.seconds * 1000;
  const loop = async () => {
    for (let sent = performance.now(); sent < end && (await step()); ) {
      const answered = performance.now();
      latencies.push(answered - sent);
      sent = answered;
    }
  };
  await Promise.all(Array.from({ length: drive.loops }, loop));
  const seconds = (performance.now() - begun) / 1000;
  return { count: latencies.length, seconds, p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99) };
}

async function waitForStart(): Promise<void> {
  const started = new Promise((resolve) => process.once("message", resolve));
  process.send?.("ready");
  await started;
}
