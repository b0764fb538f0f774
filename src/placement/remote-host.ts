import type { Socket } from "node:net";
import { MessageChannel } from "node:worker_threads";
import { type Clock, createDeferred, type Deferred, type Timer, within } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import { fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import { toServingError } from "../failure/to-serving-error.js";
import { decodeError } from "../transport/wire-error.js";
import {
  type ControlAnswers,
  ControlRequests,
  type FromReplica,
  type ReplicaOrder,
  type ReplicaWord,
} from "./control.js";
import type { Caller, LinkOffer, Pulse, ReplicaHost } from "./placement.js";
import { type RemoteRuntime, type RuntimeMember, stopLimitMs } from "./remote-runtime.js";

// The supervisor's view of a replica in another thread or process.
//
// IH1  Every wait for the other side also ends when that side ends, or has ended before.
// IH2  `ended` resolves only for an end without an order.

/** Dependencies of a host. */
interface RemoteHostDeps {
  readonly order: ReplicaOrder;
  readonly startTimeoutMs: number;
  /** Source that set it; absent where that is unknown. */
  readonly startTimeoutFrom?: string | undefined;
  readonly drainTimeoutMs: number;
  /** See `ReplicaHost`. */
  readonly memoryBytes: number;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Limit of the author's `ready()`, transport included: shorter than the limit of a question about the whole app. */
const readyLimitMs = 2_500;
/** Time for a message and its answer, besides the work that it orders. */
const answerLimitMs = 1_000;
/** Time by which a start may exceed its limit while it blocks the event loop, so that the replica can't report it. */
const blockedLimitMs = 5_000;
/** Limit for starting a thread or process and loading the author's files. */
const loadLimitMs = 120_000;

export class RemoteHost implements ReplicaHost, RuntimeMember {
  readonly id: string;
  readonly caller: RemoteRuntime;
  readonly memoryBytes: number;
  readonly ended: Promise<string>;
  readonly #deps: RemoteHostDeps;
  readonly #requests: ControlRequests<ControlAnswers>;
  readonly #words = new AwaitedWords<ReplicaWord | "loaded">();
  #tellEnd!: (how: string) => void;
  #leaveSignal = () => {};
  #hasExited = false;
  #isStarted = false;
  /** See `RuntimeMember`. */
  phase: RuntimeMember["phase"] = "new";
  /** Limit of its start, or of opening its HTTP server, as long as the event loop turns. */
  #startLimitMs = 0;
  #startTimer: Timer | undefined;
  #isEnding = false;

  /** @param runtime Thread or process in which it lives, possibly with others. */
  constructor(runtime: RemoteRuntime, deps: RemoteHostDeps) {
    const { order, clock, memoryBytes } = deps;
    this.id = order.id;
    this.caller = runtime;
    this.memoryBytes = memoryBytes;
    this.#deps = deps;
    const { id: replica } = order;
    this.#requests = new ControlRequests(clock, (number, what) =>
      runtime.send({ kind: "ask-replica", replica, number, what }),
    );
    this.ended = new Promise((resolve) => {
      this.#tellEnd = resolve;
    });
    runtime.add(this);
  }

  get isWarmingUp(): boolean {
    return this.caller.isWarmingUp;
  }

  get isInspected(): boolean {
    return this.caller.isInspected;
  }

  get heldUpMs(): number {
    return this.caller.heldUpMs;
  }

  get holdsUpMs(): number {
    return this.phase === "starting" ? this.#startLimitMs + blockedLimitMs : 0;
  }

  get pid(): number | undefined {
    return this.caller.pid;
  }

  async load(signal: AbortSignal): Promise<void> {
    const { service } = this.#deps.order;
    if (signal.aborted) throw fail("start_aborted", { service });
    const callOff = () => this.#callOff();
    signal.addEventListener("abort", callOff, { once: true });
    this.#leaveSignal = () => signal.removeEventListener("abort", callOff);
    const loaded = this.#words.expect("loaded");
    this.caller.load().then(
      () => this.#words.keep("loaded"),
      (error: unknown) => this.#words.fail("loaded", toServingError(error, service, "")),
    );
    await this.#limit(loadLimitMs, loaded, () => {
      this.kill();
      throw fail("load_timeout", { step: "loading the author's files", limitMs: loadLimitMs }, { service });
    });
  }

  async start(signal: AbortSignal): Promise<void> {
    const { startTimeoutMs, order } = this.#deps;
    if (signal.aborted) throw fail("start_aborted", { service: order.service });
    const started = this.#words.expect("started");
    this.caller.send({ kind: "start", order });
    this.#boundStart(startTimeoutMs);
    try {
      await started;
    } finally {
      this.#startTimer?.clear();
      this.phase = "begun";
    }
    this.#isStarted = true;
  }

  expire(): void {
    const { startTimeoutMs, startTimeoutFrom: from, order } = this.#deps;
    const blockedMs = this.#startLimitMs - startTimeoutMs + blockedLimitMs;
    const details = { startTimeoutMs, from, blockedMs };
    this.#words.fail("started", fail("start_timeout", details, { service: order.service }));
  }

  /** Limits a start that can't report: the replica limits its start itself, unless it blocks its event loop. */
  #boundStart(limitMs: number): void {
    this.phase = "starting";
    this.#startLimitMs = limitMs;
    this.#startTimer?.clear();
    if (this.isInspected) return;
    this.#startTimer = this.#deps.clock.setTimer(() => {
      this.phase = "overdue";
      this.caller.noteOverdue();
    }, limitMs + blockedLimitMs);
  }

  offerTo(caller: Caller): LinkOffer {
    const { address } = this.#deps.order;
    if (caller === this.caller) return { kind: "local" };
    if (!this.caller.sharesProcess || caller.residence === "process") return { kind: "address", address };
    const { port1, port2 } = new MessageChannel();
    this.caller.send({ kind: "accept", replica: this.id, port: port2 });
    return { kind: "port", port: port1 };
  }

  async listen(handle: unknown): Promise<void> {
    const listening = this.#words.expect("listening");
    this.caller.send({ kind: "listen", replica: this.id }, handle);
    const { service } = this.#deps.order;
    // This loads the author's plugins.
    this.phase = "starting";
    this.#startLimitMs = loadLimitMs;
    await this.#limit(loadLimitMs, listening, () => {
      // Other replicas in the process go on serving.
      if (!this.caller.isShared) this.kill();
      throw fail("load_timeout", { step: "opening the HTTP server", limitMs: loadLimitMs }, { service });
    }).finally(() => {
      this.phase = "begun";
    });
    this.#deps.log.debug({ service, replica: this.id }, `${this.id} listens for HTTP`);
  }

  /** Settles as `step` does, or as `onLate` says; a replica that is debugged has no limit. */
  #limit(limitMs: number, step: Promise<void>, onLate: () => void): Promise<void> {
    return this.isInspected ? step : within(this.#deps.clock, limitMs, step, onLate);
  }

  get edgeAddress(): string | undefined {
    return this.#deps.order.edgeAddress;
  }

  async acceptRemote(socket: Socket): Promise<void> {
    if (this.#isEnding) throw this.#calledOff();
    const connected = this.#words.expect("connected");
    this.caller.send({ kind: "connection", replica: this.id }, socket);
    try {
      await connected;
    } finally {
      // The replica has a copy, or has ended.
      socket.destroy();
    }
  }

  noteSiblings(ready: number): void {
    this.caller.send({ kind: "siblings", replica: this.id, ready });
  }

  metrics(): Promise<readonly object[]> {
    return this.caller.metrics();
  }

  async isReady(): Promise<boolean> {
    try {
      return await this.#requests.ask("ready", readyLimitMs);
    } catch {
      return false;
    }
  }

  async pulse(limitMs: number): Promise<Pulse> {
    const pulse = await this.#requests.ask("pulse", limitMs);
    const url = this.caller.inspectorUrl;
    return url === undefined ? pulse : { ...pulse, inspectorUrl: url };
  }

  async drain(): Promise<void> {
    this.#isEnding = true;
    if (this.#hasExited || !this.caller.isUp) return;
    const drained = this.#words.expect("drained");
    const { clock, drainTimeoutMs } = this.#deps;
    this.caller.send({ kind: "drain", replica: this.id, limitMs: drainTimeoutMs });
    // The replica limits its drain itself, unless it is stuck.
    await within(clock, drainTimeoutMs + answerLimitMs, drained, () => {}).catch(() => {});
  }

  async stop(): Promise<void> {
    this.#isEnding = true;
    this.#leaveSignal();
    await this.caller.release(this);
  }

  async stopAlone(): Promise<void> {
    const { clock, log } = this.#deps;
    const stopped = this.#words.expect("stopped");
    this.caller.send({ kind: "stop", replica: this.id });
    await within(clock, stopLimitMs, stopped, () => {
      const text = `${this.id} did not stop within ${stopLimitMs} ms; it was left behind in the process that it shares`;
      log.warn({ service: this.#deps.order.service, replica: this.id, stopLimitMs }, text);
    }).catch(() => {});
  }

  kill(reason?: string): void {
    this.caller.kill(reason);
  }

  receive(message: FromReplica): void {
    if (message.address !== undefined && message.address !== this.#deps.order.address) return;
    switch (message.kind) {
      case "done":
        this.#words.keep(message.word);
        return;
      case "failed":
        this.#words.fail(message.word, decodeError(message.error));
        return;
      case "starting":
        if (this.phase === "starting" || this.phase === "overdue") this.#boundStart(message.limitMs);
        return;
      case "replica-answer":
        this.#requests.receive(message);
    }
  }

  noteExit(how: string): void {
    const { id: replica, service } = this.#deps.order;
    const error = fail("replica_ended", { replica, how }, { service });
    this.#hasExited = true;
    this.#leaveSignal();
    this.#words.end(error);
    this.#requests.fail(error);
    if (!this.#isEnding) this.#tellEnd(how);
  }

  #callOff(): void {
    if (this.#isStarted || this.#hasExited) return;
    this.#isEnding = true;
    this.caller.callOff(this);
    // If other replicas live there too, the runtime goes on.
    if (this.caller.isOpen) this.#words.failAll(this.#calledOff());
  }

  #calledOff(): ServingError {
    const { service } = this.#deps.order;
    return fail("start_aborted", { service }, { service });
  }
}

/** Waits for words of another thread or process. Each wait settles once; after the end each new wait fails. */
class AwaitedWords<Word extends string> {
  readonly #open = new Map<Word, Deferred<void>>();
  #end: Error | undefined;

  /** Returns a promise that `keep`, `fail` or `end` settles. */
  expect(word: Word): Promise<void> {
    if (this.#end !== undefined) return Promise.reject(this.#end);
    const awaited = createDeferred<void>();
    // If the order can't be sent, no code awaits this promise.
    awaited.promise.catch(() => {});
    this.#open.set(word, awaited);
    return awaited.promise;
  }

  keep(word: Word): void {
    this.#take(word)?.resolve();
  }

  fail(word: Word, error: unknown): void {
    this.#take(word)?.reject(error);
  }

  /** Fails all open waits. */
  failAll(error: Error): void {
    for (const awaited of this.#open.values()) awaited.reject(error);
    this.#open.clear();
  }

  /** Fails all open and later waits: the other side is gone. */
  end(error: Error): void {
    this.#end = error;
    this.failAll(error);
  }

  #take(word: Word): Deferred<void> | undefined {
    const awaited = this.#open.get(word);
    this.#open.delete(word);
    return awaited;
  }
}
