// The attacked app. Each answer shows whether it belongs to its caller.
import { appendFileSync, copyFileSync, rmSync } from "node:fs";
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

/** Writes the process of a replica to a file. Not to the log, because one of the faults is that nobody reads it. */
function announce({ replica }: StartContext): void {
  appendFileSync(process.env["HOSTILE_PIDS"] as string, `${replica.id} ${process.pid}\n`);
}

/**
 * Collects garbage without keeping pages for later collections; V8's own collections keep pages, depending on when the
 * last one ran.
 */
function collect(): z.infer<typeof Memory> {
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as (options?: object) => void;
  // V8 keeps the text of the last regular expression match until the next one: 30 MiB of a body.
  /^/.test("");
  // Without options the collection does not scan the stack for live objects; with these it releases pages.
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

/**
 * Gives free memory of the C allocator back to the system. glibc itself releases only what is free at the end of its
 * heap: one small block there keeps everything below.
 */
function release(): void {
  const library = process.env["HOSTILE_TRIM"];
  if (library === undefined) return;
  const copy = `${library}.${process.pid}.${Date.now()}.node`;
  copyFileSync(library, copy);
  try {
    process.dlopen({ exports: {} }, copy);
  } catch {
    // It is no module of Node. Loading it has released the memory.
  } finally {
    rmSync(copy);
  }
}

/** Batches with one output buffer that is reused, like some native runtimes. */
export class Batched extends Service() {
  #output = new Float32Array(64);
  override start = announce;

  scale = api({ input: Rows, output: Rows, batch: { maxRows: 8 }, idempotent: true }, async ({ shape, data }) => {
    const output = this.#output.subarray(0, data.length);
    await sleep(1);
    output.set(data.map((value) => value * 2));
    // The next run of a native library overwrites its output at any time; here as early as possible.
    queueMicrotask(() => queueMicrotask(() => setImmediate(() => output.fill(-1))));
    return new Tensor("float32", shape, output);
  });

  collect = api({ output: Memory, idempotent: true }, collect);
  release = api({ output: z.void() }, release);
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
  release = api({ output: z.void() }, release);
  snapshot = api({ output: z.string() }, snapshot);
}

/** Has more apis that accept bodies, and the name of the class that it extends. */
export class Front extends HostileService {
  batched = depends(Batched);
  model = depends(Model);
  override start = announce;

  // Apis under load: their callers check each answer.
  scale = api({ input: Rows, output: Rows, idempotent: true }, (rows) => this.batched.scale(rows));
  double = api({ input: Numbers, output: Numbers, idempotent: true }, (numbers) => this.model.double(numbers));
  negate = api({ input: tensor("float32", ["n"]), output: tensor("float32", ["n"]), idempotent: true }, (input) =>
    this.model.negate(input),
  );
  countUp = api({ input: z.number(), yields: z.number(), idempotent: true }, (count) => this.model.countUp(count));
  ping = api({ input: z.number(), output: z.number(), idempotent: true }, (value) => value);

  // Mistakes of authors, here and below.
  slipHere = api({ input: Slip, output: z.any() }, (name) => runSlip(name, () => this.model.double([1])));
  slipHereLater = api({ input: Slip, output: z.any() }, async (name) => {
    await sleep(1);
    return runSlip(name, () => this.model.double([1]));
  });
  slipBelow = api({ input: Slip, output: z.any() }, (name) => this.model.slip(name));
  slipBelowLater = api({ input: Slip, output: z.any() }, (name) => this.model.slipLater(name));
  slipWithin = api({ input: Slip, yields: z.any() }, (name) => this.model.slipWithin(name));

  /** Runs a full collection in all three services, and returns the remaining sizes. */
  collect = api({ output: z.record(z.string(), Memory) }, async () => ({
    Front: collect(),
    Model: await this.model.collect(),
    Batched: await this.batched.collect(),
  }));
  release = api({ output: z.void() }, async () => {
    release();
    await this.model.release();
    await this.batched.release();
  });
  snapshot = api({ output: z.array(z.string()) }, async () => [
    snapshot(),
    await this.model.snapshot(),
    await this.batched.snapshot(),
  ]);
}
