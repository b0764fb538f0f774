import type { Clock } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import { fail } from "../failure/failures.js";
import type { DeploymentPlan } from "../graph/plan.js";
import type { ReplicaHost } from "../placement/placement.js";
import type { CallerCounts, ReplicaRegistry } from "./replica-registry.js";
import type { OnAppEvent } from "./replica-state.js";

/** A service some of whose replicas has come, gone, or changed. */
export interface MovedDeployment {
  readonly service: string;
  /** A replica that is busy is there: it is replaced in its own time. */
  readonly presence: "there" | "coming" | "away";
  /** Set while the service is down. */
  readonly down: object | undefined;
  /** What stands in the way of each place that is not ready, in words. */
  readonly obstacles: string;
}

/** What a replica's place needs of its surroundings. */
export interface SlotDeps {
  readonly createHost: (plan: DeploymentPlan, index: number) => ReplicaHost;
  readonly registry: ReplicaRegistry;
  readonly clock: Clock;
  readonly log: Logger;
  /** Shared by all places of an app. */
  readonly calls: CallerCounts;
  readonly onEvent: OnAppEvent;
  /** From 0 to 1. */
  readonly random: () => number;
  /** Hears of each change in the state of a replica's place. */
  readonly onMoved?: (deployment: MovedDeployment) => void;
  /** The last step of a start: the edge of an entry replica begins to listen. */
  readonly finishStart?: (host: ReplicaHost, service: string) => Promise<void>;
}

/** How a life is begun. */
export interface RunStart {
  /** Aborted when the start is called off. */
  readonly signal: AbortSignal;
  /** What it calls; the author's code is loaded meanwhile. */
  readonly calleesStarted: Promise<unknown>;
  /** It is loaded and its callees have started. */
  readonly onStart: () => void;
}

/** One replica of a place: its host, its entry on the board, and what it hears of the replicas it calls. */
export class ReplicaRun {
  readonly host: ReplicaHost;
  readonly #service: string;
  readonly #deps: SlotDeps;
  /** Services it hears of. */
  readonly #callees: readonly string[];
  #isSubscribed = false;
  #stopping: Promise<void> | undefined;

  constructor(plan: DeploymentPlan, index: number, deps: SlotDeps) {
    this.host = deps.createHost(plan, index);
    this.#service = plan.descriptor.name;
    this.#deps = deps;
    this.#callees = plan.residence === "main" ? [] : plan.remoteCallees;
  }

  /** @throws What stood in the way; nothing is left running then. */
  async start({ signal, calleesStarted, onStart }: RunStart): Promise<void> {
    const { registry, finishStart } = this.#deps;
    try {
      await Promise.all([this.host.load(signal), this.#orCalledOff(signal, calleesStarted)]);
      onStart();
      this.#isSubscribed = true;
      registry.subscribe(this.host.caller, this.#callees);
      await this.host.start(signal);
      if (finishStart !== undefined) await this.#orCalledOff(signal, finishStart(this.host, this.#service));
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

  /** It is killed, with all that share its process: nobody calls them any more. @param reason What calls on them fail with. */
  kill(reason?: string): void {
    this.#deps.registry.abandon(this.host, reason);
    this.host.kill(reason);
  }

  /** It has ended: nobody calls it, and it hears of nobody. */
  leave(): void {
    const { registry, calls } = this.#deps;
    calls.forget(this.host.caller);
    registry.leave(this.#service, this.host);
    if (this.#isSubscribed) registry.unsubscribe(this.host.caller, this.#callees);
    this.#isSubscribed = false;
  }

  /** Repeated calls share one stop. */
  stop(): Promise<void> {
    this.withdraw();
    this.#stopping ??= this.host.stop().finally(() => this.leave());
    return this.#stopping;
  }

  /** Settles as `step` does, but does not outlast a start that is called off: the step may be somebody else's. */
  #orCalledOff(signal: AbortSignal, step: Promise<unknown>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const callOff = () => reject(fail("start_aborted", { service: this.#service }));
      if (signal.aborted) callOff();
      signal.addEventListener("abort", callOff, { once: true });
      step.then(resolve, reject).finally(() => signal.removeEventListener("abort", callOff));
    });
  }
}
