import type { Clock } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import { fail } from "../failure/failures.js";
import type { DeploymentPlan } from "../graph/plan.js";
import type { ServiceReadiness } from "../observe/readiness.js";
import type { ReplicaHost } from "../placement/placement.js";
import type { CallerCounts, ReplicaRegistry } from "./replica-registry.js";
import type { OnAppEvent } from "./replica-state.js";

/** A service of which a slot changed its state. */
export interface MovedDeployment {
  readonly service: string;
  /** `"there"` also for a suspended replica: it is replaced in time. */
  readonly presence: "there" | "coming" | "away";
  /** Set while the service is down. */
  readonly down: object | undefined;
  /** Text that says for each slot why it is not ready. */
  readonly obstacles: string;
}

/** Dependencies of a replica slot. */
export interface SlotDeps {
  readonly createHost: (plan: DeploymentPlan, index: number) => ReplicaHost;
  readonly registry: ReplicaRegistry;
  readonly clock: Clock;
  readonly log: Logger;
  /** Shared by all slots of an app. */
  readonly calls: CallerCounts;
  readonly onEvent: OnAppEvent;
  /** Returns a random number from 0 to 1. */
  readonly random: () => number;
  /** Called after each change of the state of a slot. */
  readonly onMoved?: (deployment: MovedDeployment) => void;
  /** Reads the readiness of services that run elsewhere and that the main thread calls. */
  readonly readRemotes?: () => readonly ServiceReadiness[];
  /** Last step of a start: the HTTP server of an entry replica begins to listen. */
  readonly finishStart?: (host: ReplicaHost, service: string) => Promise<void>;
}

/** Inputs of a start. */
interface RunStart {
  /** Aborted when the start is cancelled. */
  readonly signal: AbortSignal;
  /** Settles when its callees have started. The author's code is loaded before that. */
  readonly calleesStarted: Promise<unknown>;
  /** Called when it is loaded and its callees have started. */
  readonly onStart: () => void;
}

/**
 * One replica from its start to its end: its host, its entry in the registry, and its subscription to the services it
 * calls.
 */
export class ReplicaRun {
  readonly host: ReplicaHost;
  readonly #service: string;
  readonly #deps: SlotDeps;
  /** Services that it subscribes to. */
  readonly #callees: readonly string[];
  #isSubscribed = false;
  #stopping: Promise<void> | undefined;

  constructor(plan: DeploymentPlan, index: number, deps: SlotDeps) {
    this.host = deps.createHost(plan, index);
    this.#service = plan.descriptor.name;
    this.#deps = deps;
    this.#callees = plan.residence === "main" ? [] : plan.remoteCallees;
  }

  /** @throws The error that stopped the start; nothing is left running then. */
  async start({ signal, calleesStarted, onStart }: RunStart): Promise<void> {
    const { registry, finishStart } = this.#deps;
    try {
      await Promise.all([this.host.load(signal), this.#orAborted(signal, calleesStarted)]);
      onStart();
      this.#isSubscribed = true;
      registry.subscribe(this.host.caller, this.#callees);
      await this.host.start(signal);
      if (finishStart !== undefined) await this.#orAborted(signal, finishStart(this.host, this.#service));
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  announce(): void {
    this.#deps.registry.announce(this.#service, this.host);
  }

  withdraw(): void {
    this.#deps.registry.withdraw(this.#service, this.host);
  }

  /**
   * Kills it, with all replicas that share its process; none of them is called any more.
   *
   * @param reason Reason that calls on them fail with.
   */
  kill(reason?: string): void {
    this.#deps.registry.abandon(this.host, reason);
    this.host.kill(reason);
  }

  /** Removes an ended replica from the registry, and ends its subscription. */
  leave(): void {
    const { registry, calls } = this.#deps;
    calls.forget(this.host.caller);
    registry.leave(this.#service, this.host);
    if (this.#isSubscribed) registry.unsubscribe(this.host.caller, this.#callees);
    this.#isSubscribed = false;
  }

  /** Stops it. Repeated calls share one stop. */
  stop(): Promise<void> {
    this.withdraw();
    this.#stopping ??= this.host.stop().finally(() => this.leave());
    return this.#stopping;
  }

  /** Settles as `step` does, or rejects when the start is aborted: the step may belong to another replica. */
  #orAborted(signal: AbortSignal, step: Promise<unknown>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const abort = () => reject(fail("start_aborted", { service: this.#service }));
      if (signal.aborted) abort();
      signal.addEventListener("abort", abort, { once: true });
      step.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
    });
  }
}
