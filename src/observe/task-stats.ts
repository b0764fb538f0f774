import { Histogram } from "./histogram.js";

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
