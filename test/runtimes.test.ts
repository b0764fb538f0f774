import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BroadcastChannel } from "node:worker_threads";
import { silentLogger } from "../src/base/logger.js";
import { RemoteHost } from "../src/placement/remote-host.js";
import { RemoteRuntime } from "../src/placement/remote-runtime.js";
import { FakeClock } from "./fake-clock.js";
import { createOrder } from "./runtimes/create-order.js";
import { createAddress } from "./transport/socket-pair.js";

// Built files, because a worker thread loads no TypeScript.
const built = new URL("../dist/placement/thread.js", import.meta.url).href;
const { ReplicaThread } = (await import(built)) as typeof import("../src/placement/thread.js");

// Replicas of a real thread, with a supervisor whose clock stands still: an event that it stopped waiting for still
// arrives later.

/** Hooks in a thread: resolves when each has begun, and lets it end. */
class Hooks implements Disposable {
  readonly #channel = new BroadcastChannel("ekiben-test-runtimes");
  readonly #reached = new Set<unknown>();
  #look = () => {};

  constructor() {
    this.#channel.onmessage = (event) => {
      this.#reached.add((event as { data: unknown }).data);
      this.#look();
    };
  }

  async reached(hook: string): Promise<void> {
    while (!this.#reached.has(`reach ${hook}`)) {
      await new Promise<void>((resolve) => {
        this.#look = resolve;
      });
    }
  }

  leave(hook: string): void {
    this.#channel.postMessage(`leave ${hook}`);
  }

  [Symbol.dispose](): void {
    this.#channel.close();
  }
}

/** Thread with a replica of Plain, to which other replicas may be added. */
async function createRuntime() {
  const clock = new FakeClock();
  const runtime = new RemoteRuntime(
    () => new ReplicaThread({ name: "test", env: { ...process.env }, heapMiB: undefined }),
    {
      residence: "thread",
      order: createOrder({ group: "g", process: 0 }, ["Held", "Plain"]),
      clock,
      log: silentLogger,
      onExit: () => {},
      answer: () => assert.fail("nothing is asked here"),
    },
  );
  const { address, remove } = createAddress();
  let lives = 0;
  const signal = new AbortController().signal;
  const add = async (service: string, own = signal) => {
    const resources = { cpuThreads: 1, memoryBytes: Number.POSITIVE_INFINITY, gpus: [] };
    const order = {
      id: `${service}#0`,
      index: 0,
      service,
      inlineCallees: [],
      callees: [],
      resources,
      inlineCalleeResources: new Map(),
      address: `${address}.${lives++}`,
    };
    const limits = { startTimeoutMs: 60_000, drainTimeoutMs: 30_000, memoryBytes: Number.POSITIVE_INFINITY };
    const host = new RemoteHost(runtime, { order, ...limits, clock, log: silentLogger });
    await host.load(own);
    return host;
  };
  const plain = await add("Plain");
  await plain.start(signal);
  const hooks = new Hooks();
  const close = async () => {
    runtime.kill();
    await plain.stop();
    hooks[Symbol.dispose]();
    remove();
  };
  return { runtime, plain, clock, hooks, signal, add, [Symbol.asyncDispose]: close };
}

describe("a replica that comes after one of its name that did not stop in time", () => {
  it("is left alone when the other one has stopped", async () => {
    await using made = await createRuntime();
    const { clock, hooks, signal } = made;
    const old = await made.add("Held");
    const started = old.start(signal);
    await hooks.reached("start 1");
    hooks.leave("start 1");
    await started;
    const stopped = old.stop();
    await hooks.reached("stop 1");
    clock.advance(12_000);
    await stopped;
    const next = await made.add("Held");
    const startedNext = next.start(signal);
    await hooks.reached("start 2");
    hooks.leave("start 2");
    await startedNext;
    hooks.leave("stop 1");
    await made.runtime.metrics();
    assert.equal(await next.isReady(), true);
    assert.equal((await next.pulse(1000)).inFlight, 0);
  });

  it("is not told of the other one's start, which ends late (MR3)", async () => {
    await using made = await createRuntime();
    const { clock, hooks, signal } = made;
    const calledOff = new AbortController();
    const old = await made.add("Held", calledOff.signal);
    const aborted = assert.rejects(old.start(calledOff.signal), { id: "start_aborted" });
    await hooks.reached("start 1");
    calledOff.abort();
    await aborted;
    const stopped = old.stop();
    await hooks.reached("stop 1");
    clock.advance(12_000);
    await stopped;
    const next = await made.add("Held");
    const started = next.start(signal);
    await hooks.reached("start 2");
    hooks.leave("start 1");
    await made.runtime.metrics();
    hooks.leave("start 2");
    await started;
    assert.equal(await next.isReady(), true);
  });
});

describe("a replica whose start takes longer than its supervisor's bound", () => {
  it("leaves the others of its thread alone, and is ready when it has come to its end", async () => {
    await using made = await createRuntime();
    const { clock, hooks, signal, plain } = made;
    const held = await made.add("Held");
    const started = held.start(signal);
    await hooks.reached("start 1");
    clock.advance(600_000);
    assert.equal(await plain.isReady(), true);
    hooks.leave("start 1");
    await started;
    assert.deepEqual([await plain.isReady(), await held.isReady()], [true, true]);
  });
});
