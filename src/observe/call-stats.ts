import type { Code } from "../failure/serving-error.js";

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
interface LanePressure {
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
class BatchStats {
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

/** Upper bounds of the buckets in seconds: 100 us for a hop in memory up to a minute for a slow model. */
const durationBounds: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];

/** Upper bounds of the buckets for counts of things: rows and calls of a batch. */
const countBounds: readonly number[] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

/** Counts of figures by bucket; observing one costs a short search and no allocation. */
export class Histogram {
  readonly bounds: readonly number[];
  /** One entry a bound and one for what is larger; not cumulative. */
  readonly counts: Float64Array;
  sum = 0;

  constructor(bounds: readonly number[] = durationBounds) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  /** Takes a duration, into buckets of seconds. */
  observe(ms: number): void {
    this.add(ms / 1000);
  }

  /** Takes a figure in the unit of the bounds. */
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

/** How an attempt of a task ended, as metrics name it. */
export type AttemptOutcome = "completed" | "failed" | "canceled" | "retried" | "given_back" | "lost";

/** Tasks of one api, as the replicas of this process see them. */
export class TaskStats {
  readonly service: string;
  readonly api: string;
  submitted = 0;
  /** Attempts that are not recorded yet. */
  running = 0;
  readonly byOutcome = new Map<AttemptOutcome, number>();
  /** Time of attempts, from the claim until their end was recorded. */
  readonly attemptTime = new Histogram();
  /** Set in the one replica that counts the tasks which wait: the count as it was a moment ago. */
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
