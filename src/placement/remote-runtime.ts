import { type Clock, createDeferred, within } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import { decodeError } from "../transport/wire-error.js";
import {
  type AppAnswers,
  ControlRequests,
  type FromReplica,
  type FromRuntime,
  inspectorUrl,
  type LinkUpdate,
  type RuntimeAnswers,
  type RuntimeOrder,
  type ToRuntime,
} from "./control.js";
import type { Caller } from "./placement.js";

// The supervisor's view of a thread or process in which one or several replicas live.
//
// IR1  It is started once, by the first of its replicas that loads, and ends with the last one that is released.
// IR2  When it ends without an order, each of its replicas is told, with the same reason.
// IR3  A replica that is released while others live here ends alone. Work that it does not end in time is left behind.
// IR4  Nothing is sent to a runtime that has ended, and only `end` to one that is closed.
// IR5  A start that exceeds its limit does not end a process that others use. The heartbeats of replicas that have
//      started detect a blocked event loop. If none has started, the process is killed when the last start exceeds
//      its limit.

/** Thread or process itself. */
export interface Runner {
  readonly pid: number | undefined;
  /** True when both ends are in one process, so that they can share a port. */
  readonly sharesProcess: boolean;
  send(message: ToRuntime, handle?: unknown): void;
  onMessage(receive: (message: FromRuntime) => void): void;
  /** @param exited Called once, with a text such as "ended with exit code 1" or "was ended by SIGKILL". */
  onExit(exited: (how: string) => void): void;
  kill(): void;
}

/** One replica, as its runtime sees it. */
export interface RuntimeMember {
  /** `"Model#0"`. */
  readonly id: string;
  /** Phase of its start: not ordered yet, within its limit, past its limit, or ended in any way. */
  readonly phase: "new" | "starting" | "overdue" | "begun";
  /** Time for which its start may block the event loop; 0 while it does not start. */
  readonly holdsUpMs: number;
  receive(message: FromReplica): void;
  /** Fails its start, which exceeded its limit: the runtime is killed. */
  expire(): void;
  /** Called when the thread or process has ended. */
  noteExit(how: string): void;
  /** Stops the replica; resolves when it has stopped, or after a limit. */
  stopAlone(): Promise<void>;
}

/** Dependencies of a runtime. */
export interface RemoteRuntimeDeps {
  readonly residence: "thread" | "process";
  readonly order: RuntimeOrder;
  readonly clock: Clock;
  readonly log: Logger;
  /** Answers questions of a replica with an HTTP server about the app. */
  readonly answer: <What extends keyof AppAnswers>(what: What) => Promise<AppAnswers[What]>;
  /** Called when it has ended in any way. @param pid Process id; `undefined` for a thread. */
  readonly onExit: (pid: number | undefined) => void;
}

const metricsLimitMs = 2_000;
/** Limit for the end of a runtime. */
export const stopLimitMs = 12_000;

export class RemoteRuntime implements Caller {
  readonly residence: "thread" | "process";
  isSuperseded = false;
  /** See `ReplicaHost`. */
  isWarmingUp = false;
  readonly #deps: RemoteRuntimeDeps;
  readonly #createRunner: () => Runner;
  readonly #requests: ControlRequests<RuntimeAnswers>;
  readonly #members = new Map<string, RuntimeMember>();
  /** Members whose start was cancelled. */
  readonly #calledOff = new Set<RuntimeMember>();
  readonly #exited = createDeferred<void>();
  readonly #loaded = createDeferred<void>();
  #runner: Runner | undefined;
  #killReason: string | undefined;
  #hasExited = false;
  /** True once it was ordered to end, or has nothing to end. */
  #isClosed = false;

  constructor(createRunner: () => Runner, deps: RemoteRuntimeDeps) {
    this.residence = deps.residence;
    this.#deps = deps;
    this.#createRunner = createRunner;
    this.#requests = new ControlRequests(deps.clock, (number, what) => this.send({ kind: "ask", number, what }));
    this.#loaded.promise.catch(() => {});
  }

  get pid(): number | undefined {
    return this.#runner?.pid;
  }

  /** Id of this thread or process, also after its end. */
  get life(): string {
    return this.#deps.order.life;
  }

  /** Inspector of this process, for a thread: a breakpoint may hold both. */
  get inspectorUrl(): string | undefined {
    return this.#runner?.sharesProcess === true ? inspectorUrl() : undefined;
  }

  /** True when it is a thread of this process, so that a port can lead there. */
  get sharesProcess(): boolean {
    return this.#runner?.sharesProcess === true;
  }

  /** True while another replica may be placed here. */
  get isOpen(): boolean {
    return !this.#isClosed && !this.#hasExited;
  }

  /** True while the thread or process takes orders. */
  get isUp(): boolean {
    return this.#runner !== undefined && !this.#hasExited;
  }

  /** See `ReplicaHost`. */
  get isInspected(): boolean {
    return this.#deps.order.inspect !== undefined;
  }

  /** See `ReplicaHost`. */
  get heldUpMs(): number {
    return Math.max(0, ...[...this.#members.values()].map(({ holdsUpMs }) => holdsUpMs));
  }

  /** True when more than one replica lives here. */
  get isShared(): boolean {
    return this.#members.size > 1;
  }

  has(id: string): boolean {
    return this.#members.has(id);
  }

  add(member: RuntimeMember): void {
    this.#members.set(member.id, member);
  }

  /** Starts it and loads the author's code, once. @throws The error of the load. */
  load(): Promise<void> {
    if (this.#runner !== undefined) return this.#loaded.promise;
    const { log, clock, order } = this.#deps;
    const begun = clock.now();
    const runner = this.#createRunner();
    this.#runner = runner;
    log.debug({ ...order.names, child: runner.pid }, `${this.residence} started`);
    this.#loaded.promise.then(
      () => log.debug({ ...order.names, ms: Math.round(clock.now() - begun) }, "service files loaded"),
      () => {},
    );
    runner.onExit((how) => this.#noteExit(how));
    runner.onMessage((message) => this.#receive(message));
    this.send({ kind: "load", order });
    return this.#loaded.promise;
  }

  send(message: ToRuntime, handle?: unknown): void {
    if (!this.#hasExited) this.#runner?.send(message, handle);
  }

  notify(update: LinkUpdate): void {
    if (!this.#isClosed) this.send({ kind: "link", update });
  }

  /** Tells it that another thread or process of the app has ended. */
  noteEnded(life: string): void {
    this.send({ kind: "ended", life });
  }

  metrics(): Promise<readonly object[]> {
    return this.#requests.ask("metrics", metricsLimitMs);
  }

  /** Kills it, with all its replicas. @param reason Default: what the system reports. */
  kill(reason?: string): void {
    this.#killReason ??= reason;
    this.#runner?.kill();
  }

  /** Cancels the start of a replica. If no other replica is here, the runtime is killed: it may hang. */
  callOff(member: RuntimeMember): void {
    this.#calledOff.add(member);
    this.#killIfStuck();
  }

  /** Called when a start exceeded its limit: the event loop does not turn. */
  noteOverdue(): void {
    this.#killIfStuck();
  }

  /** Stops a replica. The last one ends the runtime. */
  async release(member: RuntimeMember): Promise<void> {
    if (this.isUp && this.#members.size > 1 && !this.#isClosed) await member.stopAlone();
    if (this.#members.get(member.id) === member) this.#members.delete(member.id);
    this.#calledOff.delete(member);
    if (this.#members.size === 0) await this.#end();
    else this.#killIfStuck();
  }

  /** Kills it when no replica here is usable (IR5). */
  #killIfStuck(): void {
    const members = [...this.#members.values()].filter((member) => !this.#calledOff.has(member));
    const overdue = members.filter(({ phase }) => phase === "overdue");
    const isNoneUsable = members.every(({ phase }) => phase === "overdue" || phase === "new");
    if (members.length > 0 && (overdue.length === 0 || !isNoneUsable)) return;
    this.#isClosed = true;
    for (const member of overdue) member.expire();
    this.kill(overdue.length > 0 ? "was killed: a start in it blocked the event loop for too long" : undefined);
  }

  async #end(): Promise<void> {
    this.#isClosed = true;
    if (!this.isUp) return;
    this.send({ kind: "end" });
    const { clock, log, order } = this.#deps;
    await within(clock, stopLimitMs, this.#exited.promise, () => {
      log.warn(
        { ...order.names, stopLimitMs },
        `the ${this.residence} did not end within ${stopLimitMs} ms and was killed`,
      );
    });
    this.#runner?.kill();
    await this.#exited.promise;
  }

  #receive(message: FromRuntime): void {
    switch (message.kind) {
      case "loaded":
        this.#loaded.resolve();
        return;
      case "load-failed":
        this.#loaded.reject(decodeError(message.error));
        return;
      case "answer":
        this.#requests.receive(message);
        return;
      case "ask":
        this.#answer(message.number, message.what);
        return;
      case "warming":
        this.isWarmingUp = message.isWarmingUp;
        return;
      case "log":
        this.#deps.log[message.level](message.fields, message.message);
        return;
      default:
        this.#members.get(message.replica)?.receive(message);
    }
  }

  #answer(number: number, what: keyof AppAnswers): void {
    this.#deps.answer(what).then(
      (value) => this.send({ kind: "answer", number, value }),
      (error: unknown) => this.send({ kind: "answer", number, error: String(error) }),
    );
  }

  #noteExit(how: string): void {
    this.#hasExited = true;
    this.#deps.log.debug({ ...this.#deps.order.names, child: this.pid, how }, `${this.residence} ended`);
    this.#deps.onExit(this.pid);
    this.#requests.fail(new Error(`it ended: ${how}`));
    for (const member of [...this.#members.values()]) member.noteExit(this.#killReason ?? how);
    this.#exited.resolve();
  }
}
