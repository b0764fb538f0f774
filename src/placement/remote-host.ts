import { MessageChannel } from "node:worker_threads";
import type { Clock } from "../base/clock.js";
import { createDeferred } from "../base/deferred.js";
import { inspectorUrl } from "../base/inspector-url.js";
import type { Logger } from "../base/logger.js";
import { within } from "../base/within.js";
import { fail } from "../failure/fail.js";
import type { ServingError } from "../failure/serving-error.js";
import { decodeError } from "../transport/wire-error.js";
import { Asker } from "./asker.js";
import type { AppAnswers, ControlAnswers, FromReplica, LinkNotice, ReplicaOrder, ToReplica } from "./control.js";
import type { CallerResidence, Offer, Pulse, ReplicaHost } from "./placement.js";

// The parent's view of a replica in another thread or process.
//
// H1  Whatever is awaited of the other side also ends when that side ends, or has ended before.
// H2  `ended` resolves only for an end nobody asked for.

/** The thread or process a replica runs in. */
export interface Runner {
  readonly pid: number | undefined;
  /** Both ends are in one process, so they can share a port. */
  readonly sharesProcess: boolean;
  send(message: ToReplica, handle?: unknown): void;
  onMessage(receive: (message: FromReplica) => void): void;
  /** @param exited Called once. @see `how`: "ended with exit code 1", "was ended by SIGKILL". */
  onExit(exited: (how: string) => void): void;
  kill(): void;
}

/** What a host needs of its surroundings. */
export interface RemoteHostParts {
  readonly order: ReplicaOrder;
  readonly startTimeoutMs: number;
  readonly drainTimeoutMs: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** Answers what a replica with an HTTP edge asks of the app. */
  readonly answer: <What extends keyof AppAnswers>(what: What) => Promise<AppAnswers[What]>;
  /** Its thread or process has ended, however that came. @param pid Of a process of its own. */
  readonly onExit: (pid: number | undefined) => void;
}

/** How long the author's `ready()` may take, its way included: less than whoever asks for the whole app waits. */
const readyLimitMs = 2_500;
const metricsLimitMs = 2_000;
/** A replica's own end. */
const stopLimitMs = 12_000;
/** What a message there and back may take beside what it asks for. */
const answerLimitMs = 1_000;
/** How long a start may block the event loop beyond its limit, so that the replica can't say that it is over. */
const blockedLimitMs = 5_000;
/** Bringing up a thread or a process and loading the author's files. */
const loadLimitMs = 120_000;

export class RemoteHost implements ReplicaHost {
  readonly id: string;
  readonly ended: Promise<string>;
  readonly #parts: RemoteHostParts;
  readonly #createRunner: () => Runner;
  readonly #asker: Asker<ControlAnswers>;
  readonly #exited = createDeferred<string>();
  readonly #awaited = new Map<FromReplica["kind"], ReturnType<typeof createDeferred<void>>>();
  #runner: Runner | undefined;
  /** What is awaited of it from now on fails with this. */
  #exit: ServingError | undefined;
  #isStarted = false;
  #isEnding = false;

  constructor(createRunner: () => Runner, parts: RemoteHostParts) {
    this.id = parts.order.id;
    this.#parts = parts;
    this.#createRunner = createRunner;
    this.#asker = new Asker(parts.clock, (number, what) => this.#send({ kind: "ask", number, what }));
    this.ended = new Promise((resolve) => {
      this.#exited.promise.then((how) => {
        if (!this.#isEnding) resolve(how);
      });
    });
  }

  get pid(): number | undefined {
    return this.#runner?.pid;
  }

  async load(signal: AbortSignal): Promise<void> {
    if (signal.aborted) throw fail("start_aborted", { service: this.#parts.order.service });
    const runner = this.#createRunner();
    this.#runner = runner;
    const abortStart = () => this.#abortStart();
    signal.addEventListener("abort", abortStart, { once: true });
    runner.onExit((how) => {
      signal.removeEventListener("abort", abortStart);
      this.#noteExit(how);
    });
    runner.onMessage((message) => this.#receive(message));
    const { service } = this.#parts.order;
    const loaded = this.#await("loaded");
    this.#send({ kind: "load", order: this.#parts.order });
    await this.#limit(loaded, loadLimitMs, () =>
      fail("load_timeout", { step: "loading the author's files", limitMs: loadLimitMs }, { service }),
    );
  }

  async start(links: readonly LinkNotice[], signal: AbortSignal): Promise<void> {
    if (signal.aborted) throw fail("start_aborted", { service: this.#parts.order.service });
    const started = this.#await("started");
    this.#send({ kind: "start", links });
    const { startTimeoutMs, order } = this.#parts;
    // The replica bounds its own start; this bound is for one that can't even say so.
    await this.#limit(started, startTimeoutMs + blockedLimitMs, () =>
      fail("start_timeout", { startTimeoutMs, blockedMs: blockedLimitMs }, { service: order.service }),
    );
    this.#isStarted = true;
  }

  offerTo(caller: CallerResidence): Offer {
    const { address } = this.#parts.order;
    if (this.#runner?.sharesProcess !== true || caller === "process") return { kind: "address", address };
    const { port1, port2 } = new MessageChannel();
    this.#send({ kind: "accept", port: port2 });
    return { kind: "port", port: port1 };
  }

  notify(notice: LinkNotice): void {
    this.#send({ kind: "link", notice });
  }

  /** Tells it that another thread or process of the app has ended. */
  noteEnded(life: string): void {
    this.#send({ kind: "ended", life });
  }

  /** Has it answer HTTP on a socket that listens. @throws {ServingError} `port_in_use`. */
  async listen(handle: unknown): Promise<void> {
    const listening = this.#await("listening");
    this.#send({ kind: "listen" }, handle);
    const { service } = this.#parts.order;
    await this.#limit(listening, loadLimitMs, () =>
      fail("load_timeout", { step: "opening the HTTP server", limitMs: loadLimitMs }, { service }),
    );
  }

  async isReady(): Promise<boolean> {
    try {
      return await this.#asker.ask("ready", readyLimitMs);
    } catch {
      return false;
    }
  }

  async pulse(limitMs: number): Promise<Pulse> {
    const pulse = await this.#asker.ask("pulse", limitMs);
    // Of a thread it is that of this process.
    const url = this.#runner?.sharesProcess === true ? inspectorUrl() : undefined;
    return url === undefined ? pulse : { ...pulse, inspectorUrl: url };
  }

  metrics(): Promise<readonly object[]> {
    return this.#asker.ask("metrics", metricsLimitMs);
  }

  async drain(): Promise<void> {
    this.#isEnding = true;
    if (this.#exit !== undefined || this.#runner === undefined) return;
    const drained = this.#await("drained");
    this.#send({ kind: "drain", limitMs: this.#parts.drainTimeoutMs });
    const { clock, drainTimeoutMs } = this.#parts;
    // The replica bounds its drain itself; one that is stuck can't.
    await within(clock, drainTimeoutMs + answerLimitMs, drained, () => {}).catch(() => {});
  }

  async stop(): Promise<void> {
    this.#isEnding = true;
    if (this.#exit !== undefined || this.#runner === undefined) return;
    this.#send({ kind: "stop" });
    await within(this.#parts.clock, stopLimitMs, this.#exited.promise, () => {
      this.#parts.log.warn(
        { replica: this.id, stopLimitMs },
        "the replica did not end when it was told to, and was killed",
      );
      return "";
    });
    this.#runner.kill();
    await this.#exited.promise;
  }

  kill(): void {
    this.#runner?.kill();
  }

  #abortStart(): void {
    if (this.#isStarted) return;
    this.#isEnding = true;
    this.#runner?.kill();
  }

  #send(message: ToReplica, handle?: unknown): void {
    if (this.#exit === undefined) this.#runner?.send(message, handle);
  }

  #await(kind: FromReplica["kind"]): Promise<void> {
    if (this.#exit !== undefined) return Promise.reject(this.#exit);
    const awaited = createDeferred<void>();
    // Should the message that asks for it fail, nobody awaits this.
    awaited.promise.catch(() => {});
    this.#awaited.set(kind, awaited);
    return awaited.promise;
  }

  #limit(step: Promise<void>, limitMs: number, createFailure: () => ServingError): Promise<void> {
    return within(this.#parts.clock, limitMs, step, () => {
      this.kill();
      throw createFailure();
    });
  }

  #receive(message: FromReplica): void {
    switch (message.kind) {
      case "failed":
        this.#failAwaited(decodeError(message.error));
        return;
      case "answer":
        this.#asker.receive(message);
        return;
      case "ask":
        this.#answer(message.number, message.what);
        return;
      case "log":
        this.#parts.log[message.level](message.fields, message.message);
        return;
      default:
        this.#awaited.get(message.kind)?.resolve();
        this.#awaited.delete(message.kind);
    }
  }

  #answer(number: number, what: keyof AppAnswers): void {
    this.#parts.answer(what).then(
      (value) => this.#send({ kind: "answer", number, value }),
      (error: unknown) => this.#send({ kind: "answer", number, error: String(error) }),
    );
  }

  #noteExit(how: string): void {
    const { id: replica, service } = this.#parts.order;
    const error = fail("replica_ended", { replica, how }, { service });
    this.#exit = error;
    this.#parts.onExit(this.pid);
    this.#failAwaited(error);
    this.#asker.fail(error);
    this.#exited.resolve(how);
  }

  #failAwaited(error: ServingError): void {
    for (const awaited of this.#awaited.values()) awaited.reject(error);
    this.#awaited.clear();
  }
}
