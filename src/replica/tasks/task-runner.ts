import { hostname } from "node:os";
import type { Timer } from "../../base/clock.js";
import { GrowingPause } from "../../base/repeat-pace.js";
import { fail } from "../../failure/failures.js";
import type { ClaimedTask, ClaimRequest } from "../../tasks/task-store.js";
import { encodeError } from "../../transport/wire-error.js";
import { type AttemptDeps, TaskAttempt } from "./task-attempt.js";

// Runs the tasks of one api in one replica.
//
// U1  No more is claimed than the lane has free places.
// U2  One claim at a time; news that comes meanwhile brings another after it. Nothing is asked while there is no news, no place
//     and no time at which a task is due.
// U3  After `drain` nothing is claimed; what a claim under way still brings is given back.
// U4  While the store is out of reach it is asked again, with a pause that grows.

const firstPauseMs = 100;
const maxPauseMs = 10_000;
/** Between a task that is due, and a look at the store that did not find it. */
const leastWaitMs = 5;
/** Timers take no more. */
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
      lostFailure: encodeError(fail("task_lost", { attempts: settings.attempts }, { service, api: name })),
    };
  }

  /** Whether a task is running here. */
  has(id: string): boolean {
    return this.#attempts.has(id);
  }

  /** There may be something to claim. */
  wake(): void {
    this.#isStale = true;
    if (this.#isDraining || this.#claiming !== undefined) return;
    this.#claiming = this.#claim().finally(() => {
      this.#claiming = undefined;
      // News came between the last look and here.
      if (this.#isStale && this.#free > 0) this.wake();
    });
  }

  /** Whoever held leases in this life has ended. Where the store can't be told, they run out by themselves. */
  takeOver(life: string): void {
    const { namespace, service, api, maxAttempts, lostFailure } = this.#request;
    const { log } = this.#deps.host;
    this.#deps.store.release({ namespace, service, api, life, maxAttempts, lostFailure }).then(
      (count) => {
        if (count > 0) log.info({ task: api, count }, "tasks of a replica that ended were taken over");
        this.wake();
      },
      (error: unknown) => log.warn({ err: error, task: api }, "tasks of a replica that ended wait for their leases"),
    );
  }

  /** Something happened to one task, or to any. */
  look(id: string | undefined): void {
    if (id === undefined) for (const attempt of this.#attempts.values()) attempt.look();
    else this.#attempts.get(id)?.look();
  }

  /** Claims nothing more; resolves when what runs has ended and that is recorded. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    this.#timer?.clear();
    await this.#claiming;
    await Promise.all([...this.#attempts.values()].map((attempt) => attempt.recorded));
  }

  /** Gives back what still runs. */
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
      // Woken again when a place is free.
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
    // A task that will be due is work to do: the process stays for it, as it does for a call.
    this.#timer = this.#deps.host.time.clock.setTimer(() => this.wake(), waitMs, true);
  }
}
