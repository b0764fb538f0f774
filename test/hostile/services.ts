// The app that is attacked. Every answer shows whether it is the caller's own.
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString, writeHeapSnapshot } from "node:v8";
import { runInNewContext } from "node:vm";
import { api, currentCall, depends, Service, type StartContext, Tensor, tensor } from "ekiben";
import { z } from "zod";
import { HostileService } from "../http/hostile-service.js";
import { runSlip, slipNames } from "./slips.js";

const Numbers = z.array(z.number());
const Rows = tensor("float32", ["rows", 4]);
const Slip = z.enum(slipNames as [string, ...string[]]);
const Memory = z.object({ heapMiB: z.number(), outsideMiB: z.number() });

/** Tells which process a replica is. Not in the log: one of the faults is that nobody reads it. */
function announce({ replica }: StartContext): void {
  appendFileSync(process.env["HOSTILE_PIDS"] as string, `${replica.id} ${process.pid}\n`);
}

/** What a collection leaves that keeps no pages for later ones, as V8's own does: how many depends on when it last ran. */
function collect(): z.infer<typeof Memory> {
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as (options?: object) => void;
  // V8 keeps the text of the last match until the next one: 30 MiB of a body.
  /^/.test("");
  // Without options it looks at no stack for what may be alive; with these it gives back pages.
  gc();
  gc({ type: "major", execution: "sync", flavor: "last-resort" });
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return { heapMiB: heapUsed / 2 ** 20, outsideMiB: Math.max(external, arrayBuffers) / 2 ** 20 };
}

/** Writes the heap of this process into the folder `HOSTILE_SNAPSHOTS`, to see what keeps memory. Returns the path. */
function snapshot(): string {
  return writeHeapSnapshot(
    join(process.env["HOSTILE_SNAPSHOTS"] as string, `${process.pid}-${Date.now()}.heapsnapshot`),
  );
}

/** Batches, with the manners of a runtime that has one output buffer and reuses it. */
export class Batched extends Service() {
  #output = new Float32Array(64);
  override start = announce;

  scale = api({ input: Rows, output: Rows, batch: { maxRows: 8 }, idempotent: true }, async ({ shape, data }) => {
    const output = this.#output.subarray(0, data.length);
    await sleep(1);
    output.set(data.map((value) => value * 2));
    // The next run of a native library overwrites its output at any time; here as early as it can.
    queueMicrotask(() => queueMicrotask(() => setImmediate(() => output.fill(-1))));
    return new Tensor("float32", shape, output);
  });

  collect = api({ output: Memory, idempotent: true }, collect);
  snapshot = api({ output: z.string() }, snapshot);
}

export class Model extends Service() {
  override start = announce;

  double = api({ input: Numbers, output: Numbers, idempotent: true }, async (numbers) => {
    await sleep(1);
    return numbers.map((value) => value * 2);
  });
  negate = api({ input: tensor("float32", ["n"]), output: tensor("float32", ["n"]), idempotent: true }, (input) => {
    return new Tensor(
      "float32",
      input.shape,
      input.data.map((value) => -value),
    );
  });
  countUp = api({ input: z.number(), yields: z.number(), idempotent: true }, async function* (count) {
    for (let i = 0; i < count; i++) {
      if (i % 16 === 0) await sleep(1, undefined, { signal: currentCall().signal });
      yield i;
    }
  });
  slip = api({ input: Slip, output: z.any() }, (name) => runSlip(name, () => this.double([1])));
  slipLater = api({ input: Slip, output: z.any() }, async (name) => {
    await sleep(1);
    return runSlip(name, () => this.double([1]));
  });
  slipWithin = api({ input: Slip, yields: z.any() }, async function* (name) {
    yield "first";
    yield runSlip(name, () => sleep(5));
  });
  collect = api({ output: Memory, idempotent: true }, collect);
  snapshot = api({ output: z.string() }, snapshot);
}

/** Its other apis are doors for bodies, and its name is that of the class it extends. */
export class Front extends HostileService {
  batched = depends(Batched);
  model = depends(Model);
  override start = announce;

  // Under load: each answer is checked by its caller.
  scale = api({ input: Rows, output: Rows, idempotent: true }, (rows) => this.batched.scale(rows));
  double = api({ input: Numbers, output: Numbers, idempotent: true }, (numbers) => this.model.double(numbers));
  negate = api({ input: tensor("float32", ["n"]), output: tensor("float32", ["n"]), idempotent: true }, (input) =>
    this.model.negate(input),
  );
  countUp = api({ input: z.number(), yields: z.number(), idempotent: true }, (count) => this.model.countUp(count));
  ping = api({ input: z.number(), output: z.number(), idempotent: true }, (value) => value);

  // Slips of an author, here and below.
  slipHere = api({ input: Slip, output: z.any() }, (name) => runSlip(name, () => this.model.double([1])));
  slipHereLater = api({ input: Slip, output: z.any() }, async (name) => {
    await sleep(1);
    return runSlip(name, () => this.model.double([1]));
  });
  slipBelow = api({ input: Slip, output: z.any() }, (name) => this.model.slip(name));
  slipBelowLater = api({ input: Slip, output: z.any() }, (name) => this.model.slipLater(name));
  slipWithin = api({ input: Slip, yields: z.any() }, (name) => this.model.slipWithin(name));

  /** Of all three services: a full collection, and what it leaves. */
  collect = api({ output: z.record(z.string(), Memory) }, async () => ({
    Front: collect(),
    Model: await this.model.collect(),
    Batched: await this.batched.collect(),
  }));
  snapshot = api({ output: z.array(z.string()) }, async () => [
    snapshot(),
    await this.model.snapshot(),
    await this.batched.snapshot(),
  ]);
}
