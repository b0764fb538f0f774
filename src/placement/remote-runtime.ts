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

// The parent's view of a thread or process in which replicas live, one or several.
//
// S1  It is brought up once, by the first of its replicas that loads, and ends with the last one that is released.
// S2  When it ends unasked, each of its replicas hears of it, with one reason.
// S3  A replica that is released while others live here ends alone; what it does not end in time stays behind.
// S4  Nothing is sent to what has ended, nor anything but its end to what was told to end.
// S5  A start that is past its limit is no reason to end what others use. Whether the event loop is held up for too long is
//     told by the heartbeats of those that have started; where there are none, by the last start that passes its limit.

/** The thread or process itself. */
export interface Runner {
  readonly pid: number | undefined;
  /** Both ends are in one process, so they can share a port. */
  readonly sharesProcess: boolean;
  send(message: ToRuntime, handle?: unknown): void;
  onMessage(receive: (message: FromRuntime) => void): void;
  /** @param exited Called once. @see `how`: "ended with exit code 1", "was ended by SIGKILL". */
  onExit(exited: (how: string) => void): void;
  kill(): void;
}

/** A replica that lives in a site, as the site sees it. */
export interface RuntimeMember {
  /** `"Model#0"`. */
  readonly id: string;
  /** Where its start is: not ordered yet, within its limit, past it, or over, however it ended. */
  readonly phase: "new" | "starting" | "overdue" | "begun";
  /** How long its start, where that is under way, may hold up the event loop. */
  readonly holdsUpMs: number;
  receive(message: FromReplica): void;
  /** Its start, which is past its limit, has failed: the site is killed. */
  expire(): void;
  /** The thread or process has ended. */
  noteExit(how: string): void;
  /** Has the replica stop; resolves when it has, or after a limit. */
  stopAlone(): Promise<void>;
}

/** What a site needs of its surroundings. */
export interface RemoteRuntimeDeps {
  readonly residence: "thread" | "process";
  readonly order: RuntimeOrder;
  readonly clock: Clock;
  readonly log: Logger;
  /** Answers what a replica with an HTTP edge asks of the app. */
  readonly answer: <What extends keyof AppAnswers>(what: What) => Promise<AppAnswers[What]>;
  /** It has ended, however that came. @param pid Of a process of its own. */
  readonly onExit: (pid: number | undefined) => void;
}

const metricsLimitMs = 2_000;
/** A site's own end. */
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
  /** Those whose start was called off. */
  readonly #calledOff = new Set<RuntimeMember>();
  readonly #exited = createDeferred<void>();
  readonly #loaded = createDeferred<void>();
  #runner: Runner | undefined;
  #killReason: string | undefined;
  #hasExited = false;
  /** It was told to end, or has nothing to end. */
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

  /** Names it among those that live and have lived. */
  get life(): string {
    return this.#deps.order.life;
  }

  /** Of a thread it is that of this process. */
  get inspectorUrl(): string | undefined {
    return this.#runner?.sharesProcess === true ? inspectorUrl() : undefined;
  }

  /** Whether it shares this process, so that a port can lead there. */
  get sharesProcess(): boolean {
    return this.#runner?.sharesProcess === true;
  }

  /** Whether another replica may come to live here. */
  get isOpen(): boolean {
    return !this.#isClosed && !this.#hasExited;
  }

  /** Whether there is something to order about. */
  get isUp(): boolean {
    return this.#runner !== undefined && !this.#hasExited;
  }

  /** See `ReplicaHost`. */
  get heldUpMs(): number {
    return Math.max(0, ...[...this.#members.values()].map(({ holdsUpMs }) => holdsUpMs));
  }

  /** Whether more than one replica lives here. */
  get isShared(): boolean {
    return this.#members.size > 1;
  }

  has(id: string): boolean {
    return this.#members.has(id);
  }

  add(member: RuntimeMember): void {
    this.#members.set(member.id, member);
  }

  /** Brings it up and has it load the author's code, once. @throws What went wrong there. */
  load(): Promise<void> {
    if (this.#runner !== undefined) return this.#loaded.promise;
    const runner = this.#createRunner();
    this.#runner = runner;
    runner.onExit((how) => this.#noteExit(how));
    runner.onMessage((message) => this.#receive(message));
    this.send({ kind: "load", order: this.#deps.order });
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

  /** Ends it at once, with all its replicas. @param reason Why; default: as the system tells it. */
  kill(reason?: string): void {
    this.#killReason ??= reason;
    this.#runner?.kill();
  }

  /** The start of a replica is called off. Where that is all there is here, the site is killed: it may hang. */
  callOff(member: RuntimeMember): void {
    this.#calledOff.add(member);
    this.#killIfStuck();
  }

  /** The start of a replica is past its limit: the event loop does not turn. */
  noteOverdue(): void {
    this.#killIfStuck();
  }

  /** Stops a replica; the last one ends the site. */
  async release(member: RuntimeMember): Promise<void> {
    if (this.isUp && this.#members.size > 1 && !this.#isClosed) await member.stopAlone();
    if (this.#members.get(member.id) === member) this.#members.delete(member.id);
    this.#calledOff.delete(member);
    if (this.#members.size === 0) await this.#end();
    else this.#killIfStuck();
  }

  /** S5 */
  #killIfStuck(): void {
    const members = [...this.#members.values()].filter((member) => !this.#calledOff.has(member));
    const overdue = members.filter(({ phase }) => phase === "overdue");
    const isNobodyLeft = members.every(({ phase }) => phase === "overdue" || phase === "new");
    if (members.length > 0 && (overdue.length === 0 || !isNobodyLeft)) return;
    this.#isClosed = true;
    for (const member of overdue) member.expire();
    this.kill(overdue.length > 0 ? "was killed, since a start in it held the event loop for too long" : undefined);
  }

  async #end(): Promise<void> {
    this.#isClosed = true;
    if (!this.isUp) return;
    this.send({ kind: "end" });
    const { clock, log, order } = this.#deps;
    await within(clock, stopLimitMs, this.#exited.promise, () => {
      log.warn({ ...order.names, stopLimitMs }, "the replica did not end when it was told to, and was killed");
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
    this.#deps.onExit(this.pid);
    this.#requests.fail(new Error(`it ended: ${how}`));
    for (const member of [...this.#members.values()]) member.noteExit(this.#killReason ?? how);
    this.#exited.resolve();
  }
}
