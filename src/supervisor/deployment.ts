import type { Timer } from "../base/clock.js";
import type { DeploymentPlan } from "../graph/plan.js";
import type { DeploymentFigures } from "../observe/metrics.js";
import type { ServiceReadiness } from "../observe/readiness.js";
import type { ReplicaHost } from "../placement/placement.js";
import { decideReplicas, emptyAutoscaleState } from "./autoscale.js";
import type { MovedDeployment, SlotDeps } from "./replica-run.js";
import { type DownReason, ReplicaSlot } from "./replica-slot.js";
import { endReasons, noEnds } from "./replica-state.js";

// The replicas of one service.
//
// JD1  A replica leaves the registry before it is ordered to drain or to stop.
// JD2  The number of replicas stays within the bounds of the plan.
// JD3  The service is down only while all of its slots are down. One ready replica ends that.
// JD4  A replica that is no longer needed, or that could not be added, counts as one of the service until it has
//      stopped.
// JD5  An index belongs to one slot at a time. Devices are assigned by index, and in a group the index selects the
//      process. A second replica of the same name would make all replicas of that process move.

/** Interval at which the load of a service that scales is read. */
const scaleIntervalMs = 1_000;

export class Deployment {
  readonly plan: DeploymentPlan;
  readonly #deps: SlotDeps;
  readonly #slots: ReplicaSlot[] = [];
  /** Slots that were given up and are not empty yet. */
  readonly #leaving = new Set<ReplicaSlot>();
  #scaling: Timer | undefined;
  #load = emptyAutoscaleState;
  /** Restarts counted in slots that were given up. */
  #pastRestarts = 0;
  /** Ends counted in slots that were given up, and those of slots that were not needed any more. */
  readonly #pastEnds = noEnds();
  /** Earliest time to add a replica again after a failed attempt. */
  #nextGrowthAt = Number.NEGATIVE_INFINITY;
  #isStopping = false;

  constructor(plan: DeploymentPlan, deps: SlotDeps) {
    this.plan = plan;
    this.#deps = deps;
    for (let index = 0; index < plan.replicas; index++) this.#addSlot(index);
    this.#tellPlanned();
  }

  get service(): string {
    return this.plan.descriptor.name;
  }

  get hosts(): ReplicaHost[] {
    return this.#slots.flatMap((slot) => slot.host ?? []);
  }

  /**
   * Starts all replicas at the same time.
   *
   * @throws The first failure, at once. `stop` ends the replicas that have started or still start.
   */
  async start(calleesStarted: Promise<unknown>): Promise<void> {
    await Promise.all(this.#slots.map((slot) => slot.start(calleesStarted)));
    const { min, max } = this.plan.settings.replicas;
    if (max > min && this.plan.residence !== "main" && !this.#isStopping) this.#watchLoad();
  }

  /** Reason why the service is down: that of its first slot. `undefined` while it is not down (JD3). */
  get down(): DownReason | undefined {
    if (this.#slots.some((slot) => slot.down === undefined)) return undefined;
    return this.#slots[0]?.down;
  }

  /**
   * Tells whether a replica is ready or suspended, starts, or neither. A suspended one is replaced in time, and a
   * start has a limit.
   */
  get presence(): MovedDeployment["presence"] {
    const kinds = this.#slots.map(({ state }) => state.kind);
    if (kinds.some((kind) => kind === "ready" || kind === "out")) return "there";
    return kinds.some((kind) => kind === "starting") ? "coming" : "away";
  }

  /** Text that says for each slot why it is not ready. */
  get obstacles(): string {
    return this.#slots
      .filter(({ state }) => state.kind !== "ready")
      .map(formatObstacle)
      .join("; ");
  }

  /** Figures for the metrics page. */
  get figures(): DeploymentFigures {
    const draining = this.#leaving.size;
    const states: Record<string, number> = { ready: 0, out: 0, starting: 0, waiting: 0, down: 0, draining };
    for (const { state } of this.#slots) if (state.kind in states) states[state.kind] = (states[state.kind] ?? 0) + 1;
    const ends = noEnds();
    for (const reason of endReasons) {
      ends[reason] = this.#slots.reduce((sum, slot) => sum + slot.ends[reason], this.#pastEnds[reason]);
    }
    const memory = this.#slots.flatMap(({ id, memoryBytes }) =>
      memoryBytes === undefined ? [] : [{ replica: id, bytes: memoryBytes }],
    );
    const restarts = this.#slots.reduce((sum, slot) => sum + slot.restarts, this.#pastRestarts);
    const { inFlight, waitingTasks } = this.#demand;
    const demand = inFlight + waitingTasks;
    return { service: this.service, isDown: this.down !== undefined, states, restarts, ends, memory, demand };
  }

  /** Services that run elsewhere and that its replicas call, as each of them reports. */
  get remotes(): ServiceReadiness[] {
    return this.#slots.flatMap((slot) => slot.remotes);
  }

  /** Kills one replica; resolves when its slot is filled again. */
  async replaceReplica(index: number): Promise<void> {
    const slot = this.#slots.find((own) => own.index === index);
    const host = slot?.host;
    if (slot === undefined || host === undefined) return;
    slot.kill();
    await host.ended;
    await slot.whenSettled();
  }

  /** Aborts replicas that are still starting. Replicas that run are left alone. */
  callOff(): void {
    this.#halt();
    for (const slot of this.#slots) slot.callOff();
  }

  async drain(): Promise<void> {
    this.#halt();
    this.#deps.log.debug({ service: this.service, replicas: this.#slots.length }, `${this.service} drains`);
    const drained = [...this.#slots, ...this.#leaving].map((slot) => slot.drain());
    this.#deps.registry.close(this.service);
    await Promise.all(drained);
  }

  async stop(): Promise<void> {
    this.#halt();
    await Promise.all([...this.#slots, ...this.#leaving].map((slot) => slot.stop()));
  }

  async readiness(): Promise<ServiceReadiness> {
    const slots = [...this.#slots];
    const answers = await Promise.all(slots.map((slot) => slot.isReady()));
    const missing = slots.filter((_, index) => answers[index] !== true).map(formatObstacle);
    const replicas = slots.length;
    const readyReplicas = replicas - missing.length;
    const strains = slots.flatMap(({ id, strains }) => strains.map((strain) => `${id}: ${strain}`));
    const detail = [`${readyReplicas} of ${replicas} replicas are ready`, ...missing].join("; ");
    return {
      name: this.service,
      isReady: readyReplicas > 0,
      readyReplicas,
      replicas,
      ...(missing.length > 0 && { detail }),
      ...(strains.length > 0 && { strains }),
    };
  }

  #addSlot(index: number): ReplicaSlot {
    const slot: ReplicaSlot = new ReplicaSlot(this.plan, index, this.#deps, () => this.#noteMove(slot));
    this.#slots.push(slot);
    return slot;
  }

  #noteMove(slot: ReplicaSlot): void {
    if (slot.state.kind === "down" && this.down !== undefined) {
      const { reason, attempts, delayMs } = slot.state;
      this.#deps.registry.giveUp(this.service, { reason, attempts, retryAfterMs: delayMs });
    }
    this.#deps.onMoved?.(this);
  }

  #watchLoad(): void {
    const { clock } = this.#deps;
    this.#scaling = clock.setTimer(() => {
      this.#scale();
      if (!this.#isStopping) this.#watchLoad();
    }, scaleIntervalMs);
  }

  /** Load by which the number of replicas is decided: calls and tasks in flight, and tasks that wait. */
  get #demand(): { readonly inFlight: number; readonly waitingTasks: number } {
    const served = this.#slots.reduce((sum, slot) => sum + slot.inFlight, 0);
    // Callers also count calls that no replica has read yet. Replicas also count tasks, and calls whose callers are
    // gone.
    const inFlight = Math.max(served, this.#deps.calls.of(this.service));
    return { inFlight, waitingTasks: Math.max(0, ...this.#slots.map((slot) => slot.waitingTasks)) };
  }

  #scale(): void {
    const { inFlight, waitingTasks } = this.#demand;
    const { clock } = this.#deps;
    const observation = { now: clock.now(), inFlight: inFlight + waitingTasks, replicas: this.#slots.length };
    const range = this.plan.settings.replicas;
    const decision = decideReplicas(this.#load, observation, range);
    this.#load = decision.state;
    // Indexes of draining replicas are not free yet: the rest is added later (JD5).
    const wanted = Math.min(decision.wanted, range.max - this.#leaving.size);
    if (wanted === this.#slots.length || (wanted > this.#slots.length && clock.now() < this.#nextGrowthAt)) return;
    this.#deps.log.info(
      { service: this.service, from: this.#slots.length, to: wanted, inFlight, waitingTasks },
      `${this.service} scaled from ${this.#slots.length} to ${wanted} replicas: ${inFlight} calls in flight${waitingTasks === 0 ? "" : `, ${waitingTasks} tasks waiting`}`,
    );
    while (this.#slots.length < wanted) this.#grow();
    while (this.#slots.length > wanted) this.#shrink();
    this.#tellPlanned();
  }

  #grow(): void {
    const taken = new Set([...this.#slots, ...this.#leaving].map(({ index }) => index));
    let index = 0;
    while (taken.has(index)) index++;
    const slot = this.#addSlot(index);
    slot.start(Promise.resolve()).catch((error: unknown) => {
      const at = this.#slots.indexOf(slot);
      // The start was aborted: the replica is no longer needed, or the app stops.
      if (at < 0 || this.#isStopping) return;
      const fields = { service: this.service, replica: slot.id, err: error };
      this.#deps.log.error(fields, `${slot.id} not added: its start failed`);
      this.#nextGrowthAt = this.#deps.clock.now() + this.plan.settings.restart.maxBackoffMs;
      this.#slots.splice(at, 1);
      this.#pastEnds.start_failed++;
      this.#tellPlanned();
      this.#giveBack(slot, slot.stop());
    });
  }

  #shrink(): void {
    const slot = this.#slots.pop() as ReplicaSlot;
    this.#pastEnds.scaled_in++;
    this.#giveBack(
      slot,
      slot.drain().then(() => slot.stop()),
    );
  }

  #giveBack(slot: ReplicaSlot, emptied: Promise<void>): void {
    this.#leaving.add(slot);
    this.#pastRestarts += slot.restarts;
    for (const reason of endReasons) this.#pastEnds[reason] += slot.ends[reason];
    void emptied.finally(() => this.#leaving.delete(slot));
  }

  #tellPlanned(): void {
    this.#deps.registry.plan(this.service, this.#slots.length);
  }

  #halt(): void {
    this.#isStopping = true;
    this.#scaling?.clear();
  }
}

/** Returns the reason why a slot is not ready, as text. */
function formatObstacle(slot: ReplicaSlot): string {
  if (slot.state.kind !== "ready") return slot.describe();
  return slot.obstacles.length > 0
    ? `${slot.id} can't call what it depends on: ${slot.obstacles.join(", ")}`
    : `${slot.id} did not answer in time whether it is ready`;
}
