import { createDeferred, type Deferred } from "../../src/base/deferred.js";
import type { ReplicaLink } from "../../src/call/link.js";
import { fail } from "../../src/failure/fail.js";
import type { ServingError } from "../../src/failure/serving-error.js";
import type { DeploymentPlan } from "../../src/graph/plan.js";
import type { LinkNotice } from "../../src/placement/control.js";
import type { CallerResidence, Offer, Pulse, ReplicaHost } from "../../src/placement/placement.js";

/** What a host does when it is asked to; each can be held up until a test lets it go on. */
export type Step = "load" | "start" | "drain" | "stop";

/** What a fake host is made of. */
export interface FakeHostParts {
  readonly plan: DeploymentPlan;
  readonly index: number;
  /** How many hosts the same place has had before. */
  readonly life: number;
  /** Steps that wait for `host.steps[step].resolve()`; the others end at once. */
  readonly held: ReadonlySet<Step>;
  readonly onAsked: (what: string) => void;
}

/**
 * A host without a replica. It keeps what the supervisor relies on in any host: whatever is awaited of it also ends when it
 * ends (H1), and `ended` resolves only for an end nobody asked for (H2).
 */
export class FakeHost implements ReplicaHost {
  readonly id: string;
  /** `"A#0/2"`: the third host of the place. It is also its address. */
  readonly name: string;
  readonly ended: Promise<string>;
  readonly steps: Readonly<Record<Step, Deferred<void>>>;
  readonly notices: LinkNotice[] = [];
  inFlight = 0;
  waitingTasks: number | undefined;
  residentBytes = 1;
  /** Its event loop does not turn: questions wait. */
  isSilent = false;
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
    const { plan, index, life, held } = parts;
    this.#parts = parts;
    this.id = `${plan.descriptor.name}#${index}`;
    this.name = `${this.id}/${life}`;
    this.ended = this.#end.promise;
    this.steps = { load: createStep(), start: createStep(), drain: createStep(), stop: createStep() };
    for (const step of ["load", "start", "drain", "stop"] as const) if (!held.has(step)) this.steps[step].resolve();
  }

  /** Whether there would be a process now. */
  get isRunning(): boolean {
    return this.#isUp && this.#failure === undefined;
  }

  async load(signal: AbortSignal): Promise<void> {
    this.#note("load");
    if (signal.aborted) throw fail("start_aborted", { service: this.#parts.plan.descriptor.name });
    this.#isUp = true;
    const abort = () => {
      // What runs in the app's own thread can't be ended from outside.
      if (this.hasStarted || this.#parts.plan.residence === "root") return;
      this.#isEnding = true;
      this.end("was ended by SIGKILL");
    };
    signal.addEventListener("abort", abort, { once: true });
    await this.#step("load");
  }

  async start(links: readonly LinkNotice[]): Promise<void> {
    this.#note("start");
    this.notices.push(...links);
    await this.#step("start");
    this.hasStarted = true;
  }

  offerTo(caller: CallerResidence): Offer {
    if (caller !== "root" || this.#parts.plan.residence !== "root") return { kind: "address", address: this.name };
    const link: ReplicaLink = { replica: this.id, inFlight: 0, send: notCalled, open: notCalled };
    return { kind: "inline", link };
  }

  notify(notice: LinkNotice): void {
    this.notices.push(notice);
  }

  async isReady(): Promise<boolean> {
    return this.isRunning && !this.isSilent && this.isReplicaReady;
  }

  pulse(): Promise<Pulse> | undefined {
    if (this.#parts.plan.residence === "root") return undefined;
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const question = createDeferred<Pulse>();
    this.#questions.add(question);
    if (!this.isSilent) this.#answer();
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
    this.end("ended with exit code 0");
  }

  kill(): void {
    this.#note("kill");
    this.end("was ended by SIGKILL");
  }

  /** Ends it, as a crash would unless it was asked to end. */
  end(how = "ended with exit code 1"): void {
    if (this.#failure !== undefined) return;
    const error = fail("replica_ended", { replica: this.id, how }, { service: this.#parts.plan.descriptor.name });
    this.#failure = error;
    for (const step of Object.values(this.steps)) step.reject(error);
    for (const question of this.#questions) question.reject(error);
    this.#questions.clear();
    if (!this.#isEnding) this.#end.resolve(how);
  }

  /** Its event loop turns again: it answers what it was asked meanwhile. */
  wake(): void {
    this.isSilent = false;
    this.#answer();
  }

  #answer(): void {
    const { residentBytes, inFlight, waitingTasks } = this;
    const pulse: Pulse = { residentBytes, inFlight, ...(waitingTasks !== undefined && { waitingTasks }) };
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

/** One that a test may fail without anybody waiting for it. */
function createStep(): Deferred<void> {
  const step = createDeferred<void>();
  step.promise.catch(() => {});
  return step;
}

const notCalled = () => {
  throw new Error("not called here");
};
