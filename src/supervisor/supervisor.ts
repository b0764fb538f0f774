import type { Plan } from "../graph/plan.js";
import type { Readiness } from "../observe/readiness.js";
import { Deployment, type DeploymentParts } from "./deployment.js";

// Keeps the plan true.
//
// S1  A service starts when all it calls have started, and at the same time as others that do not wait for it.
// S2  Callers drain before callees, so that a call already accepted finds what it calls.
// S3  When one service fails to start, those that started are stopped and the failure is thrown.

export class Supervisor {
  readonly #plan: Plan;
  readonly #parts: DeploymentParts;
  readonly #deployments: ReadonlyMap<string, Deployment>;
  readonly #abort = new AbortController();
  #stopping: Promise<void> | undefined;

  constructor(plan: Plan, parts: DeploymentParts) {
    this.#plan = plan;
    this.#parts = parts;
    this.#deployments = new Map(plan.deployments.map((own) => [own.descriptor.name, new Deployment(own, parts)]));
  }

  /** Starts every service, callees first. @throws {ServingError} the first failure (S3). */
  async start(): Promise<void> {
    for (const message of this.#plan.notices) this.#parts.onProgress({ kind: "notice", message });
    const started = new Map<string, Promise<void>>();
    for (const { descriptor, callees } of this.#plan.deployments) {
      const before = Promise.all(callees.map((callee) => started.get(callee)));
      const deployment = this.#deploymentOf(descriptor.name);
      started.set(
        descriptor.name,
        before.then(() => deployment.start(this.#abort.signal)),
      );
    }
    try {
      await Promise.all(started.values());
    } catch (error) {
      this.#abort.abort(error);
      await Promise.allSettled(started.values());
      await this.#stopAll();
      throw error;
    }
  }

  /**
   * Drains and stops every service, callers first. Repeated calls share one stop.
   *
   * @param limit Aborted when what is still in flight should be cancelled instead of awaited.
   */
  stop(limit?: AbortSignal): Promise<void> {
    this.#stopping ??= this.#drainAndStop(limit);
    return this.#stopping;
  }

  async readiness(): Promise<Readiness> {
    const services = await Promise.all([...this.#deployments.values()].map((deployment) => deployment.readiness()));
    return { isReady: this.#stopping === undefined && services.every((service) => service.isReady), services };
  }

  /** Ends one replica as a crash would, and starts another in its place. */
  replaceReplica(service: string, index: number): Promise<void> {
    return this.#deploymentOf(service).replaceReplica(index, this.#abort.signal);
  }

  async #drainAndStop(limit: AbortSignal | undefined): Promise<void> {
    this.#abort.abort();
    const cut = limit === undefined ? undefined : new Promise<void>((resolve) => onAbort(limit, resolve));
    for (const deployment of this.#callersFirst()) {
      await (cut === undefined ? deployment.drain() : Promise.race([deployment.drain(), cut]));
    }
    await this.#stopAll();
    this.#parts.onProgress({ kind: "stopped" });
  }

  async #stopAll(): Promise<void> {
    for (const deployment of this.#callersFirst()) await deployment.stop();
  }

  #callersFirst(): Deployment[] {
    return [...this.#deployments.values()].reverse();
  }

  #deploymentOf(service: string): Deployment {
    return this.#deployments.get(service) as Deployment;
  }
}

function onAbort(signal: AbortSignal, run: () => void): void {
  if (signal.aborted) run();
  else signal.addEventListener("abort", run, { once: true });
}
