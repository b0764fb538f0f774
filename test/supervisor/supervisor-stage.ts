import { SharedHomes } from "../../src/app/remote-runtimes.js";
import type { Logger } from "../../src/base/logger.js";
import type { DeploymentPlan, Residence } from "../../src/graph/plan.js";
import type { ServiceSettings } from "../../src/options/settings.js";
import type { LinkUpdate } from "../../src/placement/control.js";
import type { CallerResidence } from "../../src/placement/placement.js";
import { CallerCounts, ReplicaRegistry } from "../../src/supervisor/replica-registry.js";
import type { SlotDeps } from "../../src/supervisor/replica-run.js";
import type { AppEvent } from "../../src/supervisor/replica-state.js";
import { FakeClock } from "../fake-clock.js";
import { FakeHost, FakeSite, type Step } from "./fake-host.js";

/** Differences from the default service: one replica in a process, no callees, unlimited memory. */
export interface PlanWish {
  readonly residence?: Residence;
  readonly replicas?: number | { readonly min: number; readonly max: number };
  readonly callees?: readonly string[];
  readonly memoryBytes?: number;
  readonly restart?: Partial<ServiceSettings["restart"]>;
  /** Name of the group whose processes it shares. */
  readonly group?: string;
}

/** Settings of every service. */
export const liveness = { intervalMs: 1000, suspendAfterMs: 5000, replaceAfterMs: 30_000, warmUpMs: 300_000 };
export const restart = {
  backoffMs: 100,
  maxBackoffMs: 10_000,
  resetAfterMs: 10_000,
  giveUpAfter: 4,
  slowBackoffMs: 30_000,
};
/** Calls that one replica should have in flight. */
export const targetInFlight = 8;

/** Makes the plan of one deployment, with the parts that a supervisor reads. */
export function createDeploymentPlan(name: string, wish: PlanWish = {}): DeploymentPlan {
  const { residence = "process", replicas = 1, callees = [], memoryBytes = Number.POSITIVE_INFINITY } = wish;
  const range = typeof replicas === "number" ? { min: replicas, max: replicas } : replicas;
  return {
    descriptor: { name },
    residence,
    group: wish.group === undefined ? undefined : { name: wish.group, members: [], kept: [] },
    replicas: range.min,
    callees,
    remoteCallees: callees,
    inlineCallees: [],
    settings: {
      replicas: { ...range, targetInFlight },
      resources: { memoryBytes },
      liveness,
      restart: { ...restart, ...wish.restart },
    },
  } as unknown as DeploymentPlan;
}

/**
 * Surroundings of replica slots in a test: hosts without replicas, a clock that stands still, and a recorded registry.
 */
export class SupervisorStage {
  readonly clock = new FakeClock();
  readonly registry = new ReplicaRegistry();
  /** Calls in flight of the app's own thread, by service. */
  callsInFlight: Record<string, number> = {};
  /** All hosts ever made, the oldest first. */
  readonly hosts: FakeHost[] = [];
  /** Steps asked of hosts: `"start A#0/0"`. */
  readonly journal: string[] = [];
  readonly progress: AppEvent[] = [];
  /** Lines of the log from `warn` on: `"warn A#0 ended …"`. */
  readonly lines: string[] = [];
  /** Steps that hosts made from now on hold. */
  readonly held = new Set<Step>();
  readonly deps: SlotDeps;
  readonly #shared = new SharedHomes<FakeSite>();
  /** Addresses that a caller in another process knows: by service, then by replica. */
  readonly #told = new Map<string, Map<string, string>>();

  constructor(finishStart?: SlotDeps["finishStart"]) {
    this.deps = {
      createHost: (plan, index) => this.#createHost(plan, index),
      registry: this.registry,
      clock: this.clock,
      calls: new CallerCounts(() => this.callsInFlight),
      log: this.#createLog(),
      onEvent: (event) => this.progress.push(event),
      random: () => 0,
      ...(finishStart && { finishStart }),
    };
  }

  /** Records the updates of the registry for these services. */
  watch(...services: string[]): void {
    for (const service of services) this.#told.set(service, new Map());
    let isListening = false;
    const notify = (notice: LinkUpdate) => {
      if (notice.kind === "add") this.#told.get(notice.service)?.set(notice.replica, notice.address);
      if (notice.kind === "remove") this.#told.get(notice.service)?.delete(notice.replica);
      if (notice.kind === "failed") this.lines.push(`failed ${notice.service} after ${notice.attempts}`);
      if (notice.kind === "planned" && isListening) this.lines.push(`planned ${notice.replicas} of ${notice.service}`);
    };
    this.registry.subscribe({ residence: "process", notify }, services);
    isListening = true;
  }

  /** Names of the hosts that a caller may call now: `["A#0/1"]`. */
  announced(service: string): string[] {
    return [...(this.#told.get(service)?.values() ?? [])].sort();
  }

  /** Returns a host. @param name For example `"A#0/1"`. */
  host(name: string): FakeHost {
    const found = this.hosts.find((host) => host.name === name);
    if (found === undefined) throw new Error(`there is no host ${name}, only ${this.hosts.map((host) => host.name)}`);
    return found;
  }

  /** Names of the hosts that have not ended. */
  get running(): string[] {
    return this.hosts.filter((host) => host.isRunning).map((host) => host.name);
  }

  /** Returns and clears the steps asked of hosts. */
  takeJournal(): string[] {
    return this.journal.splice(0);
  }

  /** Moves time on in small steps, so that the effects of each timer are complete before the next one. */
  async pass(ms: number, stepMs = 50): Promise<void> {
    for (let left = ms; left > 0; left -= stepMs) {
      this.clock.advance(Math.min(stepMs, left));
      await settled();
    }
  }

  #createHost(plan: DeploymentPlan, index: number): FakeHost {
    const id = `${plan.descriptor.name}#${index}`;
    const life = this.hosts.filter((host) => host.id === id).length;
    const create = () => new FakeSite(plan.residence as CallerResidence);
    const site = plan.group === undefined ? create() : this.#shared.take(plan.group.name, { id, index }, create);
    const host = new FakeHost({
      ...{ plan, index, life, site, held: this.held },
      onAsked: (what) => this.journal.push(what),
    });
    this.hosts.push(host);
    return host;
  }

  #createLog(): Logger {
    const write = (level: string) => (_: object, message?: string) => {
      this.lines.push(`${level} ${message}`);
    };
    const log: Logger = {
      debug: () => {},
      info: () => {},
      warn: write("warn"),
      error: write("error"),
      child: () => log,
    };
    return log;
  }
}

/** Resolves when everything that needs no time has happened. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
