import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { createOrder, servicesFile } from "../../test/runtimes/create-order.js";
import { createAddress } from "../../test/transport/socket-pair.js";
import type { ControlPort, FromRuntime, ToRuntime } from "../placement/control.js";
import { RuntimeMain } from "./runtime-main.js";

const replica = "Plain#0";
const stop: ToRuntime = { kind: "stop", replica };
const listen: ToRuntime = { kind: "listen", replica };
const drain: ToRuntime = { kind: "drain", replica, limitMs: 1000 };

const load = (from: string): ToRuntime => ({
  kind: "load",
  order: createOrder({ service: "Plain" }, ["Plain"], from),
});

/** Runtime in this thread. Its orders come from the test. */
class TestRuntime implements AsyncDisposable {
  readonly #sent: FromRuntime[] = [];
  readonly #exited: Promise<void>;
  readonly #place = createAddress();
  #give: (message: ToRuntime, handle: unknown) => void = () => assert.fail("the runtime does not listen");
  #onSent = () => {};

  constructor() {
    const port: ControlPort = {
      send: (message) => {
        this.#sent.push(message);
        this.#onSent();
      },
      onMessage: (receive) => {
        this.#give = receive;
      },
    };
    this.#exited = new Promise((resolve) => new RuntimeMain(port, resolve));
  }

  start(service: string): ToRuntime {
    const resources = { cpuThreads: 1, memoryBytes: Number.POSITIVE_INFINITY, gpus: [] };
    const { address } = this.#place;
    const others = { inlineCallees: [], callees: [], inlineCalleeResources: new Map() };
    return { kind: "start", order: { id: replica, index: 0, service, resources, address, ...others } };
  }

  /** Gives an order, waits for its answer and some turns more. @returns All answers that came. */
  async order(message: ToRuntime): Promise<string[]> {
    this.#sent.length = 0;
    const answered = new Promise<void>((resolve) => {
      this.#onSent = () => this.#answers.length > 0 && resolve();
    });
    this.#give(message, undefined);
    await answered;
    for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
    return this.#answers;
  }

  get #answers(): string[] {
    const answers = this.#sent.filter(({ kind }) => !["starting", "warming", "log"].includes(kind));
    return answers.map((message) => ("word" in message ? `${message.kind} ${message.word}` : message.kind));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#give({ kind: "end" }, undefined);
    await this.#exited;
    this.#place.remove();
  }
}

it("a runtime answers each order once, with its own word or a failure (MR2)", async () => {
  await using runtime = new TestRuntime();
  assert.deepEqual(await runtime.order(runtime.start("Plain")), ["failed started"], "before it has loaded");
  assert.deepEqual(await runtime.order(load(join(tmpdir(), "not-there.mjs"))), ["load-failed"]);
  assert.deepEqual(await runtime.order(load(servicesFile)), ["loaded"]);
  assert.deepEqual(await runtime.order(listen), ["failed listening"], "before it has started");
  assert.deepEqual(await runtime.order(drain), ["failed drained"], "before it has started");
  assert.deepEqual(await runtime.order(runtime.start("Unknown")), ["failed started"]);
  assert.deepEqual(await runtime.order(stop), ["done stopped"]);
  assert.deepEqual(await runtime.order(runtime.start("Plain")), ["done started"]);
  assert.deepEqual(await runtime.order({ kind: "ask-replica", replica, number: 1, what: "ready" }), ["replica-answer"]);
  assert.deepEqual(await runtime.order({ kind: "ask", number: 2, what: "metrics" }), ["answer"]);
  assert.deepEqual(await runtime.order(drain), ["done drained"]);
  for (let i = 0; i < 2; i++) assert.deepEqual(await runtime.order(stop), ["done stopped"]);
});
