import { createDeferred, type Deferred } from "../../src/base/clock.js";
import { fail } from "../../src/failure/failures.js";
import type { ServingError } from "../../src/failure/serving-error.js";
import type { DeploymentPlan } from "../../src/graph/plan.js";
import type { LinkUpdate } from "../../src/placement/control.js";
import type { Caller, CallerResidence, LinkOffer, Pulse, ReplicaHost } from "../../src/placement/placement.js";

/** Steps of a host; a test can hold each of them. */
export type Step = "load" | "start" | "drain" | "stop";

/** Dependencies of a fake host. */
export interface FakeHostParts {
  readonly plan: DeploymentPlan;
  readonly index: number;
  /** Process or thread of the host. */
  readonly site: FakeSite;
  /** Number of earlier hosts of the same slot. */
  readonly life: number;
  /** Steps that wait for `host.steps[step].resolve()`; all other steps end at once. */
  readonly held: ReadonlySet<Step>;
  readonly onAsked: (what: string) => void;
}

/** Stands for a process of one host, or of the hosts of a group. */
export class FakeSite implements Caller {
  readonly residence: CallerResidence;
  readonly hosts = new Set<FakeHost>();
  /** Messages it received. */
  readonly notices: LinkUpdate[] = [];
  residentBytes = 1;
  /** True while its event loop is blocked: questions wait. */
  isSilent = false;
  isOpen = true;
  isSuperseded = false;

  constructor(residence: CallerResidence) {
    this.residence = residence;
  }

  has(id: string): boolean {
    return [...this.hosts].some((host) => host.id === id);
  }

  supersede(): void {
    this.isSuperseded = true;
  }

  notify(notice: LinkUpdate): void {
    if (this.isOpen) this.notices.push(notice);
  }

  /** Handles the end of one replica; the last one ends the process. */
  remove(host: FakeHost): void {
    this.hosts.delete(host);
    if (this.hosts.size === 0) this.isOpen = false;
  }

  /** Ends the process and all its replicas. */
  end(how: string): void {
    this.isOpen = false;
    for (const host of this.hosts) host.endAlone(how);
  }
}

/**
 * Host without a replica. It keeps what the supervisor relies on in every host: each awaited step also ends when the
 * host ends (IH1), and `ended` resolves only for an unexpected end (IH2).
 */
export class FakeHost implements ReplicaHost {
  readonly id: string;
  /** Name and address: `"A#0/2"` is the third host of the slot. */
  readonly name: string;
  readonly ended: Promise<string>;
  readonly steps: Readonly<Record<Step, Deferred<void>>>;
  readonly caller: FakeSite;
  readonly memoryBytes: number;
  inFlight = 0;
  waitingTasks: number | undefined;
  strains: readonly string[] | undefined;
  isWarmingUp = false;
  isInspected = false;
  heldUpMs = 0;
  longestRunMs = 0;
  callsInFlight: Record<string, number> = {};
  isReplicaReady = true;
  hasStarted = false;
  isDraining = false;
  readonly #parts: FakeHostParts;
  readonly #end = createDeferred<string>();
  readonly #questions = new Set<Deferred<Pulse>>();
  #isUp = false;
  #isEnding = false;
  #failure: ServingError | undefined;

  constructor(parts: FakeHostParts) {
    const { plan, index, life, held, site } = parts;
    this.#parts = parts;
    this.caller = site;
    this.memoryBytes = plan.residence === "process" ? plan.settings.resources.memoryBytes : Number.POSITIVE_INFINITY;
    site.hosts.add(this);
    this.id = `${plan.descriptor.name}#${index}`;
    this.name = `${this.id}/${life}`;
    this.ended = this.#end.promise;
    this.steps = { load: createStep(), start: createStep(), drain: createStep(), stop: createStep() };
    for (const step of ["load", "start", "drain", "stop"] as const) if (!held.has(step)) this.steps[step].resolve();
  }

  /** Messages its process received. */
  get notices(): readonly LinkUpdate[] {
    return this.caller.notices;
  }

  get isSilent(): boolean {
    return this.caller.isSilent;
  }

  set isSilent(isSilent: boolean) {
    this.caller.isSilent = isSilent;
  }

  get residentBytes(): number {
    return this.caller.residentBytes;
  }

  set residentBytes(bytes: number) {
    this.caller.residentBytes = bytes;
  }

  /** True while a real host would have a process. */
  get isRunning(): boolean {
    return this.#isUp && this.#failure === undefined;
  }

  async load(signal: AbortSignal): Promise<void> {
    this.#note("load");
    if (signal.aborted) throw fail("start_aborted", { service: this.#parts.plan.descriptor.name });
    this.#isUp = true;
    const abort = () => {
      // A replica in the app's own thread cannot be ended from outside.
      if (this.hasStarted || this.#parts.plan.residence === "main") return;
      this.#isEnding = true;
      this.endAlone("was ended by SIGKILL");
    };
    signal.addEventListener("abort", abort, { once: true });
    await this.#step("load");
  }

  async start(): Promise<void> {
    this.#note("start");
    await this.#step("start");
    this.hasStarted = true;
  }

  offerTo(caller: Caller): LinkOffer {
    const areInMain = caller.residence === "main" && this.#parts.plan.residence === "main";
    if (caller === this.caller || areInMain) return { kind: "local" };
    return { kind: "address", address: this.name };
  }

  async isReady(): Promise<boolean> {
    return this.isRunning && !this.isSilent && this.isReplicaReady;
  }

  pulse(): Promise<Pulse> | undefined {
    if (this.#parts.plan.residence === "main") return undefined;
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const question = createDeferred<Pulse>();
    this.#questions.add(question);
    if (!this.isSilent) this.answer();
    return question.promise;
  }

  async drain(): Promise<void> {
    this.#note("drain");
    this.#isEnding = true;
    this.isDraining = true;
    if (this.isRunning) await this.#step("drain").catch(() => {});
  }

  async stop(): Promise<void> {
    this.#note("stop");
    this.#isEnding = true;
    if (this.isRunning) await this.#step("stop").catch(() => {});
    this.endAlone("ended with exit code 0");
    this.caller.remove(this);
  }

  kill(reason = "was ended by SIGKILL"): void {
    this.#note("kill");
    this.caller.end(reason);
  }

  /** Ends its process like a crash. */
  end(how = "ended with exit code 1"): void {
    this.caller.end(how);
  }

  /** Ends the host; unexpectedly, unless it was asked to end. */
  endAlone(how: string): void {
    if (this.#failure !== undefined) return;
    const error = fail("replica_ended", { replica: this.id, how }, { service: this.#parts.plan.descriptor.name });
    this.#failure = error;
    for (const step of Object.values(this.steps)) step.reject(error);
    for (const question of this.#questions) question.reject(error);
    this.#questions.clear();
    if (!this.#isEnding) this.#end.resolve(how);
  }

  /** Unblocks its event loop: it answers the waiting questions. */
  wake(): void {
    this.isSilent = false;
    for (const host of this.caller.hosts) host.answer();
  }

  answer(): void {
    const { residentBytes, inFlight, longestRunMs, callsInFlight, waitingTasks, strains } = this;
    const pulse: Pulse = {
      ...{ residentBytes, inFlight, longestRunMs, callsInFlight },
      ...(waitingTasks !== undefined && { waitingTasks }),
      ...(strains !== undefined && { strains }),
    };
    for (const question of this.#questions) question.resolve(pulse);
    this.#questions.clear();
  }

  async #step(step: Step): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    await this.steps[step].promise;
    if (this.#failure !== undefined) throw this.#failure;
  }

  #note(what: Step | "kill"): void {
    this.#parts.onAsked(`${what} ${this.name}`);
  }
}

/** Makes a deferred that a test may reject without an unhandled rejection. */
function createStep(): Deferred<void> {
  const step = createDeferred<void>();
  step.promise.catch(() => {});
  return step;
}
