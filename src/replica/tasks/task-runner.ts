import { hostname } from "node:os";
import type { Timer } from "../../base/clock.js";
import { GrowingPause } from "../../base/repeat-pace.js";
import { fail } from "../../failure/failures.js";
import type { ClaimedTask, ClaimRequest } from "../../tasks/task-store.js";
import { encodeError } from "../../transport/wire-error.js";
import { type AttemptDeps, TaskAttempt } from "./task-attempt.js";

// Runs the tasks of one api in one replica.
//
// RN1  No more tasks are claimed than the lane has free slots.
// RN2  There is one claim at a time. News that arrives meanwhile causes another claim after it. The store is not asked
//      while there is no news, no free slot and no due task.
// RN3  After `drain` nothing is claimed. Tasks that a claim in flight still returns are given back.
// RN4  A store that is out of reach is asked again, after pauses that grow.

const firstPauseMs = 100;
const maxPauseMs = 10_000;
/** Shortest wait for a task that is due although the last claim did not find it. */
const leastWaitMs = 5;
/** Longest delay of a timer. */
const longestWaitMs = 2 ** 31 - 1;

export class TaskRunner {
  readonly #deps: AttemptDeps;
  readonly #request: Omit<ClaimRequest, "limit">;
  readonly #attempts = new Map<string, TaskAttempt>();
  #claiming: Promise<void> | undefined;
  #isStale = false;
  #isDraining = false;
  #timer: Timer | undefined;
  readonly #pause = new GrowingPause(firstPauseMs, maxPauseMs);

  constructor(deps: Omit<AttemptDeps, "onSlotFree">) {
    this.#deps = { ...deps, onSlotFree: () => this.wake() };
    const { host, task, namespace, life, leaseMs } = deps;
    const { service } = host;
    const { name, settings } = task;
    this.#request = {
      namespace,
      service,
      api: name,
      leaseMs,
      owner: `${host.id}@${hostname()}:${process.pid}/${life}`,
      maxAttempts: settings.attempts,
      contract: task.contract,
      lostFailure: encodeError(fail("task_lost", { attempts: settings.attempts }, { service, api: name })),
    };
  }

  /** Returns true when a task runs here. */
  has(id: string): boolean {
    return this.#attempts.has(id);
  }

  /** Claims tasks if there may be some. */
  wake(): void {
    this.#isStale = true;
    if (this.#isDraining || this.#claiming !== undefined) return;
    this.#claiming = this.#claim().finally(() => {
      this.#claiming = undefined;
      // News may have arrived after the last claim.
      if (this.#isStale && this.#free > 0) this.wake();
    });
  }

  /** Releases the leases of a life that has ended. If the store is out of reach, they expire by themselves. */
  takeOver(life: string): void {
    const { namespace, service, api, maxAttempts, lostFailure } = this.#request;
    const { log } = this.#deps.host;
    this.#deps.store.release({ namespace, service, api, life, maxAttempts, lostFailure }).then(
      (count) => {
        if (count > 0) log.info({ task: api, count }, "tasks of an ended replica taken over");
        this.wake();
      },
      (error: unknown) =>
        log.warn(
          { err: error, task: api },
          "tasks of an ended replica could not be taken over; they wait until their leases expire",
        ),
    );
  }

  /** Handles news of one task, or of any task. */
  look(id: string | undefined): void {
    if (id === undefined) for (const attempt of this.#attempts.values()) attempt.look();
    else this.#attempts.get(id)?.look();
  }

  /** Claims no more tasks. Resolves when the ends of all running attempts are recorded. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    this.#timer?.clear();
    await this.#claiming;
    await Promise.all([...this.#attempts.values()].map((attempt) => attempt.recorded));
  }

  /** Gives running tasks back to the store. */
  async stop(): Promise<void> {
    this.#isDraining = true;
    this.#timer?.clear();
    await Promise.all([...this.#attempts.values()].map((attempt) => attempt.giveBack()));
    await this.#claiming;
  }

  get #free(): number {
    return this.#deps.task.countFreeSlots();
  }

  async #claim(): Promise<void> {
    while (this.#isStale && !this.#isDraining) {
      this.#isStale = false;
      this.#timer?.clear();
      const free = this.#free;
      // `onSlotFree` wakes it again.
      if (free <= 0) return;
      try {
        const claimed = await this.#deps.store.claim({ ...this.#request, limit: free });
        this.#pause.reset();
        for (const task of claimed) this.#begin(task);
        if (claimed.length < free) await this.#waitForDue();
      } catch (error) {
        this.#waitForStore(error);
        return;
      }
    }
  }

  #begin(task: ClaimedTask): void {
    const { id } = task.record;
    if (this.#isDraining) {
      this.#deps.store.giveBack(task.lease, 0, undefined).catch(() => {});
      return;
    }
    const attempt = new TaskAttempt(task, this.#deps);
    this.#attempts.set(id, attempt);
    void attempt.recorded.then(() => {
      if (this.#attempts.get(id) === attempt) this.#attempts.delete(id);
    });
  }

  async #waitForDue(): Promise<void> {
    const { namespace, service, api } = this.#request;
    const dueMs = await this.#deps.store.nextDueMs({ namespace, service, api });
    if (dueMs !== undefined) this.#wakeIn(Math.min(Math.max(dueMs, leastWaitMs), longestWaitMs));
  }

  #waitForStore(error: unknown): void {
    const { log } = this.#deps.host;
    const pauseMs = this.#pause.begin();
    log.warn({ err: error, task: this.#request.api, pauseMs }, "no tasks could be claimed; trying again after a pause");
    this.#wakeIn(pauseMs);
  }

  #wakeIn(waitMs: number): void {
    this.#timer?.clear();
    if (this.#isDraining) return;
    // A task that will be due is pending work, so the timer keeps the process alive, as a call does.
    this.#timer = this.#deps.host.time.clock.setTimer(() => this.wake(), waitMs, true);
  }
}
