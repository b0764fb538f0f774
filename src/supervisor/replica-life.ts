import type { Clock } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import { fail } from "../failure/failures.js";
import type { DeploymentPlan } from "../graph/plan.js";
import type { ReplicaHost } from "../placement/placement.js";
import type { CallerCounts, LinkBoard } from "./link-board.js";
import type { OnProgress } from "./replica-state.js";

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
export interface SeatParts {
  readonly createHost: (plan: DeploymentPlan, index: number) => ReplicaHost;
  readonly board: LinkBoard;
  readonly clock: Clock;
  readonly log: Logger;
  /** Shared by all places of an app. */
  readonly calls: CallerCounts;
  readonly onProgress: OnProgress;
  /** From 0 to 1. */
  readonly random: () => number;
  /** Hears of each change in the state of a replica's place. */
  readonly onMoved?: (deployment: MovedDeployment) => void;
  /** The last step of a start: the edge of an entry replica begins to listen. */
  readonly finishStart?: (host: ReplicaHost, service: string) => Promise<void>;
}

/** How a life is begun. */
export interface LifeStart {
  /** Aborted when the start is called off. */
  readonly signal: AbortSignal;
  /** What it calls; the author's code is loaded meanwhile. */
  readonly calleesStarted: Promise<unknown>;
  /** It is loaded and its callees have started. */
  readonly onStart: () => void;
}

/** One replica of a place: its host, its entry on the board, and what it hears of the replicas it calls. */
export class ReplicaLife {
  readonly host: ReplicaHost;
  readonly #service: string;
  readonly #parts: SeatParts;
  /** Services it hears of. */
  readonly #callees: readonly string[];
  #isSubscribed = false;
  #stopping: Promise<void> | undefined;

  constructor(plan: DeploymentPlan, index: number, parts: SeatParts) {
    this.host = parts.createHost(plan, index);
    this.#service = plan.descriptor.name;
    this.#parts = parts;
    this.#callees = plan.residence === "root" ? [] : plan.remoteCallees;
  }

  /** @throws What stood in the way; nothing is left running then. */
  async start({ signal, calleesStarted, onStart }: LifeStart): Promise<void> {
    const { board, finishStart } = this.#parts;
    try {
      await Promise.all([this.host.load(signal), this.#orCalledOff(signal, calleesStarted)]);
      onStart();
      this.#isSubscribed = true;
      board.subscribe(this.host.caller, this.#callees);
      await this.host.start(signal);
      if (finishStart !== undefined) await this.#orCalledOff(signal, finishStart(this.host, this.#service));
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  announce(): void {
    this.#parts.board.announce(this.#service, this.host);
  }

  withdraw(): void {
    this.#parts.board.withdraw(this.#service, this.host);
  }

  /** It is killed, with all that share its process: nobody calls them any more. @param reason What calls on them fail with. */
  kill(reason?: string): void {
    this.#parts.board.abandon(this.host, reason);
    this.host.kill(reason);
  }

  /** It has ended: nobody calls it, and it hears of nobody. */
  leave(): void {
    const { board, calls } = this.#parts;
    calls.forget(this.host.caller);
    board.leave(this.#service, this.host);
    if (this.#isSubscribed) board.unsubscribe(this.host.caller, this.#callees);
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
