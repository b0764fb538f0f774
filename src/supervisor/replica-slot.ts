import type { Timer } from "../base/clock.js";
import { fail } from "../failure/failures.js";
import { messageOf, toServingError } from "../failure/to-serving-error.js";
import type { DeploymentPlan } from "../graph/plan.js";
import type { ServiceReadiness } from "../observe/readiness.js";
import type { Pulse, ReplicaHost } from "../placement/placement.js";
import { Heartbeat } from "./heartbeat.js";
import { ReplicaRun, type SlotDeps } from "./replica-run.js";
import { type EndReason, formatState, isOver, moveTo, noEnds, type ReplicaState } from "./replica-state.js";
import { emptyHistory, nextRestart } from "./restart-policy.js";

// One slot of a deployment. Replica runs fill it one after another.
//
// JS1  A replica is in the registry only while it is ready.
// JS2  When a replica ends unexpectedly, the next one starts as the restart policy says, without end. Nothing else of
//      the app changes.
// JS3  After `stop` nothing starts any more. When `stop` has resolved, nothing of the slot is left, and no timer.
// JS4  A replica that exceeds its memory limit is drained only when the next one is ready. If it ends before that,
//      the next one becomes its successor: one slot never starts two.

/** Reason why a slot is down. */
export interface DownReason {
  /** Text that says how its last run ended. */
  readonly reason: string;
  /** Runs in a row that were not healthy. */
  readonly attempts: number;
  /** Milliseconds from that end to the next start. */
  readonly delayMs: number;
}

/** Log line of a replacement: its text, and figures as fields. */
interface ReplacementLine {
  readonly text: string;
  readonly residentBytes?: number;
  readonly memoryBytes?: number;
}

export class ReplicaSlot {
  readonly id: string;
  readonly index: number;
  /** Ends of its runs, without those that it was ordered to end. */
  readonly ends = noEnds();
  readonly #plan: DeploymentPlan;
  /** Fields of each log line. */
  readonly #names: { readonly service: string; readonly replica: string };
  readonly #deps: SlotDeps;
  readonly #abort = new AbortController();
  readonly #onMoved: () => void;
  #state: ReplicaState = { kind: "new" };
  /** Replica run that fills the slot. */
  #run: ReplicaRun | undefined;
  /** Runs that have started and not ended: the one that fills the slot, and one that it replaces. */
  readonly #runs = new Set<ReplicaRun>();
  /** Starts and retirements in progress. None of these promises rejects. */
  readonly #work = new Set<Promise<unknown>>();
  #replacement: Promise<ReplicaRun> | undefined;
  /** Earliest time for the next replacement: a cool-down of `maxBackoffMs` after each. */
  #nextReplacementAt = Number.NEGATIVE_INFINITY;
  #history = emptyHistory;
  #down: DownReason | undefined;
  /** Run that was killed since it did not answer. */
  #stuck: ReplicaRun | undefined;
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

  /** Reason why the slot is down; `undefined` once a replica is ready again. */
  get down(): DownReason | undefined {
    return this.#down;
  }

  /** Number of restarts. */
  get restarts(): number {
    return this.#restarts;
  }

  get host(): ReplicaHost | undefined {
    return this.#run?.host;
  }

  /** Calls in flight, from its last pulse. */
  get inFlight(): number {
    return this.#pulse?.inFlight ?? 0;
  }

  /** Resident memory of its process, from its last pulse; `undefined` for a replica without a process of its own. */
  get memoryBytes(): number | undefined {
    return this.#plan.residence === "process" ? this.#pulse?.residentBytes : undefined;
  }

  /** Reasons why it can't call its callees, from its last pulse. */
  get obstacles(): readonly string[] {
    return this.#pulse?.obstacles ?? [];
  }

  /** Services that run elsewhere and that it calls, from its last pulse. */
  get remotes(): readonly ServiceReadiness[] {
    return this.#pulse?.remotes ?? [];
  }

  /** Apis that answer fewer calls than they get: now, or from its last pulse. */
  get strains(): readonly string[] {
    return this.#run?.host.readStrains?.() ?? this.#pulse?.strains ?? [];
  }

  /** Tasks of its service that wait for a replica; 0 unless this replica counts them. */
  get waitingTasks(): number {
    return this.#pulse?.waitingTasks ?? 0;
  }

  /**
   * Starts the first run. Its failure is thrown, not retried.
   *
   * @param calleesStarted Settles when its callees have started. The author's code is loaded before that.
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
      if (isOver(this.#state)) throw this.#aborted();
      const error = toServingError(thrown, service, "");
      const hook = (error.details["hook"] as string | undefined) ?? "start";
      const isOwnFault = thrown !== calleeFailure;
      if (isOwnFault)
        onEvent({ kind: "failed", service, replica: this.id, hook, error, ms: Math.round(clock.now() - begun) });
      throw error;
    }
  }

  /** True when it may receive calls now. */
  async isReady(): Promise<boolean> {
    return this.#state.kind === "ready" && (await this.#run?.host.isReady()) === true;
  }

  /** Resolves when the slot is filled again, is down, or stops. */
  async whenSettled(): Promise<void> {
    if (this.#state.kind === "ready" || this.#down !== undefined || isOver(this.#state)) return;
    await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }

  /** Kills the replica; the slot is filled again. It gets no further calls: new ones wait for the next replica. */
  kill(): void {
    this.#run?.kill();
  }

  /** Aborts a start, or the wait for one. A replica that runs is left alone. */
  callOff(): void {
    if (this.#run !== undefined || isOver(this.#state)) return;
    this.#move({ kind: "draining" });
    this.#halt();
  }

  /** Stops taking calls; resolves when the last one has ended. Repeated calls share one drain. */
  drain(): Promise<void> {
    this.#draining ??= this.#drain();
    return this.#draining;
  }

  /** Stops the replica. Repeated calls share one stop. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #drain(): Promise<void> {
    if (!isOver(this.#state)) this.#move({ kind: "draining" });
    this.#halt();
    const { clock } = this.#deps;
    const begun = clock.now();
    this.#run?.withdraw();
    await Promise.all([this.#run?.host.drain(), ...this.#work]);
    this.#logStep("drained", begun);
  }

  async #stop(): Promise<void> {
    this.#move({ kind: "stopped" });
    this.#halt();
    const { clock } = this.#deps;
    const begun = clock.now();
    this.#run = undefined;
    await Promise.all([...this.#runs].map((run) => run.stop()));
    await Promise.all(this.#work);
    this.#logStep("stopped", begun);
  }

  /** Ends starts, timers and the heartbeat: nothing begins after this. */
  #halt(): void {
    this.#abort.abort();
    this.#timer?.clear();
    this.#heartbeat?.stop();
    this.#settle();
  }

  #begin(calleesStarted: Promise<unknown> = Promise.resolve(), onStart = () => {}): Promise<ReplicaRun> {
    const begin = async () => {
      const begun = this.#deps.clock.now();
      const run = new ReplicaRun(this.#plan, this.index, this.#deps);
      if (run.host.isInspected === true)
        this.#deps.log.info(
          { ...this.#names },
          `limits of liveness, memory and start switched off for ${this.id}, which is debugged`,
        );
      await run.start({
        signal: this.#abort.signal,
        calleesStarted,
        onStart: () => {
          this.#logStep("loaded", begun);
          onStart();
        },
      });
      this.#logStep("started", begun);
      if (isOver(this.#state)) {
        await run.stop();
        throw this.#aborted();
      }
      this.#runs.add(run);
      return run;
    };
    return this.#note(begin());
  }

  #becomeReady(run: ReplicaRun): void {
    if (isOver(this.#state)) throw this.#aborted();
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
      this.#deps.log.info({ ...this.#names }, `${this.id} resumed: it answers again and gets calls`);
      run.announce();
    }
    const { memoryBytes, caller, isInspected } = run.host;
    const { residentBytes } = pulse;
    if (residentBytes > memoryBytes && isInspected !== true) {
      const text = `${this.id} exceeded its memory limit; another replica replaces it`;
      void this.#replace(run, "memory", { text, residentBytes, memoryBytes });
    } else if (caller.isSuperseded === true) {
      const text = `process of ${this.id} was replaced; another replica replaces it`;
      void this.#replace(run, "moved", { text });
    }
  }

  #takeOut(run: ReplicaRun): void {
    if (this.#state.kind !== "ready") return;
    this.#move({ kind: "out", since: this.#state.since });
    const { suspendAfterMs } = this.#plan.settings.liveness;
    this.#deps.log.warn(
      { ...this.#names, suspendAfterMs },
      `${this.id} suspended: it does not answer and gets no new calls`,
    );
    run.withdraw();
  }

  #replaceStuck(run: ReplicaRun, silentMs: number, limit: string): void {
    const url = this.#pulse?.inspectorUrl;
    if (url !== undefined) {
      const fields = { ...this.#names, silentMs, inspector: url };
      const text = `${this.id} did not answer for ${silentMs} ms (${limit}); it was left alone, since a debugger may hold it (${url})`;
      this.#deps.log.warn(fields, text);
      return;
    }
    this.#stuck = run;
    run.kill(`did not answer for ${silentMs} ms (${limit}) and was killed`);
  }

  /** Starts the next replica and retires this one. */
  async #replace(old: ReplicaRun, reason: EndReason, line: ReplacementLine): Promise<void> {
    const { log, clock } = this.#deps;
    if (clock.now() < this.#nextReplacementAt) return;
    this.#nextReplacementAt = Number.POSITIVE_INFINITY;
    const { restart } = this.#plan.settings;
    const { text, ...figures } = line;
    const fields = { ...this.#names, ...figures };
    log.warn(fields, text);
    this.#replacement = this.#begin();
    try {
      const run = await this.#replacement.finally(() => {
        this.#replacement = undefined;
      });
      // If the old one has ended meanwhile, its restart has taken the new one (JS4).
      if (this.#run === old) {
        this.#becomeReady(run);
        this.ends[reason]++;
        log.info({ ...this.#names }, `${this.id} was replaced; the old replica finishes its calls and ends`);
        await this.#note(this.#retire(old));
      }
    } catch (error) {
      if (this.#run === old && !isOver(this.#state)) {
        this.ends.start_failed++;
        log.error({ ...fields, err: error }, `${this.id} not replaced: the next replica did not start`);
      }
    }
    this.#nextReplacementAt = clock.now() + restart.maxBackoffMs;
  }

  async #retire(run: ReplicaRun): Promise<void> {
    const begun = this.#deps.clock.now();
    await run.host.drain();
    await run.stop();
    this.#logStep("left its slot to another replica", begun);
    this.#runs.delete(run);
  }

  #end(run: ReplicaRun, how: string): void {
    this.#runs.delete(run);
    run.leave();
    if (this.#run !== run) return;
    this.#run = undefined;
    this.#pulse = undefined;
    this.#heartbeat?.stop();
    if (isOver(this.#state)) return;
    this.ends[run === this.#stuck ? "stuck" : "crashed"]++;
    const readyForMs = "since" in this.#state ? Math.round(this.#deps.clock.now() - this.#state.since) : undefined;
    this.#restartAfter(how, readyForMs);
  }

  /** Plans the next run. @param err Error of the last start, if that failed. */
  #restartAfter(reason: string, readyForMs: number | undefined, err?: unknown): void {
    const { log, clock } = this.#deps;
    const run = { readyForMs, random: this.#deps.random() };
    const { history, isDown, ...next } = nextRestart(this.#plan.settings.restart, this.#history, run);
    const { service, replica } = this.#names;
    const hasReplacement = this.#replacement !== undefined;
    const delayMs = hasReplacement ? 0 : next.delayMs;
    this.#history = history;
    if (isDown && !hasReplacement) {
      const attempts = history.failures;
      this.#down = { reason, attempts, delayMs };
      this.#move({ kind: "down", reason, attempts, delayMs });
      const text = `${replica} ${reason}; it is down after ${attempts} failures in a row (restart.giveUpAfter) and is started again after ${delayMs} ms (restart.slowBackoffMs)`;
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
      log.info({ ...this.#names, ms: Math.round(clock.now() - begun) }, `${this.id} restarted`);
    } catch (error) {
      if (isOver(this.#state)) return;
      this.ends.start_failed++;
      this.#restartAfter(messageOf(error), undefined, error);
    }
  }

  #move(state: ReplicaState): void {
    const from = this.#state.kind;
    this.#state = moveTo(this.#state, state);
    this.#deps.log.debug({ ...this.#names, from, to: state.kind }, `${this.id} went from ${from} to ${state.kind}`);
    this.#onMoved();
  }

  #settle(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resolve of waiters) resolve();
  }

  #logStep(what: string, begun: number): void {
    const { log, clock } = this.#deps;
    log.debug({ ...this.#names, ms: Math.round(clock.now() - begun) }, `${this.id} ${what}`);
  }

  /** Registers work that `drain` and `stop` wait for. */
  #note<T>(work: Promise<T>): Promise<T> {
    const done: Promise<unknown> = work.catch(() => {}).then(() => this.#work.delete(done));
    this.#work.add(done);
    return work;
  }

  #aborted(): Error {
    const service = this.#plan.descriptor.name;
    return fail("start_aborted", { service }, { service });
  }

  /** Returns its state as text. */
  describe(): string {
    const since = this.#state.kind === "starting" && this.#down !== undefined ? `, was down: ${this.#down.reason}` : "";
    return `${this.id} ${formatState(this.#state)}${since}`;
  }
}
