import type { Plan } from "../graph/plan.js";
import type { DeploymentFigures } from "../observe/metrics.js";
import type { Readiness, ServiceReadiness } from "../observe/readiness.js";
import type { ReplicaHost } from "../placement/placement.js";
import { Deployment } from "./deployment.js";
import type { SlotDeps } from "./replica-run.js";
import type { DownReason } from "./replica-slot.js";

// Keeps the replicas of an app as its plan says.
//
// JV1  A service starts when all of its callees have started. Services that do not wait for one another start at the
//      same time. Processes and threads all come up, and load the author's files, at the same time.
// JV2  Callers drain and stop before their callees, so that an accepted call can still reach what it calls. Services
//      that do not call one another drain and stop at the same time: one that is stuck delays only its own callees.
// JV3  When one service fails to start, those that started are stopped and the failure is thrown.

export class Supervisor {
  readonly #plan: Plan;
  readonly #deps: SlotDeps;
  readonly #deployments: ReadonlyMap<string, Deployment>;
  #stopping: Promise<void> | undefined;

  constructor(plan: Plan, deps: SlotDeps) {
    this.#plan = plan;
    this.#deps = deps;
    const own = plan.deployments.filter(({ residence }) => residence !== "caller" && residence !== "elsewhere");
    this.#deployments = new Map(
      own.map((deployment) => [deployment.descriptor.name, new Deployment(deployment, deps)]),
    );
  }

  /** Starts every service, callees first. @throws {ServingError} The first failure (JV3). */
  async start(): Promise<void> {
    for (const message of this.#plan.notices) this.#deps.onEvent({ kind: "notice", message });
    const started = new Map<string, Promise<void>>();
    for (const deployment of this.#deployments.values()) {
      const calleesStarted = Promise.all(calleesOf(deployment).map((callee) => started.get(callee)));
      started.set(deployment.service, deployment.start(calleesStarted));
    }
    try {
      await Promise.all(started.values());
    } catch (error) {
      for (const deployment of this.#deployments.values()) deployment.callOff();
      await this.#stopAll();
      await Promise.allSettled(started.values());
      throw error;
    }
  }

  /**
   * Drains and stops every service, callers first. Repeated calls share one stop.
   *
   * @param limit Aborted when calls in flight are to be cancelled instead of awaited.
   */
  stop(limit?: AbortSignal): Promise<void> {
    this.#stopping ??= this.#drainAndStop(limit);
    return this.#stopping;
  }

  async readiness(): Promise<Readiness> {
    const own = await Promise.all([...this.#deployments.values()].map((deployment) => deployment.readiness()));
    const services = [...own, ...this.#remoteReadiness()];
    return { isReady: this.#stopping === undefined && services.every((service) => service.isReady), services };
  }

  /** Reason why a service is down; `undefined` if it is not. */
  downOf(service: string): DownReason | undefined {
    return this.#deployments.get(service)?.down;
  }

  /** Figures of each service for the metrics page. */
  get figures(): readonly DeploymentFigures[] {
    return [...this.#deployments.values()].map((deployment) => deployment.figures);
  }

  /** Kills one replica; resolves when its slot is filled again. */
  replaceReplica(service: string, index: number): Promise<void> {
    return this.#deploymentOf(service).replaceReplica(index);
  }

  /** Replicas that a service has now. */
  hostsOf(service: string): readonly ReplicaHost[] {
    return this.#deployments.get(service)?.hosts ?? [];
  }

  get hosts(): readonly ReplicaHost[] {
    return [...this.#deployments.values()].flatMap((deployment) => deployment.hosts);
  }

  /** Services that run elsewhere, as the callers that can reach most of their replicas report them. */
  #remoteReadiness(): ServiceReadiness[] {
    const all = [...this.#deployments.values()].flatMap(({ remotes }) => remotes);
    const best = new Map<string, ServiceReadiness>();
    for (const state of [...all, ...(this.#deps.readRemotes?.() ?? [])]) {
      const known = best.get(state.name);
      if (known === undefined || known.readyReplicas < state.readyReplicas) best.set(state.name, state);
    }
    return [...best.values()];
  }

  async #drainAndStop(limit: AbortSignal | undefined): Promise<void> {
    const cut = limit === undefined ? undefined : new Promise<void>((resolve) => onAbort(limit, resolve));
    await this.#callersFirst((deployment) =>
      cut === undefined ? deployment.drain() : Promise.race([deployment.drain(), cut]),
    );
    await this.#stopAll();
    this.#deps.onEvent({ kind: "stopped" });
  }

  #stopAll(): Promise<void> {
    return this.#callersFirst((deployment) => deployment.stop());
  }

  /**
   * Takes a step with each service once all of its callers have taken theirs (JV2). Services without callers go
   * first.
   */
  async #callersFirst(step: (deployment: Deployment) => Promise<void>): Promise<void> {
    const callers = new Map<string, Promise<void>[]>();
    const steps = [...this.#deployments.values()].reverse().map((deployment) => {
      const before = callers.get(deployment.service);
      const taken = before === undefined ? step(deployment) : Promise.all(before).then(() => step(deployment));
      for (const callee of calleesOf(deployment)) callers.set(callee, [...(callers.get(callee) ?? []), taken]);
      return taken;
    });
    await Promise.all(steps);
  }

  #deploymentOf(service: string): Deployment {
    return this.#deployments.get(service) as Deployment;
  }
}

/** Returns the callees that have replicas of their own, or that live beside it in the app's own thread. */
const calleesOf = ({ plan }: Deployment): readonly string[] =>
  plan.residence === "main" ? plan.callees : plan.remoteCallees;

function onAbort(signal: AbortSignal, run: () => void): void {
  if (signal.aborted) run();
  else signal.addEventListener("abort", run, { once: true });
}
