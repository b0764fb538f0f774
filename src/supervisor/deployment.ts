import type { Clock } from "../base/clock.js";
import type { ServingError } from "../failure/serving-error.js";
import { toServingError } from "../failure/to-serving-error.js";
import type { DeploymentPlan } from "../graph/plan.js";
import type { Directory } from "../handle/directory.js";
import type { ServiceReadiness } from "../observe/readiness.js";
import type { ReplicaHost } from "../placement/placement.js";
import type { OnProgress } from "./progress.js";

// The replicas of one service.
//
// D1  A link is in the directory only while its replica is started and not draining.
// D2  A replica leaves the directory before it is asked to drain or to stop.

/** What deployments need of their surroundings. */
export interface DeploymentParts {
  readonly createHost: (plan: DeploymentPlan, index: number) => ReplicaHost;
  readonly directory: Directory;
  readonly clock: Clock;
  readonly onProgress: OnProgress;
}

export class Deployment {
  readonly plan: DeploymentPlan;
  readonly #parts: DeploymentParts;
  readonly #hosts = new Map<number, ReplicaHost>();

  constructor(plan: DeploymentPlan, parts: DeploymentParts) {
    this.plan = plan;
    this.#parts = parts;
    parts.directory.of(plan.descriptor.name).planned = plan.replicas;
  }

  get service(): string {
    return this.plan.descriptor.name;
  }

  /** Starts every replica at once; waits for all. @throws the first failure; those that started are left to `stop`. */
  async start(signal: AbortSignal): Promise<void> {
    const indices = Array.from({ length: this.plan.replicas }, (_, index) => index);
    const results = await Promise.allSettled(indices.map((index) => this.#startReplica(index, signal)));
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  /** Ends one replica as a crash would, and starts another in its place. */
  async replaceReplica(index: number, signal: AbortSignal): Promise<void> {
    const host = this.#hosts.get(index);
    if (host !== undefined) await this.#stopReplica(index, host);
    await this.#startReplica(index, signal);
  }

  async drain(): Promise<void> {
    for (const host of this.#hosts.values()) this.#parts.directory.remove(this.service, host.link);
    await Promise.all([...this.#hosts.values()].map((host) => host.drain()));
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#hosts].map(([index, host]) => this.#stopReplica(index, host)));
  }

  async readiness(): Promise<ServiceReadiness> {
    const answers = await Promise.all([...this.#hosts.values()].map((host) => host.isReady()));
    const readyReplicas = answers.filter(Boolean).length;
    const { replicas } = this.plan;
    const isReady = readyReplicas > 0;
    const detail = isReady ? undefined : `${readyReplicas} of ${replicas} replicas are ready`;
    return { name: this.service, isReady, readyReplicas, replicas, ...(detail && { detail }) };
  }

  async #startReplica(index: number, signal: AbortSignal): Promise<void> {
    const { createHost, directory, clock, onProgress } = this.#parts;
    const { service } = this;
    const replica = `${service}#${index}`;
    const begun = clock.now();
    onProgress({ kind: "starting", service, replica });
    try {
      const host = createHost(this.plan, index);
      await host.start(signal);
      this.#hosts.set(index, host);
      directory.add(service, host.link);
      onProgress({ kind: "started", service, replica, ms: clock.now() - begun });
    } catch (thrown) {
      const error = toServingError(thrown, service, "");
      onProgress({ kind: "failed", service, replica, hook: hookOf(error), error, ms: clock.now() - begun });
      throw error;
    }
  }

  async #stopReplica(index: number, host: ReplicaHost): Promise<void> {
    this.#parts.directory.remove(this.service, host.link);
    this.#hosts.delete(index);
    await host.stop();
  }
}

const hookOf = (error: ServingError): string => (error.details["hook"] as string | undefined) ?? "start";
