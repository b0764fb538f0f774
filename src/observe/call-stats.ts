import type { Code } from "../failure/serving-error.js";

/** Counts of calls over one edge, measured by the caller from the handle to the answer. */
export class EdgeStats {
  /** Name of the calling service; `"http"` for the HTTP server, `"local"` for a program or a test. */
  readonly caller: string;
  readonly service: string;
  readonly api: string;
  inFlight = 0;
  /** Calls that were not sent, because their callee had no room. */
  withheld = 0;
  /** True when the calls only wait for tasks: the tasks count as load, these calls do not. */
  isWaiting = false;
  readonly byOutcome = new Map<Code | "ok", Histogram>();
  /** Times from the call of a stream to its first item; absent until there was one. */
  firstItem: Histogram | undefined;
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

  recordFirstItem(ms: number): void {
    this.firstItem ??= new Histogram();
    this.firstItem.observe(ms);
  }

  #histogramOf(outcome: Code | "ok"): Histogram {
    let histogram = this.byOutcome.get(outcome);
    if (histogram === undefined) this.byOutcome.set(outcome, (histogram = new Histogram()));
    return histogram;
  }
}

/** State of one lane: its arrival rate compared with its answer rate. */
interface LanePressure {
  readonly isOverloaded: boolean;
  /** Milliseconds that one more call would wait; `undefined` while too little is known, or no call waits. */
  expectWait(priority: "interactive"): number | undefined;
}

/**
 * Reason why a lane refuses a call: its queue is full, calls arrive faster than answers leave, or it would miss its
 * deadline.
 */
export type RefusalReason = "full" | "overloaded" | "late";

/** Counts of calls in one api's lanes, measured by the replicas: waiting apart from running. */
export class LaneStats {
  readonly service: string;
  readonly api: string;
  running = 0;
  queued = 0;
  /** Counters, one for each lane, of calls that still run although their caller no longer waits. */
  readonly overdue = new Set<() => number>();
  /** Admission of each lane. */
  readonly admissions = new Set<LanePressure>();
  readonly refused: Record<RefusalReason, number> = { full: 0, overloaded: 0, late: 0 };
  readonly queueTime = new Histogram();
  readonly runTime = new Histogram();

  constructor(service: string, api: string) {
    this.service = service;
    this.api = api;
  }
}

/** Counts of batches of one api, measured by the replicas. */
class BatchStats {
  readonly service: string;
  readonly api: string;
  readonly rows = new Histogram(countBounds);
  readonly calls = new Histogram(countBounds);
  /** Number of batches by the reason why they left at that moment. */
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

/** Counts of the cache of one api, measured by the replicas of this process. */
export class CacheStats {
  readonly service: string;
  readonly api: string;
  /** Calls that were given a kept answer. */
  hits = 0;
  /** Calls that began a run. */
  misses = 0;
  /** Calls that waited for the run of another one. */
  joined = 0;
  /** Readers of what is kept, one for each replica. */
  readonly sizes = new Set<() => { readonly entries: number; readonly bytes: number }>();

  constructor(service: string, api: string) {
    this.service = service;
    this.api = api;
  }
}

/** Requests that were refused with one status and one failure. */
interface RefusalCount {
  readonly status: number;
  /** Id of the failure; `"other"` for one more than are told apart. */
  readonly id: string;
  count: number;
}

/** Most pairs of status and id that are counted apart: plugins of an author may make ids. */
const maxRefusalKinds = 200;

/** Kind of problem with a service that runs elsewhere, as metrics name it. */
export type RemoteProblem = "name" | "connect" | "timeout" | "hello" | "contract" | "silent" | "lost";

/** Counts of the links of this process to a service that runs elsewhere. */
export interface RemoteFigures {
  readonly failures: Map<RemoteProblem, number>;
  /** Reads the present numbers; absent once the links are closed. */
  read: (() => { readonly addresses: number; readonly links: number }) | undefined;
}

/** All figures of one process; read when metrics are requested. */
export class CallStats {
  readonly edges = new Map<string, EdgeStats>();
  readonly lanes = new Map<string, LaneStats>();
  readonly tasks = new Map<string, TaskStats>();
  readonly batches = new Map<string, BatchStats>();
  readonly caches = new Map<string, CacheStats>();
  /** Unfinished tasks of apis that the app no longer has; counted in one replica of the app. */
  orphans: readonly { readonly service: string; readonly api: string; readonly count: number }[] = [];
  /** Held tasks of apis that the app has; counted in one replica of the app. */
  held: readonly { readonly service: string; readonly api: string; readonly count: number }[] = [];
  /** Failed attempts to reach a replica, by service. */
  readonly linkFailures = new Map<string, number>();
  /** Links to services that run elsewhere, by service. */
  readonly remotes = new Map<string, RemoteFigures>();
  /** Requests that were answered with a failure before they reached an api, by status and id. */
  readonly refusals = new Map<string, RefusalCount>();

  /** Bytes of large values that this process has read, and the service that it runs. */
  decoded: { readonly service: string; readonly bytes: () => number } | undefined;

  countLinkFailure(service: string): void {
    this.linkFailures.set(service, (this.linkFailures.get(service) ?? 0) + 1);
  }

  /** Returns the figures of the links to one service that runs elsewhere. */
  remote(service: string): RemoteFigures {
    let figures = this.remotes.get(service);
    if (figures === undefined) this.remotes.set(service, (figures = { failures: new Map(), read: undefined }));
    return figures;
  }

  /** Counts a request that was refused before it reached an api. */
  countRefusal(status: number, failureId: string): void {
    const isKnown = this.refusals.has(`${status} ${failureId}`) || this.refusals.size < maxRefusalKinds;
    const id = isKnown ? failureId : "other";
    const key = `${status} ${id}`;
    const refusal = this.refusals.get(key) ?? { status, id, count: 0 };
    refusal.count++;
    this.refusals.set(key, refusal);
  }

  /**
   * Calls in flight from this process by callee, without calls that wait for tasks. Services without calls are left
   * out.
   */
  get inFlightByService(): Readonly<Record<string, number>> {
    const calls: Record<string, number> = {};
    for (const { service, inFlight, isWaiting } of this.edges.values()) {
      if (inFlight > 0 && !isWaiting) calls[service] = (calls[service] ?? 0) + inFlight;
    }
    return calls;
  }

  /** Returns the figures of one edge; all handles of the edge share them. */
  edge(caller: string, service: string, api: string): EdgeStats {
    const key = `${caller}\n${service}\n${api}`;
    let stats = this.edges.get(key);
    if (stats === undefined) this.edges.set(key, (stats = new EdgeStats(caller, service, api)));
    return stats;
  }

  /** Returns the figures of one api; the lanes of all its replicas in this process share them. */
  lane(service: string, api: string): LaneStats {
    const key = `${service}\n${api}`;
    let stats = this.lanes.get(key);
    if (stats === undefined) this.lanes.set(key, (stats = new LaneStats(service, api)));
    return stats;
  }

  /** Returns the figures of one api's tasks; all its replicas in this process share them. */
  task(service: string, api: string): TaskStats {
    const key = `${service}\n${api}`;
    let stats = this.tasks.get(key);
    if (stats === undefined) this.tasks.set(key, (stats = new TaskStats(service, api)));
    return stats;
  }

  /** Returns the figures of one api's cache; all its replicas in this process share them. */
  cache(service: string, api: string): CacheStats {
    const key = `${service}\n${api}`;
    let stats = this.caches.get(key);
    if (stats === undefined) this.caches.set(key, (stats = new CacheStats(service, api)));
    return stats;
  }

  /** Returns the figures of one api's batches; all its replicas in this process share them. */
  batch(service: string, api: string): BatchStats {
    const key = `${service}\n${api}`;
    let stats = this.batches.get(key);
    if (stats === undefined) this.batches.set(key, (stats = new BatchStats(service, api)));
    return stats;
  }
}

/** Upper bounds of the buckets in seconds: from 100 us for a hop in memory to a minute for a slow model. */
const durationBounds: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];

/** Upper bounds of the buckets for counts: rows and calls of a batch. */
const countBounds: readonly number[] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

/** Histogram with fixed buckets. One observation costs a short search and no allocation. */
export class Histogram {
  readonly bounds: readonly number[];
  /** Counts, one for each bound and one for larger values; not cumulative. */
  readonly counts: Float64Array;
  sum = 0;

  constructor(bounds: readonly number[] = durationBounds) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  /** Adds a duration in milliseconds to buckets of seconds. */
  observe(ms: number): void {
    this.add(ms / 1000);
  }

  /** Adds a value in the unit of the bounds. */
  add(figure: number): void {
    const { bounds, counts } = this;
    let bucket = 0;
    while (bucket < bounds.length && figure > (bounds[bucket] as number)) bucket++;
    counts[bucket] = (counts[bucket] as number) + 1;
    this.sum += figure;
  }

  get count(): number {
    return this.counts.reduce((total, count) => total + count, 0);
  }
}

/** End of an attempt of a task, as metrics name it. */
export type AttemptOutcome = "completed" | "failed" | "canceled" | "retried" | "given_back" | "held" | "lost";

/** Counts of tasks of one api, measured by the replicas of this process. */
export class TaskStats {
  readonly service: string;
  readonly api: string;
  submitted = 0;
  /** Attempts without a recorded end. */
  running = 0;
  readonly byOutcome = new Map<AttemptOutcome, number>();
  /** Durations of attempts, from the claim until the end was recorded. */
  readonly attemptTime = new Histogram();
  /** Reads the recent number of waiting tasks; set only in the replica that counts them. */
  readWaiting: (() => number) | undefined;

  constructor(service: string, api: string) {
    this.service = service;
    this.api = api;
  }

  record(outcome: AttemptOutcome, ms: number): void {
    this.byOutcome.set(outcome, (this.byOutcome.get(outcome) ?? 0) + 1);
    this.attemptTime.observe(ms);
  }
}
