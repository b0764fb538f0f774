import type { Code } from "../failure/codes.js";
import { countBounds, Histogram } from "./histogram.js";
import { TaskStats } from "./task-stats.js";

/** Calls over one edge, as the caller sees them: from the handle to the answer. */
export class EdgeStats {
  /** Name of the calling service; `"http"` for the edge, `"local"` for a program or a test. */
  readonly caller: string;
  readonly service: string;
  readonly api: string;
  inFlight = 0;
  /** Calls that were not sent, since their callee had no room. */
  withheld = 0;
  /** Whether its calls wait for tasks, which are the load, and are none themselves. */
  isWaiting = false;
  readonly byOutcome = new Map<Code | "ok", Histogram>();
  #ok: Histogram | undefined;

  constructor(caller: string, service: string, api: string) {
    this.caller = caller;
    this.service = service;
    this.api = api;
  }

  record(outcome: Code | "ok", ms: number): void {
    if (outcome === "ok") {
      this.#ok ??= this.#histogramOf(outcome);
      this.#ok.observe(ms);
    } else {
      this.#histogramOf(outcome).observe(ms);
    }
  }

  #histogramOf(outcome: Code | "ok"): Histogram {
    let histogram = this.byOutcome.get(outcome);
    if (histogram === undefined) this.byOutcome.set(outcome, (histogram = new Histogram()));
    return histogram;
  }
}

/** How one lane stands: what comes beside what it can answer. */
export interface LanePressure {
  readonly isOverloaded: boolean;
  /** Milliseconds that one more call would wait; `undefined` while too little is known, or nothing waits. */
  expectWait(priority: "interactive"): number | undefined;
}

/** Why a lane refuses a call: its count is full, more calls come than it answers, or this one would be too late. */
export type RefusalReason = "full" | "overloaded" | "late";

/** Calls in one api's lanes, as the replicas see them: waiting apart from running. */
export class LaneStats {
  readonly service: string;
  readonly api: string;
  running = 0;
  queued = 0;
  /** Each counts, for one lane, the calls that still run though nobody waits for them any more. */
  readonly overdue = new Set<() => number>();
  /** One for each lane. */
  readonly admissions = new Set<LanePressure>();
  readonly refused: Record<RefusalReason, number> = { full: 0, overloaded: 0, late: 0 };
  readonly queueTime = new Histogram();
  readonly runTime = new Histogram();

  constructor(service: string, api: string) {
    this.service = service;
    this.api = api;
  }
}

/** Batches of one api that joins calls, as the replicas see them. */
export class BatchStats {
  readonly service: string;
  readonly api: string;
  readonly rows = new Histogram(countBounds);
  readonly calls = new Histogram(countBounds);
  /** How many batches left, by why they left when they did. */
  readonly byReason = new Map<string, number>();

  constructor(service: string, api: string) {
    this.service = service;
    this.api = api;
  }

  record(rows: number, calls: number, reason: string): void {
    this.rows.add(rows);
    this.calls.add(calls);
    this.byReason.set(reason, (this.byReason.get(reason) ?? 0) + 1);
  }
}

/** Every figure of one process; read when metrics are asked for. */
export class CallStats {
  readonly edges = new Map<string, EdgeStats>();
  readonly lanes = new Map<string, LaneStats>();
  readonly tasks = new Map<string, TaskStats>();
  readonly batches = new Map<string, BatchStats>();
  /** Unfinished tasks of apis that the app does not have; counted in one replica of it. */
  orphans: readonly { readonly service: string; readonly api: string; readonly count: number }[] = [];
  /** By service: attempts to reach a replica of it that failed. */
  readonly linkFailures = new Map<string, number>();

  /** Bytes of large values that this process has read, and the service it is there for. */
  decoded: { readonly service: string; readonly bytes: () => number } | undefined;

  countLinkFailure(service: string): void {
    this.linkFailures.set(service, (this.linkFailures.get(service) ?? 0) + 1);
  }

  /** Calls in flight from here by service, without those that wait for tasks; services that have none are left out. */
  get inFlightByService(): Readonly<Record<string, number>> {
    const calls: Record<string, number> = {};
    for (const { service, inFlight, isWaiting } of this.edges.values()) {
      if (inFlight > 0 && !isWaiting) calls[service] = (calls[service] ?? 0) + inFlight;
    }
    return calls;
  }

  /** The figures of one edge; the same object for each handle on it. */
  edge(caller: string, service: string, api: string): EdgeStats {
    const key = `${caller}\n${service}\n${api}`;
    let stats = this.edges.get(key);
    if (stats === undefined) this.edges.set(key, (stats = new EdgeStats(caller, service, api)));
    return stats;
  }

  /** The figures of one api; shared by the lanes of all its replicas in this process. */
  lane(service: string, api: string): LaneStats {
    const key = `${service}\n${api}`;
    let stats = this.lanes.get(key);
    if (stats === undefined) this.lanes.set(key, (stats = new LaneStats(service, api)));
    return stats;
  }

  /** Tasks of one api; shared by all its replicas in this process. */
  task(service: string, api: string): TaskStats {
    const key = `${service}\n${api}`;
    let stats = this.tasks.get(key);
    if (stats === undefined) this.tasks.set(key, (stats = new TaskStats(service, api)));
    return stats;
  }

  /** The figures of the batches of one api; shared as those of its lanes. */
  batch(service: string, api: string): BatchStats {
    const key = `${service}\n${api}`;
    let stats = this.batches.get(key);
    if (stats === undefined) this.batches.set(key, (stats = new BatchStats(service, api)));
    return stats;
  }
}
