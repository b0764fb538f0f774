import type { Clock } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import { fail } from "../failure/fail.js";
import type { DeploymentPlan } from "../graph/plan.js";
import type { LinkNotice } from "../placement/control.js";
import type { CallerResidence, ReplicaHost } from "../placement/placement.js";
import type { LinkBoard, LinkSubscriber } from "./link-board.js";
import type { OnProgress } from "./progress.js";

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
  /** Why it is killed, where that is decided here. */
  endReason: string | undefined;
  readonly #service: string;
  readonly #parts: SeatParts;
  readonly #subscriber: LinkSubscriber;
  #stopping: Promise<void> | undefined;

  constructor(plan: DeploymentPlan, index: number, parts: SeatParts) {
    const host = parts.createHost(plan, index);
    this.host = host;
    this.#service = plan.descriptor.name;
    this.#parts = parts;
    this.#subscriber = {
      residence: plan.residence as CallerResidence,
      services: new Set(plan.residence === "root" ? [] : plan.remoteCallees),
      notify: (notice) => host.notify(notice as LinkNotice),
    };
  }

  /** @throws What stood in the way; nothing is left running then. */
  async start({ signal, calleesStarted, onStart }: LifeStart): Promise<void> {
    const { board, finishStart } = this.#parts;
    try {
      await Promise.all([this.host.load(signal), this.#orCalledOff(signal, calleesStarted)]);
      onStart();
      await this.host.start(board.subscribe(this.#subscriber) as LinkNotice[], signal);
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

  /** It is about to be killed: calls on it fail with that reason. */
  abandon(reason: string): void {
    this.#parts.board.abandon(this.#service, this.host, reason);
  }

  /** It has ended, or is about to: nobody calls it, and it hears of nobody. */
  leave(): void {
    this.withdraw();
    this.#parts.board.unsubscribe(this.#subscriber);
  }

  /** Repeated calls share one stop. */
  stop(): Promise<void> {
    this.leave();
    this.#stopping ??= this.host.stop();
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
