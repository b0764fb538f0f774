import type { BatchSettings } from "../../src/options/settings.js";
import { BatchWindow, type LeaveReason } from "../../src/replica/batch/batch-window.js";

/** Callers of a simulation; each call has one row. */
export interface Crowd {
  /** Arrival times of calls that come regardless of the answers, in order. */
  readonly arrivals?: readonly number[];
  /** Callers that call again a fixed time after each answer. */
  readonly callers?: readonly { readonly thinkMs: () => number }[];
}

/** Replica and callers of a simulation. */
export interface Simulation {
  readonly settings?: Partial<BatchSettings>;
  /** Duration of a batch of this many rows. */
  readonly costMs: (rows: number) => number;
  readonly crowd: Crowd;
  /** True when the model blocks the event loop: calls that arrive meanwhile are seen when it is done. */
  readonly isBlocking?: boolean;
  /** Time to stop at; the callers would never stop. */
  readonly untilMs: number;
}

/** One batch of a simulation. */
export interface SimulatedBatch {
  readonly leftAt: number;
  readonly rows: number;
  readonly reason: LeaveReason;
  /** Time that the batch waited after the first moment at which it could have left. */
  readonly waitedMs: number;
}

export interface SimulationResult {
  readonly batches: readonly SimulatedBatch[];
  /** Time from the arrival of a row to its result, in the order of results. */
  readonly latencies: readonly number[];
}

interface Row {
  readonly cameAt: number;
  readonly caller: number | undefined;
}

/** Runs a batch window against these callers, in virtual time. */
export function simulate(simulation: Simulation): SimulationResult {
  return new Simulator(simulation).run();
}

class Simulator {
  readonly #simulation: Simulation;
  readonly #window: BatchWindow;
  readonly #coming: Row[] = [];
  readonly #waiting: { readonly row: Row; readonly seenAt: number }[] = [];
  readonly #batches: SimulatedBatch[] = [];
  readonly #latencies: number[] = [];
  #running: { readonly rows: readonly Row[]; readonly leftAt: number; readonly endsAt: number } | undefined;
  #askAgainAt = Number.POSITIVE_INFINITY;
  #freeSince = 0;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
    const settings = { maxRows: 64, targetLatencyMs: Number.POSITIVE_INFINITY, windowMs: undefined, maxConcurrent: 1 };
    this.#window = new BatchWindow({ ...settings, ...simulation.settings });
    const { arrivals = [], callers = [] } = simulation.crowd;
    for (const cameAt of arrivals) this.#coming.push({ cameAt, caller: undefined });
    callers.forEach(({ thinkMs }, caller) => {
      this.#come({ cameAt: thinkMs(), caller });
    });
  }

  run(): SimulationResult {
    for (let now = this.#nextInstant(); now < this.#simulation.untilMs; now = this.#nextInstant()) this.#step(now);
    return { batches: this.#batches, latencies: this.#latencies };
  }

  #nextInstant(): number {
    const isDeaf = this.#running !== undefined && this.#simulation.isBlocking === true;
    const arrival = isDeaf ? undefined : this.#coming[0]?.cameAt;
    return Math.min(arrival ?? Number.POSITIVE_INFINITY, this.#running?.endsAt ?? this.#askAgainAt);
  }

  /** Waits one turn of the event loop. */
  #step(now: number): void {
    if (this.#running !== undefined && this.#running.endsAt <= now) this.#endBatch(this.#running, now);
    while ((this.#coming[0]?.cameAt ?? Number.POSITIVE_INFINITY) <= now) {
      this.#waiting.push({ row: this.#coming.shift() as Row, seenAt: now });
    }
    this.#askAgainAt = Number.POSITIVE_INFINITY;
    const [first] = this.#waiting;
    if (this.#running !== undefined || first === undefined) return;
    const rows = this.#waiting.length;
    const decision = this.#window.decide({ now, rows, since: first.seenAt, deadline: () => Number.POSITIVE_INFINITY });
    if ("waitUntil" in decision) this.#askAgainAt = decision.waitUntil;
    else this.#startBatch(decision.leave, now);
  }

  #startBatch(reason: LeaveReason, now: number): void {
    const taken = this.#waiting.splice(0, this.#window.mostRows);
    const rows = taken.map(({ row }) => row);
    const couldLeaveAt = Math.max(this.#freeSince, taken[0]?.seenAt ?? now);
    this.#window.left();
    this.#batches.push({ leftAt: now, rows: rows.length, reason, waitedMs: now - couldLeaveAt });
    this.#running = { rows, leftAt: now, endsAt: now + this.#simulation.costMs(rows.length) };
  }

  #endBatch({ rows, leftAt }: { readonly rows: readonly Row[]; readonly leftAt: number }, now: number): void {
    this.#running = undefined;
    this.#freeSince = now;
    this.#window.ended(now, rows.length, now - leftAt);
    for (const { cameAt, caller } of rows) {
      this.#latencies.push(now - cameAt);
      const thinkMs = caller === undefined ? undefined : this.#simulation.crowd.callers?.[caller]?.thinkMs;
      if (thinkMs !== undefined) this.#come({ cameAt: now + thinkMs(), caller });
    }
  }

  #come(row: Row): void {
    const at = this.#coming.findIndex(({ cameAt }) => cameAt > row.cameAt);
    this.#coming.splice(at < 0 ? this.#coming.length : at, 0, row);
  }
}
