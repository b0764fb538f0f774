import type { Timer } from "../../base/clock.js";
import { GrowingPause } from "../../base/repeat-pace.js";
import { RequestContext } from "../../call/call.js";
import { createTaskId } from "../../call/task-state.js";
import type { Schedule } from "../../define/schedule.js";
import type { TaskStats } from "../../observe/call-stats.js";
import type { TaskPlace, TaskStore } from "../../tasks/task-store.js";
import { packValue } from "../../transport/stored-value.js";
import { formatTaskContext, type TaskHost } from "./task-attempt.js";

// Submits the tasks of one schedule, in each replica of the service.
//
// SD1  Each planned time has at most one task, however many replicas and machines share the store: its key names the
//      time.
// SD2  Planned times that passed while nothing ran have one task together, the newest. A schedule that is new or was
//      changed has none for the time before.
// SD3  A planned time at which the task before has not ended is left out.
// SD4  While the store is out of reach, the time is not lost: it is asked again, after pauses that grow.

/** Longest wait between two looks at the time of day, which may be set meanwhile. */
const lookMs = 60_000;
/** Replicas look one after the other, so that mostly the first one submits and the others find the time done. */
const staggerMs = 250;
const mostStaggered = 20;
/** Begins the keys of planned times. A caller's key is ASCII, so that none can take the place of a planned run. */
const keyPrefix = "schedule · ";
const firstPauseMs = 1_000;
const longestPauseMs = 60_000;

interface TaskScheduleDeps {
  readonly host: TaskHost;
  readonly place: TaskPlace;
  readonly contract: string;
  readonly schedule: Schedule;
  readonly input: unknown;
  readonly store: TaskStore;
  readonly stats: TaskStats;
}

export class TaskSchedule {
  readonly #deps: TaskScheduleDeps;
  readonly #pause = new GrowingPause(firstPauseMs, longestPauseMs);
  #timer: Timer | undefined;
  #isStopped = false;
  /** Newest planned time that needs no more work here. */
  #doneAt = -1;
  /** Time of day of the last look that succeeded, and the first planned time after it. */
  #lookedAt = 0;
  #nextAt = 0;
  #looking: Promise<void> | undefined;

  constructor(deps: TaskScheduleDeps) {
    this.#deps = deps;
  }

  /** Submits a task for missed times, and from now on at each planned time. */
  start(): void {
    this.#lookIn(this.#staggered);
  }

  /** Submits nothing more. Resolves when a submit in flight has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.clear();
    await this.#looking;
  }

  get #staggered(): number {
    return Math.min(this.#deps.host.index, mostStaggered) * staggerMs;
  }

  /** Time of day. */
  get #now(): number {
    const { clock } = this.#deps.host.time;
    return clock.wallTimeOf(clock.now());
  }

  #lookIn(waitMs: number): void {
    if (this.#isStopped) return;
    this.#timer = this.#deps.host.time.clock.setTimer(() => {
      this.#looking = this.#look();
    }, waitMs);
  }

  /** Never rejects. */
  async #look(): Promise<void> {
    const { schedule, host, place } = this.#deps;
    try {
      const now = this.#now;
      // Nothing is planned before the next time, unless the clock was set back.
      if (now >= this.#nextAt || now < this.#lookedAt) {
        const at = schedule.latest(now);
        if (at > this.#doneAt) await this.#plan(at);
        this.#doneAt = at;
        this.#nextAt = schedule.next(now);
      }
      this.#lookedAt = now;
      this.#pause.reset();
      const waitMs = Math.max(1, this.#nextAt - this.#now);
      this.#lookIn(waitMs > lookMs ? lookMs : waitMs + this.#staggered);
    } catch (error) {
      const pauseMs = this.#pause.begin();
      const fields = { err: error, task: place.api, schedule: schedule.text, pauseMs };
      host.log.warn(fields, "the task of a schedule could not be submitted; trying again after a pause");
      this.#lookIn(pauseMs);
    }
  }

  async #plan(at: number): Promise<void> {
    const { store, place, schedule, host } = this.#deps;
    const planned = await store.readPlanned({ ...place, schedule: schedule.text }, at);
    if (planned.at >= at) return;
    const before = planned.task === undefined ? undefined : await store.get(planned.task);
    const isOpen = before !== undefined && before.endedAt === undefined;
    const time = new Date(at).toISOString();
    const task = isOpen ? before.id : await this.#submit(`${keyPrefix}${time}`);
    await store.notePlanned(place, { at, task });
    const fields = { task: place.api, id: task, time, schedule: schedule.text };
    if (isOpen) host.log.warn(fields, "a planned time of a task is left out: its run before has not ended");
    else host.log.debug(fields, "a task was submitted by its schedule");
  }

  /** @returns The id of the task that has this key. */
  async #submit(key: string): Promise<string> {
    const { store, place, contract, input, stats } = this.#deps;
    const id = createTaskId();
    const caller = { service: "schedule", api: "" };
    const context = formatTaskContext({ caller, request: new RequestContext(), priority: "interactive" }, []);
    const bytes = await packValue(input, "input");
    // The input may have been changed by a deploy: the planned time alone is what counts.
    const named = { text: key, fingerprint: "schedule" };
    const record = await store.submit({ ...place, id, input: bytes, contract, context, priority: 1, key: named });
    if (record.id === id) stats.submitted++;
    return record.id;
  }
}
