import type { Clock, Timer } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import type { ServingError } from "../failure/serving-error.js";
import { toServingError } from "../failure/to-serving-error.js";
import type { DeploymentPlan } from "../graph/plan.js";
import type { LinkNotice } from "../placement/control.js";
import type { CallerResidence, Pulse, ReplicaHost } from "../placement/placement.js";
import { Heartbeat } from "./heartbeat.js";
import type { LinkBoard, LinkSubscriber } from "./link-board.js";
import type { OnProgress } from "./progress.js";
import { describeState, isOver, moveTo, type ReplicaState } from "./replica-state.js";
import { emptyHistory, nextRestart } from "./restart-policy.js";

// One place of a deployment, filled by one replica after another.
//
// P1  A replica is on the board only while it is ready.
// P2  A replica that ends unasked is followed by another as the restart policy says; nothing else of the app is touched.
// P3  After `stop` nothing is started any more.
// P4  One that holds too much memory is drained only when another is ready in its place.

/** What a place needs of its surroundings. */
export interface SeatParts {
  readonly createHost: (plan: DeploymentPlan, index: number) => ReplicaHost;
  readonly board: LinkBoard;
  readonly clock: Clock;
  readonly log: Logger;
  readonly onProgress: OnProgress;
  /** The last step of a start: the edge of an entry replica begins to listen. */
  readonly finishStart?: (host: ReplicaHost, service: string) => Promise<void>;
}

/** A host and its subscription to the links of what it calls. */
interface Life {
  readonly host: ReplicaHost;
  readonly subscriber: LinkSubscriber;
}

export class ReplicaSeat {
  readonly id: string;
  readonly index: number;
  readonly #plan: DeploymentPlan;
  readonly #parts: SeatParts;
  readonly #abort = new AbortController();
  readonly #onFailed: () => void;
  #state: ReplicaState = { kind: "new" };
  #life: Life | undefined;
  #history = emptyHistory;
  #timer: Timer | undefined;
  #heartbeat: Heartbeat | undefined;
  #pulse: Pulse | undefined;
  #isReplacing = false;
  #endReason: string | undefined;
  #waiters: (() => void)[] = [];

  /** @param onFailed Called when this place is given up. */
  constructor(plan: DeploymentPlan, index: number, parts: SeatParts, onFailed: () => void) {
    this.#plan = plan;
    this.index = index;
    this.id = `${plan.descriptor.name}#${index}`;
    this.#parts = parts;
    this.#onFailed = onFailed;
  }

  get state(): ReplicaState {
    return this.#state;
  }

  get host(): ReplicaHost | undefined {
    return this.#life?.host;
  }

  /** Calls in flight when it last said so. */
  get inFlight(): number {
    return this.#pulse?.inFlight ?? 0;
  }

  /**
   * The first life: its failure is thrown, not retried.
   *
   * @param calleesStarted What it calls; the author's code is loaded meanwhile.
   */
  async start(calleesStarted: Promise<unknown>): Promise<void> {
    const { clock, onProgress } = this.#parts;
    const service = this.#plan.descriptor.name;
    const begun = clock.now();
    this.#move({ kind: "starting" });
    let calleeFailure: unknown;
    calleesStarted.catch((error: unknown) => {
      calleeFailure = error;
    });
    try {
      const life = await this.#begin(calleesStarted, () => onProgress({ kind: "starting", service, replica: this.id }));
      this.#becomeReady(life);
      onProgress({ kind: "started", service, replica: this.id, ms: clock.now() - begun });
    } catch (thrown) {
      const error = toServingError(thrown, service, "");
      const hook = (error.details["hook"] as string | undefined) ?? "start";
      const isOwnFault = thrown !== calleeFailure && error.id !== "start_aborted";
      if (isOwnFault) onProgress({ kind: "failed", service, replica: this.id, hook, error, ms: clock.now() - begun });
      throw error;
    }
  }

  /** Whether it may receive calls now. */
  async isReady(): Promise<boolean> {
    return this.#state.kind === "ready" && (await this.#life?.host.isReady()) === true;
  }

  /** Resolves when the place is filled again, or given up. */
  async whenSettled(): Promise<void> {
    if (this.#state.kind === "ready" || this.#state.kind === "failed") return;
    await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }

  /** Ends the replica as a crash would; the place is filled again. */
  kill(): void {
    this.#life?.host.kill();
  }

  async drain(): Promise<void> {
    if (isOver(this.#state)) return;
    this.#move({ kind: "draining" });
    this.#halt();
    const life = this.#life;
    if (life === undefined) return;
    this.#parts.board.withdraw(this.#plan.descriptor.name, life.host);
    await life.host.drain();
  }

  async stop(): Promise<void> {
    if (this.#state.kind === "stopped") return;
    this.#move({ kind: "stopped" });
    this.#halt();
    const life = this.#life;
    this.#life = undefined;
    if (life === undefined) return;
    this.#parts.board.withdraw(this.#plan.descriptor.name, life.host);
    this.#parts.board.unsubscribe(life.subscriber);
    await life.host.stop();
  }

  /** Nothing is begun from here on. */
  #halt(): void {
    this.#abort.abort();
    this.#timer?.clear();
    this.#heartbeat?.stop();
    this.#settle();
  }

  async #begin(calleesStarted: Promise<unknown>, onStart: () => void): Promise<Life> {
    const { createHost, board, finishStart } = this.#parts;
    const { residence, remoteCallees } = this.#plan;
    const host = createHost(this.#plan, this.index);
    const subscriber: LinkSubscriber = {
      residence: residence as CallerResidence,
      services: new Set(residence === "root" ? [] : remoteCallees),
      notify: (notice) => host.notify(notice as LinkNotice),
    };
    try {
      await Promise.all([host.load(this.#abort.signal), calleesStarted]);
      onStart();
      await host.start(board.subscribe(subscriber) as LinkNotice[], this.#abort.signal);
      await finishStart?.(host, this.#plan.descriptor.name);
      return { host, subscriber };
    } catch (error) {
      board.unsubscribe(subscriber);
      await host.stop();
      throw error;
    }
  }

  #becomeReady(life: Life): void {
    const { board, clock } = this.#parts;
    const { host } = life;
    const service = this.#plan.descriptor.name;
    if (isOver(this.#state)) {
      board.unsubscribe(life.subscriber);
      void host.stop();
      return;
    }
    this.#life = life;
    if (this.#state.kind !== "ready") this.#move({ kind: "ready", since: clock.now() });
    board.announce(service, host);
    void host.ended.then((how) => this.#end(life, how));
    this.#heartbeat?.stop();
    this.#heartbeat = new Heartbeat(host, {
      settings: this.#plan.settings.liveness,
      clock,
      onPulse: (pulse) => this.#read(life, pulse),
      onSilent: () => this.#takeOut(life),
      onStuck: (ms) => this.#replaceStuck(life, ms),
    });
    this.#heartbeat.start();
    this.#settle();
  }

  #read(life: Life, pulse: Pulse): void {
    this.#pulse = pulse;
    if (this.#state.kind === "out") {
      this.#move({ kind: "ready", since: this.#state.since });
      this.#parts.log.info({ replica: this.id }, "the replica answers again and gets calls");
      this.#parts.board.announce(this.#plan.descriptor.name, life.host);
    }
    const { memoryBytes } = this.#plan.settings.resources;
    if (this.#plan.residence === "process" && pulse.residentBytes > memoryBytes) {
      void this.#replaceLarge(life, pulse.residentBytes, memoryBytes);
    }
  }

  #takeOut({ host }: Life): void {
    if (this.#state.kind !== "ready") return;
    this.#move({ kind: "out", since: this.#state.since });
    const { outAfterMs } = this.#plan.settings.liveness;
    this.#parts.log.warn({ replica: this.id, outAfterMs }, "the replica does not answer and gets no new calls");
    this.#parts.board.withdraw(this.#plan.descriptor.name, host);
  }

  #replaceStuck({ host }: Life, silentMs: number): void {
    this.#endReason = `did not answer for ${silentMs} ms and was killed`;
    host.kill();
  }

  async #replaceLarge(old: Life, residentBytes: number, memoryBytes: number): Promise<void> {
    if (this.#isReplacing || this.#life !== old) return;
    this.#isReplacing = true;
    const { log, board } = this.#parts;
    const fields = { replica: this.id, residentBytes, memoryBytes };
    log.warn(fields, "the replica holds more memory than it may; another takes its place");
    try {
      const life = await this.#begin(Promise.resolve(), () => {});
      this.#life = undefined;
      this.#becomeReady(life);
      await old.host.drain();
      board.unsubscribe(old.subscriber);
      await old.host.stop();
      this.#isReplacing = false;
    } catch (error) {
      log.error({ ...fields, err: error }, "no other replica could be started; this one goes on");
      const { maxBackoffMs } = this.#plan.settings.restart;
      this.#timer = this.#parts.clock.setTimer(() => {
        this.#isReplacing = false;
      }, maxBackoffMs);
    }
  }

  #end(life: Life, how: string): void {
    this.#parts.board.unsubscribe(life.subscriber);
    if (this.#life !== life) return;
    const { board, clock } = this.#parts;
    this.#life = undefined;
    this.#pulse = undefined;
    this.#heartbeat?.stop();
    board.withdraw(this.#plan.descriptor.name, life.host);
    if (isOver(this.#state)) return;
    const readyForMs = "since" in this.#state ? clock.now() - this.#state.since : undefined;
    const reason = this.#endReason ?? how;
    this.#endReason = undefined;
    this.#restartAfter(reason, readyForMs);
  }

  #restartAfter(reason: string, readyForMs: number | undefined): void {
    const { log, clock } = this.#parts;
    const next = nextRestart(this.#plan.settings.restart, this.#history, { readyForMs });
    const replica = this.id;
    if (next.kind === "give-up") {
      const { attempts } = next;
      this.#move({ kind: "failed", reason, attempts });
      log.error({ replica, attempts, reason }, `${replica} ${reason}; it is given up and not started again`);
      this.#settle();
      this.#onFailed();
      return;
    }
    const { delayMs } = next;
    this.#history = next.history;
    this.#move({ kind: "waiting", reason, delayMs });
    log.warn({ replica, delayMs, readyForMs }, `${replica} ${reason}; it is started again`);
    if (delayMs === 0) this.#restart();
    else this.#timer = clock.setTimer(() => this.#restart(), delayMs, true);
  }

  #restart(): void {
    this.#move({ kind: "starting" });
    const begun = this.#parts.clock.now();
    this.#begin(Promise.resolve(), () => {}).then(
      (life) => {
        this.#parts.log.info({ replica: this.id, ms: this.#parts.clock.now() - begun }, `${this.id} is back`);
        this.#becomeReady(life);
      },
      (error: ServingError) => {
        if (!isOver(this.#state)) this.#restartAfter(error.message, undefined);
      },
    );
  }

  #move(state: ReplicaState): void {
    this.#state = moveTo(this.#state, state);
  }

  #settle(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resolve of waiters) resolve();
  }

  /** What stands in its way, in words. */
  describe(): string {
    return `${this.id} ${describeState(this.#state)}`;
  }
}
