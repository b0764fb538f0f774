// Where durable tasks are kept. One interface, two engines: SQLite beside the app, PostgreSQL for several machines.
//
// K1  A task that `submit` has answered for survives the end of every process.
// K2  A task has at most one lease at a time. Whoever holds none, or one that was taken over, changes nothing.
// K3  A task ends once: `completed`, `failed` and `canceled` are final, and so is what was recorded with them.
// K4  An attempt counts when it is claimed, so that a task which kills its replica does not run for ever.
// K5  Times are the store's own, since the clocks of several machines differ.
// K6  A lease that could not be renewed for a while, since the store was away or its clock was set, is left alone for a lease's
//     time: its holder is asked for it first.

/** The names that BentoML's clients know. */
export type TaskStatus = "pending" | "in_progress" | "completed" | "failed" | "canceled";

/** Whose a task is: an app's namespace, and the api that runs it. Together they find it; its id alone names it. */
export interface TaskPlace {
  /** Apps that share a store are told apart by it; `""` for tasks of a version that knew none, until somebody adopts them. */
  readonly namespace: string;
  readonly service: string;
  readonly api: string;
}

/** What is known of a task, without its input and result. Times are wall-clock milliseconds. */
export interface TaskRecord extends TaskPlace {
  /** 32 hex digits, made by whoever submits it. */
  readonly id: string;
  readonly status: TaskStatus;
  /** How often it was claimed; 0 while nobody has. */
  readonly attempt: number;
  readonly createdAt: number;
  /** Of the newest attempt. */
  readonly startedAt: number | undefined;
  readonly endedAt: number | undefined;
  /** Not claimed before this instant. */
  readonly notBefore: number;
  /** 0 to 1, as the author last reported it. */
  readonly progress: number | undefined;
  readonly note: string | undefined;
  /** Why the newest attempt that ended failed, as the wire writes failures; absent while an attempt runs. */
  readonly failure: string | undefined;
  /** Somebody asked a running task to end; whoever runs it is told when it renews its lease. */
  readonly isCancelAsked: boolean;
  /** Of one that runs: until when, unless its lease is renewed. One that ran out is nobody's. */
  readonly leaseEndsAt: number | undefined;
  /** The key it was submitted with. */
  readonly key: string | undefined;
}

/** A name that a caller gives to one submit, so that a second one with it finds the first. */
export interface TaskKey {
  readonly text: string;
  /** The same for equal inputs, another for others. */
  readonly fingerprint: string;
}

/** A task as it is handed in. */
export interface NewTask extends TaskPlace {
  readonly id: string;
  /** The input as the wire writes values; up to 256 MiB. */
  readonly input: Uint8Array;
  /** The context of the request that submitted it, as the wire writes it. */
  readonly context: string;
  /** Higher ones are claimed first. */
  readonly priority: number;
  readonly key?: TaskKey | undefined;
}

/** The right to run one attempt of one task. */
export interface Lease {
  readonly id: string;
  /** Unique to the attempt. */
  readonly token: string;
}

export interface ClaimedTask {
  readonly lease: Lease;
  readonly record: TaskRecord;
  readonly input: Uint8Array;
  readonly context: string;
}

export interface ClaimRequest extends TaskPlace {
  /** At most so many, at least 1. */
  readonly limit: number;
  /** Named in leases, for whoever looks at the store: `"Model#0@host:pid/life"`. What follows the last slash is unique to one life of a process. */
  readonly owner: string;
  /** A lease that is not renewed for so long is taken over. */
  readonly leaseMs: number;
  /** Tasks begun so often are not begun again: a lease of such a task that ran out ends it as `failed` with `lostFailure`. */
  readonly maxAttempts: number;
  /** Why a task failed whose last lease ran out, as the wire writes failures. */
  readonly lostFailure: string;
}

/** Leases that are nobody's any more. */
export interface ReleaseRequest extends TaskPlace {
  /** A life that is known to have ended: its leases are released, also those that have not run out. Absent: all that ran out. */
  readonly life?: string;
  readonly maxAttempts: number;
  readonly lostFailure: string;
}

/** An app that has not said for so long that it runs is taken for ended, and its row is removed later. */
export const runFreshMs = 150_000;
export const runOldMs = 24 * 3_600_000;

/** Waiting tasks of one api are counted no further. */
export const mostCounted = 10_000;

/** Unfinished tasks of one api; those that wait are counted up to `mostCounted`. */
export interface OpenTasks extends TaskPlace {
  readonly waiting: number;
  readonly running: number;
}

/** One app that runs on a store: all its processes together. */
export interface StoreRun {
  readonly id: string;
  readonly namespace: string;
  readonly host: string;
  /** Of its supervisor. */
  readonly pid: number;
  /** The same for versions of one app that replace one another by intent. */
  readonly session: string;
}

/** Progress of a task, as its author reported it. */
export interface TaskProgress {
  /** 0 to 1. */
  readonly fraction: number;
  readonly note: string | undefined;
}

/** How an attempt ended. */
export type TaskOutcome =
  | { readonly status: "completed"; readonly output: Uint8Array }
  | { readonly status: "failed"; readonly failure: string }
  | { readonly status: "canceled"; readonly failure: string };

/** What became of a task; its output is only there when it is `completed`. */
export interface TaskResult {
  readonly record: TaskRecord;
  readonly output: Uint8Array | undefined;
}

/** Which tasks to list, newest first. */
export interface TaskFilter {
  readonly namespace?: string;
  readonly service?: string;
  readonly api?: string;
  readonly status?: TaskStatus;
  /** At most so many. */
  readonly limit: number;
  /** Only tasks created before the one of this id: the next page. None when there is no such task (any more). */
  readonly before?: string;
}

/** Something happened to tasks of this api; with several machines, news may come late or stand for several changes. */
export interface TaskNews {
  /** Absent when the engine can't tell which one changed. */
  readonly id?: string;
  readonly namespace?: string;
  readonly service?: string;
  readonly api?: string;
}

/**
 * The store of an app's tasks. Every method may throw `task_store_unavailable` (the store can't be reached or read), and
 * every one that writes `task_store_full` when there is no room: then nothing was changed.
 */
export interface TaskStore {
  /**
   * Writes a task down (K1). A second one of the same id, or with the same key for the same api, changes nothing and gives the
   * first, so that it may be retried. A key lasts as long as its task is kept.
   * The input must not change until the promise settles.
   *
   * @throws {ServingError} `task_key_reused` for a key that came with another input.
   */
  submit(task: NewTask): Promise<TaskRecord>;
  /**
   * Takes tasks to run: pending ones whose time has come, and running ones whose lease ran out; higher priority first,
   * then older ones. None when there are none, without waiting.
   *
   * A running one whose lease ran out is ended instead where its attempts are used up (`failed`) or somebody asked it to end
   * (`canceled`). One whose input can't be read is left out, and logged: its lease runs out.
   */
  claim(request: ClaimRequest): Promise<readonly ClaimedTask[]>;
  /**
   * When the first task of this api that waits for its time, or for a lease to run out, is due: milliseconds from now. 0 for
   * one that is due already, as one may be since the last claim. `undefined`: there is none.
   */
  nextDueMs(place: TaskPlace): Promise<number | undefined>;
  /** Extends a lease to `leaseMs` from now, and stores progress if any is given. */
  renew(lease: Lease, leaseMs: number, progress?: TaskProgress): Promise<LeaseState>;
  /** Records how a task ended (K3). @returns False when the lease is no longer held; nothing is recorded then. */
  finish(lease: Lease, outcome: TaskOutcome): Promise<boolean>;
  /**
   * Gives a task back to be run again; one that somebody asked to end is ended as `canceled` instead.
   *
   * @param waitMs  From now on, before it may be claimed.
   * @param failure Why the attempt failed; `undefined` for one that was given back unfinished and does not count as an attempt.
   * @returns       False when the lease is no longer held.
   */
  giveBack(lease: Lease, waitMs: number, failure: string | undefined): Promise<boolean>;
  get(id: string): Promise<TaskRecord | undefined>;
  result(id: string): Promise<TaskResult | undefined>;
  /**
   * Ends a pending task at once; asks a running one to end; leaves one that has ended as it is. `undefined`: unknown id.
   *
   * @param failure Recorded where the task ends by it, as the wire writes failures.
   */
  cancel(id: string, failure: string): Promise<TaskRecord | undefined>;
  /** Submits a task again, under a new id, with the input of one that has ended. @returns `undefined` for an unknown id; the old record, unchanged, when it has not ended. */
  retry(id: string, newId: string): Promise<TaskRecord | undefined>;
  list(filter: TaskFilter): Promise<readonly TaskRecord[]>;
  /** Tasks of a service that wait and could run now, for the autoscaler; by api. */
  countWaiting(service: Omit<TaskPlace, "api">): Promise<ReadonlyMap<string, number>>;
  /** Unfinished tasks of all apps and apis that have some, but for those that `isLeftOut`. At most 1000 apis. */
  listOpen(isLeftOut: (place: TaskPlace) => boolean): Promise<readonly OpenTasks[]>;
  /** Ends leases that are nobody's, as `claim` does where it takes over: their tasks wait again, or have ended. @returns How many. */
  release(request: ReleaseRequest): Promise<number>;
  /** Says that an app runs; to be said again each minute. @returns Others that have said so lately, of all namespaces. */
  enroll(run: StoreRun): Promise<readonly StoreRun[]>;
  /** Says that it has ended. */
  leave(runId: string): Promise<void>;
  /** Gives tasks without a namespace to this one. @returns How many. */
  adopt(place: TaskPlace): Promise<number>;
  /** Gives all tasks of one api to another, ended ones too; what runs goes on. A key that is taken there is forgotten. @returns How many. */
  move(from: TaskPlace, to: TaskPlace): Promise<number>;
  /** Forgets ended tasks older than `ageMs`, inputs and outputs too. @returns How many. */
  purge(ageMs: number): Promise<number>;
  /** Hears of changes, its own included. @returns Ends it. */
  watch(listener: (news: TaskNews) => void): () => void;
  close(): Promise<void>;
}

/** What `renew` learns: go on; somebody asked the task to end; somebody else has taken it over. */
export type LeaseState = "held" | "cancel_asked" | "lost";
