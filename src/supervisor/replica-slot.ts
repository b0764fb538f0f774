import type { Timer } from "../base/clock.js";
import { fail } from "../failure/failures.js";
import { messageOf, toServingError } from "../failure/to-serving-error.js";
import type { DeploymentPlan } from "../graph/plan.js";
import type { Pulse, ReplicaHost } from "../placement/placement.js";
import { Heartbeat } from "./heartbeat.js";
import { ReplicaRun, type SlotDeps } from "./replica-run.js";
import { formatState, isOver, moveTo, type ReplicaState } from "./replica-state.js";
import { emptyHistory, nextRestart } from "./restart-policy.js";

// One place of a deployment, filled by one replica after another.
//
// P1  A replica is on the board only while it is ready.
// P2  A replica that ends unasked is followed by another as the restart policy says, for ever; nothing else of the app is
//     touched.
// P3  After `stop` nothing is started any more; when it has resolved nothing of the place is left, no timer either.
// P4  One that holds too much memory is drained only when another is ready in its place. Should it end before that, the
//     other is its successor: two are never started for one place.

/** Why a place counts as down. */
export interface DownReason {
  /** Of the end of its last life. */
  readonly reason: string;
  /** Lives in a row that were not healthy. */
  readonly attempts: number;
  /** From that end to the next start. */
  readonly delayMs: number;
}

export class ReplicaSlot {
  readonly id: string;
  readonly index: number;
  readonly #plan: DeploymentPlan;
  /** In every line of the log. */
  readonly #names: { readonly service: string; readonly replica: string };
  readonly #deps: SlotDeps;
  readonly #abort = new AbortController();
  readonly #onMoved: () => void;
  #state: ReplicaState = { kind: "new" };
  /** The replica in the place. */
  #run: ReplicaRun | undefined;
  /** All that have started and not ended: the one in the place, and one that makes room for it. */
  readonly #lives = new Set<ReplicaRun>();
  /** Starts and retirements under way; none of these promises rejects. */
  readonly #work = new Set<Promise<unknown>>();
  #replacement: Promise<ReplicaRun> | undefined;
  /** The memory of the replica is nobody's business before that. */
  #nextReplacementAt = Number.NEGATIVE_INFINITY;
  #history = emptyHistory;
  #down: DownReason | undefined;
  #restarts = 0;
  #timer: Timer | undefined;
  #heartbeat: Heartbeat | undefined;
  #pulse: Pulse | undefined;
  #draining: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #waiters: (() => void)[] = [];

  /** @param onMoved Called after each change of its state. */
  constructor(plan: DeploymentPlan, index: number, deps: SlotDeps, onMoved: () => void) {
    this.#plan = plan;
    this.index = index;
    this.id = `${plan.descriptor.name}#${index}`;
    this.#names = { service: plan.descriptor.name, replica: this.id };
    this.#deps = deps;
    this.#onMoved = onMoved;
  }

  get state(): ReplicaState {
    return this.#state;
  }

  /** Set from the life after which the place counts as down until a replica is ready in it again. */
  get down(): DownReason | undefined {
    return this.#down;
  }

  /** How often a replica was started again. */
  get restarts(): number {
    return this.#restarts;
  }

  get host(): ReplicaHost | undefined {
    return this.#run?.host;
  }

  /** Calls in flight when it last said so. */
  get inFlight(): number {
    return this.#pulse?.inFlight ?? 0;
  }

  /** Why it can't call what it depends on, when it last said so. */
  get obstacles(): readonly string[] {
    return this.#pulse?.obstacles ?? [];
  }

  /** Which of its apis answer less than is asked of them: now, or when it last said so. */
  get strains(): readonly string[] {
    return this.#run?.host.readStrains?.() ?? this.#pulse?.strains ?? [];
  }

  /** Tasks of its service that wait for a replica, where it is the one that counts them. */
  get waitingTasks(): number {
    return this.#pulse?.waitingTasks ?? 0;
  }

  /**
   * The first life: its failure is thrown, not retried.
   *
   * @param calleesStarted What it calls; the author's code is loaded meanwhile.
   */
  async start(calleesStarted: Promise<unknown>): Promise<void> {
    const { clock, onEvent } = this.#deps;
    const service = this.#plan.descriptor.name;
    const begun = clock.now();
    this.#move({ kind: "starting" });
    let calleeFailure: unknown;
    calleesStarted.catch((error: unknown) => {
      calleeFailure = error;
    });
    try {
      this.#becomeReady(
        await this.#begin(calleesStarted, () => onEvent({ kind: "starting", service, replica: this.id })),
      );
      onEvent({ kind: "started", service, replica: this.id, ms: Math.round(clock.now() - begun) });
    } catch (thrown) {
      if (isOver(this.#state)) throw this.#calledOff();
      const error = toServingError(thrown, service, "");
      const hook = (error.details["hook"] as string | undefined) ?? "start";
      const isOwnFault = thrown !== calleeFailure;
      if (isOwnFault)
        onEvent({ kind: "failed", service, replica: this.id, hook, error, ms: Math.round(clock.now() - begun) });
      throw error;
    }
  }

  /** Whether it may receive calls now. */
  async isReady(): Promise<boolean> {
    return this.#state.kind === "ready" && (await this.#run?.host.isReady()) === true;
  }

  /** Resolves when the place is filled again, counts as down, or never will be filled. */
  async whenSettled(): Promise<void> {
    if (this.#state.kind === "ready" || this.#down !== undefined || isOver(this.#state)) return;
    await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }

  /** Ends the replica as a crash would; the place is filled again. It gets no call from here on: those that come wait for the next. */
  kill(): void {
    this.#run?.kill();
  }

  /** Ends a start or a wait for one; a replica that runs is left alone. */
  callOff(): void {
    if (this.#run !== undefined || isOver(this.#state)) return;
    this.#move({ kind: "draining" });
    this.#halt();
  }

  /** Takes no new call; resolves when the last one has ended. Repeated calls share one drain. */
  drain(): Promise<void> {
    this.#draining ??= this.#drain();
    return this.#draining;
  }

  /** Repeated calls share one stop. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #drain(): Promise<void> {
    if (!isOver(this.#state)) this.#move({ kind: "draining" });
    this.#halt();
    this.#run?.withdraw();
    await Promise.all([this.#run?.host.drain(), ...this.#work]);
  }

  async #stop(): Promise<void> {
    this.#move({ kind: "stopped" });
    this.#halt();
    this.#run = undefined;
    await Promise.all([...this.#lives].map((run) => run.stop()));
    await Promise.all(this.#work);
  }

  /** Nothing is begun from here on. */
  #halt(): void {
    this.#abort.abort();
    this.#timer?.clear();
    this.#heartbeat?.stop();
    this.#settle();
  }

  #begin(calleesStarted: Promise<unknown> = Promise.resolve(), onStart = () => {}): Promise<ReplicaRun> {
    const begin = async () => {
      const run = new ReplicaRun(this.#plan, this.index, this.#deps);
      await run.start({ signal: this.#abort.signal, calleesStarted, onStart });
      if (isOver(this.#state)) {
        await run.stop();
        throw this.#calledOff();
      }
      this.#lives.add(run);
      return run;
    };
    return this.#note(begin());
  }

  #becomeReady(run: ReplicaRun): void {
    if (isOver(this.#state)) throw this.#calledOff();
    const { clock } = this.#deps;
    this.#run = run;
    this.#pulse = undefined;
    this.#down = undefined;
    this.#move({ kind: "ready", since: clock.now() });
    run.announce();
    void run.host.ended.then((how) => this.#end(run, how));
    this.#heartbeat?.stop();
    this.#heartbeat = new Heartbeat(run.host, {
      settings: this.#plan.settings.liveness,
      clock,
      onPulse: (pulse) => this.#read(run, pulse),
      onSilent: () => this.#takeOut(run),
      onStuck: (ms, limit) => this.#replaceStuck(run, ms, limit),
    });
    this.#heartbeat.start();
    this.#settle();
  }

  #read(run: ReplicaRun, pulse: Pulse): void {
    this.#pulse = pulse;
    this.#deps.calls.note(run.host.caller, pulse.callsInFlight ?? {});
    if (this.#state.kind === "out") {
      this.#move({ kind: "ready", since: this.#state.since });
      this.#deps.log.info({ ...this.#names }, "the replica answers again and gets calls");
      run.announce();
    }
    const { memoryBytes, caller } = run.host;
    const { residentBytes } = pulse;
    if (residentBytes > memoryBytes) {
      const text = "the replica holds more memory than it may; another takes its place";
      void this.#replace(run, { residentBytes, memoryBytes }, text);
    } else if (caller.isSuperseded === true) {
      void this.#replace(run, {}, "the process that the replica shares is replaced; another takes its place");
    }
  }

  #takeOut(run: ReplicaRun): void {
    if (this.#state.kind !== "ready") return;
    this.#move({ kind: "out", since: this.#state.since });
    const { suspendAfterMs } = this.#plan.settings.liveness;
    this.#deps.log.warn({ ...this.#names, suspendAfterMs }, "the replica does not answer and gets no new calls");
    run.withdraw();
  }

  #replaceStuck(run: ReplicaRun, silentMs: number, limit: string): void {
    const url = this.#pulse?.inspectorUrl;
    if (url !== undefined) {
      const fields = { ...this.#names, silentMs, inspector: url };
      const text = `${this.id} does not answer for ${silentMs} ms (${limit}); a debugger may hold it (${url}), so it is left alone`;
      this.#deps.log.warn(fields, text);
      return;
    }
    run.kill(`did not answer for ${silentMs} ms (${limit}) and was killed`);
  }

  /** @param why One line for the log, with its fields. */
  async #replace(old: ReplicaRun, figures: object, why: string): Promise<void> {
    const { log, clock } = this.#deps;
    if (clock.now() < this.#nextReplacementAt) return;
    this.#nextReplacementAt = Number.POSITIVE_INFINITY;
    const { restart } = this.#plan.settings;
    const fields = { ...this.#names, ...figures };
    log.warn(fields, why);
    this.#replacement = this.#begin();
    try {
      const run = await this.#replacement.finally(() => {
        this.#replacement = undefined;
      });
      // Where the old one has ended by itself, its restart has taken the new one over.
      if (this.#run === old) {
        this.#becomeReady(run);
        log.info({ ...this.#names }, `${this.id} was replaced; the old one answers what it has, and ends`);
        await this.#note(this.#retire(old));
      }
    } catch (error) {
      if (this.#run === old && !isOver(this.#state)) {
        log.error({ ...fields, err: error }, "no other replica could be started; this one goes on");
      }
    }
    this.#nextReplacementAt = clock.now() + restart.maxBackoffMs;
  }

  async #retire(run: ReplicaRun): Promise<void> {
    await run.host.drain();
    await run.stop();
    this.#lives.delete(run);
  }

  #end(run: ReplicaRun, how: string): void {
    this.#lives.delete(run);
    run.leave();
    if (this.#run !== run) return;
    this.#run = undefined;
    this.#pulse = undefined;
    this.#heartbeat?.stop();
    if (isOver(this.#state)) return;
    const readyForMs = "since" in this.#state ? Math.round(this.#deps.clock.now() - this.#state.since) : undefined;
    this.#restartAfter(how, readyForMs);
  }

  /** @param err What the start of the last life threw, where it came no further. */
  #restartAfter(reason: string, readyForMs: number | undefined, err?: unknown): void {
    const { log, clock } = this.#deps;
    const run = { readyForMs, random: this.#deps.random() };
    const { history, isDown, ...next } = nextRestart(this.#plan.settings.restart, this.#history, run);
    const { service, replica } = this.#names;
    const hasReplacement = this.#replacement !== undefined;
    const delayMs = hasReplacement ? 0 : next.delayMs;
    this.#history = history;
    if (isDown && !hasReplacement) {
      const attempts = history.shortLives;
      this.#down = { reason, attempts, delayMs };
      this.#move({ kind: "down", reason, attempts, delayMs });
      const text = `${replica} ${reason}; it is down after ${attempts} short lives in a row (restart.giveUpAfter) and is started again after ${delayMs} ms (restart.slowBackoffMs)`;
      log.error({ service, replica, attempts, delayMs, readyForMs, reason, err }, text);
      this.#settle();
    } else {
      this.#move({ kind: "waiting", reason, delayMs });
      log.warn({ service, replica, delayMs, readyForMs, err }, `${replica} ${reason}; it is started again`);
    }
    if (delayMs === 0) void this.#restart();
    else this.#timer = clock.setTimer(() => void this.#restart(), delayMs, true);
  }

  async #restart(): Promise<void> {
    const { clock, log } = this.#deps;
    this.#restarts++;
    this.#move({ kind: "starting" });
    const begun = clock.now();
    try {
      this.#becomeReady(await (this.#replacement ?? this.#begin()));
      log.info({ ...this.#names, ms: Math.round(clock.now() - begun) }, `${this.id} is back`);
    } catch (error) {
      if (!isOver(this.#state)) this.#restartAfter(messageOf(error), undefined, error);
    }
  }

  #move(state: ReplicaState): void {
    this.#state = moveTo(this.#state, state);
    this.#onMoved();
  }

  #settle(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resolve of waiters) resolve();
  }

  /** Keeps in mind what `drain` and `stop` must wait for. */
  #note<T>(work: Promise<T>): Promise<T> {
    const done: Promise<unknown> = work.catch(() => {}).then(() => this.#work.delete(done));
    this.#work.add(done);
    return work;
  }

  #calledOff(): Error {
    const service = this.#plan.descriptor.name;
    return fail("start_aborted", { service }, { service });
  }

  /** What stands in its way, in words. */
  describe(): string {
    const since = this.#state.kind === "starting" && this.#down !== undefined ? `, was down: ${this.#down.reason}` : "";
    return `${this.id} ${formatState(this.#state)}${since}`;
  }
}
