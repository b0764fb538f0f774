import type { TaskStatus, VisibleRecord } from "../call/task-state.js";

// Store of durable tasks. One interface, two engines: SQLite beside the app, PostgreSQL for several machines.
//
// PT1  A task survives the end of every process once `submit` has returned.
// PT2  A task has at most one lease at a time. Without a lease, or with one that was taken over, nothing can be
//      changed.
// PT3  A task ends once: `completed`, `failed` and `canceled` are final, and so are the output and failure recorded
//      with them.
// PT4  An attempt counts when it is claimed, so that a task that kills its replica does not run for ever.
// PT5  Times are the store's own, since the clocks of several machines differ.
// PT6  After the store was out of reach or its clock was set, no expired lease is taken over for the length of a lease,
//      so that its holder can renew it first.
// PT7  A held task is kept until it is resumed, moved or canceled. Only replicas with the contract to which it was
//      submitted claim it by themselves, and not after they have refused it too: no two versions pass it back and
//      forth.

export type { TaskStatus };

/**
 * Owner of a task: the namespace of an app, and the api that runs it. Claims find tasks by it; the id of a task is
 * unique without it.
 */
export interface TaskPlace {
  /**
   * Separates apps that share a store. `""` for tasks stored before there were namespaces, until an app adopts them.
   */
  readonly namespace: string;
  readonly service: string;
  readonly api: string;
}

/** State of a task, without its input and result. Times are wall-clock milliseconds. */
export interface TaskRecord extends TaskPlace, VisibleRecord {
  /** Instant before which it is not claimed. */
  readonly notBefore: number;
  /** Failure of the newest attempt, in the wire's format; `undefined` while an attempt runs. */
  readonly failure: string | undefined;
  /** Expiry of the lease of a running task, unless it is renewed. */
  readonly leaseEndsAt: number | undefined;
  /** Key with which it was submitted. */
  readonly key: string | undefined;
  /** Contract whose replicas claim the task although it is held; `undefined` for any other task. */
  readonly heldFor: string | undefined;
}

/** Name that a caller gives to one submit. A second submit with it, by the same requester, finds the first task. */
export interface TaskKey {
  readonly text: string;
  /** Digest of who submits: other requesters have keys of their own. `undefined` where nobody asks. */
  readonly scope?: string | undefined;
  /** Fingerprint of the input: equal for equal inputs, different for others. */
  readonly fingerprint: string;
}

/** A task as it is submitted. */
export interface NewTask extends TaskPlace {
  readonly id: string;
  /** Input in the format of stored values, up to 256 MiB. */
  readonly input: Uint8Array;
  /** Context of the request that submitted it, as text. */
  readonly context: string;
  /** Tasks of higher priority are claimed first. */
  readonly priority: number;
  readonly key?: TaskKey | undefined;
  /** Digest of the contract that has accepted the input. */
  readonly contract?: string | undefined;
  /** Milliseconds from now before which it is not claimed. Default 0. */
  readonly delayMs?: number | undefined;
}

/** Schedule of one task api. */
export interface SchedulePlace extends TaskPlace {
  /** Schedule as text. With another one, times that have passed do not count as missed. */
  readonly schedule: string;
}

/** Planned time of the newest task of a schedule. Wall-clock milliseconds, by the clock of whoever planned it. */
export interface PlannedTime {
  readonly at: number;
  /** Id of that task; `undefined` when none was submitted yet. */
  readonly task: string | undefined;
}

/** Name of work that runs once for an app. */
export interface OncePlace {
  readonly namespace: string;
  readonly name: string;
}

/** State of work that runs once: it is done; it failed; or the holder of `token` runs it. */
export interface OnceRecord {
  readonly token: string;
  /** Holder, as in `ClaimRequest`. */
  readonly holder: string;
  readonly isDone: boolean;
  /** Failure of the last run, in the wire's format. */
  readonly failure: string | undefined;
  /** Milliseconds until the lease expires; 0 or less when it has, and when nothing runs. */
  readonly leaseMs: number;
}

/** Wish to run work that runs once. */
export interface OnceRequest extends OncePlace {
  /** Token, unique to this run. */
  readonly token: string;
  readonly holder: string;
  readonly leaseMs: number;
  /** Token of the run before, as it was read; absent when there was none. */
  readonly after?: string | undefined;
  /** True when the holder of the run before is known to have ended, so that its lease does not count. */
  readonly isGone: boolean;
}

/** Right to run one attempt of one task. */
export interface Lease {
  readonly id: string;
  /** Token, unique to the attempt. */
  readonly token: string;
}

export interface ClaimedTask {
  readonly lease: Lease;
  readonly record: TaskRecord;
  readonly input: Uint8Array;
  readonly context: string;
}

export interface ClaimRequest extends TaskPlace {
  /** Most tasks to claim, at least 1. */
  readonly limit: number;
  /**
   * Holder named in leases: `"Model#0@host:pid/life"`. The part after the last slash is unique to one life of a
   * process.
   */
  readonly owner: string;
  /** Milliseconds after which a lease that was not renewed is taken over. */
  readonly leaseMs: number;
  /**
   * Most attempts of a task. When the lease of its last attempt expires, the task ends as `failed` with `lostFailure`.
   */
  readonly maxAttempts: number;
  /** Failure of a task whose last lease expired, in the wire's format. */
  readonly lostFailure: string;
  /** Digest of the claimer's contract: tasks that another version holds are claimed if they were submitted to it. */
  readonly contract?: string | undefined;
}

/** Leases to release because their holders are gone. */
export interface ReleaseRequest extends TaskPlace {
  /** Life that has ended: all its leases are released, even unexpired ones. Absent: all expired leases are released. */
  readonly life?: string;
  readonly maxAttempts: number;
  readonly lostFailure: string;
}

/** Milliseconds without a sign of life after which an app counts as ended, and after which its row is removed. */
export const runFreshMs = 150_000;
export const runOldMs = 24 * 3_600_000;

/** Limit of the count of waiting tasks of one api. */
export const mostCounted = 10_000;

/** Number of unfinished tasks of one api. Waiting ones are counted up to `mostCounted`. */
export interface OpenTasks extends TaskPlace {
  readonly waiting: number;
  readonly running: number;
  readonly held: number;
}

/** Number of held tasks of one api. */
export interface HeldTasks extends TaskPlace {
  readonly count: number;
}

/** One running app that uses a store: all its processes together. */
export interface StoreRun {
  readonly id: string;
  readonly namespace: string;
  readonly host: string;
  /** Process id of its supervisor. */
  readonly pid: number;
  /** Session id, the same for versions of one app that replace one another under `--watch`. */
  readonly session: string;
}

/** Progress of a task, as its author reported it. */
export interface TaskProgress {
  /** 0 to 1. */
  readonly fraction: number;
  readonly note: string | undefined;
}

/** Outcome of an attempt. */
export type TaskOutcome =
  | { readonly status: "completed"; readonly output: Uint8Array }
  | { readonly status: "failed"; readonly failure: string }
  | { readonly status: "canceled"; readonly failure: string };

/** State and output of a task. The output is set only when the task is `completed`. */
export interface TaskResult {
  readonly record: TaskRecord;
  readonly output: Uint8Array | undefined;
}

/** Filter of a list of tasks, newest first. */
export interface TaskFilter {
  readonly namespace?: string;
  readonly service?: string;
  readonly api?: string;
  /** `"pending"` leaves held tasks out. */
  readonly status?: TaskStatus | "held";
  /** Most tasks to list. */
  readonly limit: number;
  /**
   * Id of the last task of the page before: only older tasks are listed. The list is empty if that task no longer
   * exists.
   */
  readonly before?: string;
}

/** Change of tasks of one api. Between machines news may be late, and one piece may stand for several changes. */
export interface TaskNews {
  /** Absent when the engine can't tell which task changed. */
  readonly id?: string;
  readonly namespace?: string;
  readonly service?: string;
  readonly api?: string;
}

/**
 * Store of an app's tasks. Every method may throw `task_store_unavailable` (the store can't be reached or read). Every
 * method that writes may throw `task_store_full` (no room); nothing was changed then.
 */
export interface TaskStore {
  /**
   * Stores a task (PT1). A second submit with the same id, or the same key and scope for the same api, changes nothing
   * and returns the first task, so a submit may be retried. A key is valid as long as its task is kept. The input must
   * not change until the promise settles.
   *
   * @throws {ServingError} `task_key_reused` for a key that was used with another input.
   */
  submit(task: NewTask): Promise<TaskRecord>;
  /**
   * Claims tasks to run: pending tasks whose time has come, and running tasks whose lease has expired; higher priority
   * first, then older first. Returns none when there are none, without waiting.
   *
   * A running task with an expired lease is ended instead if its attempts are used up (`failed`) or it was asked to end
   * (`canceled`). A task whose input can't be read is left out and logged; its lease will expire.
   */
  claim(request: ClaimRequest): Promise<readonly ClaimedTask[]>;
  /**
   * Returns the milliseconds until the next task of this api is due: its time comes, or its lease expires. 0 for a task
   * that is due already, which can happen since the last claim. `undefined` when no task waits for a time.
   */
  nextDueMs(place: TaskPlace): Promise<number | undefined>;
  /** Extends a lease to `leaseMs` from now, and stores progress if any is given. */
  renew(lease: Lease, leaseMs: number, progress?: TaskProgress): Promise<LeaseState>;
  /** Records the end of a task (PT3). @returns False when the lease is no longer held; nothing is recorded then. */
  finish(lease: Lease, outcome: TaskOutcome): Promise<boolean>;
  /**
   * Gives a task back to be run again. A task that was asked to end is ended as `canceled` instead.
   *
   * @param waitMs  Milliseconds from now before it may be claimed.
   * @param failure Failure of the attempt; `undefined` for an unfinished attempt, which does not count.
   * @returns       False when the lease is no longer held.
   */
  giveBack(lease: Lease, waitMs: number, failure: string | undefined): Promise<boolean>;
  /**
   * Holds a claimed task, since its input was refused: it waits until `resume`, or a claim by the contract that it was
   * submitted to (PT7). The attempt does not count. A task that was asked to end is ended as `canceled` instead.
   *
   * @param contract Digest of the contract that refused it.
   * @returns        False when the lease is no longer held.
   */
  hold(lease: Lease, failure: string, contract: string): Promise<boolean>;
  /** Lets a held task run again, or all held tasks of an api. @returns The number of tasks. */
  resume(which: { readonly id: string } | TaskPlace): Promise<number>;
  get(id: string): Promise<TaskRecord | undefined>;
  result(id: string): Promise<TaskResult | undefined>;
  /**
   * Ends a pending task at once, asks a running task to end, and leaves an ended task as it is. `undefined`: unknown
   * id.
   *
   * @param failure Failure to record if the task ends by this, in the wire's format.
   */
  cancel(id: string, failure: string): Promise<TaskRecord | undefined>;
  /**
   * Submits a new task with the input of one that has ended.
   *
   * @returns The new task; the old one, unchanged, if it has not ended; `undefined` for an unknown id.
   */
  retry(id: string, newId: string): Promise<TaskRecord | undefined>;
  list(filter: TaskFilter): Promise<readonly TaskRecord[]>;
  /** Counts the tasks of a service that wait and could run now, by api; for the autoscaler. */
  countWaiting(service: Omit<TaskPlace, "api">): Promise<ReadonlyMap<string, number>>;
  /**
   * Counts the unfinished tasks of all apps and apis that have some, except those that `isLeftOut` selects. At most
   * 1000 apis.
   */
  listOpen(isLeftOut: (place: TaskPlace) => boolean): Promise<readonly OpenTasks[]>;
  /** Counts the held tasks of all apps, by api. At most 1000 apis. */
  listHeld(): Promise<readonly HeldTasks[]>;
  /**
   * Ends leases of holders that are gone, as `claim` does: their tasks wait again or have ended.
   *
   * @returns The number of leases.
   */
  release(request: ReleaseRequest): Promise<number>;
  /** Records that an app runs; repeat it each minute. @returns Other apps that did so recently, of all namespaces. */
  enroll(run: StoreRun): Promise<readonly StoreRun[]>;
  /** Records that the app has ended. */
  leave(runId: string): Promise<void>;
  /** Moves tasks without a namespace to this one. @returns The number of tasks. */
  adopt(place: TaskPlace): Promise<number>;
  /**
   * Moves all tasks of one api to another, including ended ones; running attempts continue, and held tasks wait to run.
   * Unfinished tasks whose key is used there stay, since the same work would run twice; ended ones lose their key. The
   * planned time of its schedule moves too, unless the other api has one.
   *
   * @returns The number of tasks.
   */
  move(from: TaskPlace, to: TaskPlace): Promise<number>;
  /** Deletes tasks that ended more than `ageMs` ago, with their inputs and outputs. @returns The number of tasks. */
  purge(ageMs: number): Promise<number>;
  /**
   * Reads the planned time of a schedule.
   *
   * @param at The newest planned time that has passed. It is stored for a schedule that is new or was changed, and then
   *   counts as planned.
   */
  readPlanned(place: SchedulePlace, at: number): Promise<PlannedTime>;
  /** Stores the planned time of a task that was submitted, unless a later one is stored. */
  notePlanned(place: TaskPlace, planned: PlannedTime): Promise<void>;
  /** Reads the state of work that runs once; `undefined` when it was never begun. */
  readOnce(place: OncePlace): Promise<OnceRecord | undefined>;
  /**
   * Begins work that runs once, if nobody has done it and nobody holds its lease. Of several that try, one succeeds.
   *
   * @returns False when somebody else was first.
   */
  beginOnce(request: OnceRequest): Promise<boolean>;
  /** Extends the lease of work that runs once. @returns False when it is no longer held. */
  renewOnce(place: OncePlace, token: string, leaseMs: number): Promise<boolean>;
  /**
   * Records the end of work that runs once: it is done, or it failed and may be begun again.
   *
   * @param failure In the wire's format; `undefined` when it is done.
   * @returns       False when its lease is no longer held.
   */
  endOnce(place: OncePlace, token: string, failure: string | undefined): Promise<boolean>;
  /** Calls the listener at each change, including changes made through this store. @returns A function that ends it. */
  watch(listener: (news: TaskNews) => void): () => void;
  close(): Promise<void>;
}

/** State of a lease after a renewal: held; held, and the task was asked to end; taken over by another holder. */
export type LeaseState = "held" | "cancel_asked" | "lost";
