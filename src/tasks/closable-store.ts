import type { Logger } from "../base/logger.js";
import { ServingError } from "../failure/serving-error.js";
import type { TaskNews, TaskStore } from "./task-store.js";

/**
 * Store that closes in order: calls in flight finish first, later calls fail. It also reports the health of its engine.
 */
export class ClosableStore implements TaskStore {
  readonly #engine: TaskStore;
  readonly #closedFailure: () => ServingError;
  readonly #health: StoreHealth | undefined;
  readonly #inFlight = new Set<Promise<unknown>>();
  #closed: Promise<void> | undefined;

  /** @param health Is notified how calls end. */
  constructor(engine: TaskStore, closedFailure: () => ServingError, health?: StoreHealth) {
    this.#engine = engine;
    this.#closedFailure = closedFailure;
    this.#health = health;
  }

  submit: TaskStore["submit"] = (task) => this.#run(() => this.#engine.submit(task));
  claim: TaskStore["claim"] = (request) => this.#run(() => this.#engine.claim(request));
  nextDueMs: TaskStore["nextDueMs"] = (place) => this.#run(() => this.#engine.nextDueMs(place));
  renew: TaskStore["renew"] = (...args) => this.#run(() => this.#engine.renew(...args));
  finish: TaskStore["finish"] = (lease, outcome) => this.#run(() => this.#engine.finish(lease, outcome));
  giveBack: TaskStore["giveBack"] = (...args) => this.#run(() => this.#engine.giveBack(...args));
  hold: TaskStore["hold"] = (...args) => this.#run(() => this.#engine.hold(...args));
  resume: TaskStore["resume"] = (which) => this.#run(() => this.#engine.resume(which));
  get: TaskStore["get"] = (id) => this.#run(() => this.#engine.get(id));
  result: TaskStore["result"] = (id) => this.#run(() => this.#engine.result(id));
  cancel: TaskStore["cancel"] = (id, failure) => this.#run(() => this.#engine.cancel(id, failure));
  retry: TaskStore["retry"] = (id, newId) => this.#run(() => this.#engine.retry(id, newId));
  list: TaskStore["list"] = (filter) => this.#run(() => this.#engine.list(filter));
  countWaiting: TaskStore["countWaiting"] = (service) => this.#run(() => this.#engine.countWaiting(service));
  listOpen: TaskStore["listOpen"] = (isLeftOut) => this.#run(() => this.#engine.listOpen(isLeftOut));
  listHeld: TaskStore["listHeld"] = () => this.#run(() => this.#engine.listHeld());
  release: TaskStore["release"] = (request) => this.#run(() => this.#engine.release(request));
  enroll: TaskStore["enroll"] = (run) => this.#run(() => this.#engine.enroll(run));
  leave: TaskStore["leave"] = (runId) => this.#run(() => this.#engine.leave(runId));
  adopt: TaskStore["adopt"] = (place) => this.#run(() => this.#engine.adopt(place));
  move: TaskStore["move"] = (from, to) => this.#run(() => this.#engine.move(from, to));
  purge: TaskStore["purge"] = (ageMs) => this.#run(() => this.#engine.purge(ageMs));
  readPlanned: TaskStore["readPlanned"] = (place, at) => this.#run(() => this.#engine.readPlanned(place, at));
  notePlanned: TaskStore["notePlanned"] = (...args) => this.#run(() => this.#engine.notePlanned(...args));
  readOnce: TaskStore["readOnce"] = (place) => this.#run(() => this.#engine.readOnce(place));
  beginOnce: TaskStore["beginOnce"] = (request) => this.#run(() => this.#engine.beginOnce(request));
  renewOnce: TaskStore["renewOnce"] = (...args) => this.#run(() => this.#engine.renewOnce(...args));
  endOnce: TaskStore["endOnce"] = (...args) => this.#run(() => this.#engine.endOnce(...args));

  watch(listener: (news: TaskNews) => void): () => void {
    return this.#closed === undefined ? this.#engine.watch(listener) : () => {};
  }

  close(): Promise<void> {
    this.#closed ??= this.#finish();
    return this.#closed;
  }

  #run<T>(call: () => Promise<T>): Promise<T> {
    if (this.#closed !== undefined) return Promise.reject(this.#closedFailure());
    const running = call();
    this.#inFlight.add(running);
    running.then(
      () => {
        this.#inFlight.delete(running);
        this.#health?.noteSuccess();
      },
      (error: unknown) => {
        this.#inFlight.delete(running);
        this.#health?.noteFailure(error);
      },
    );
    return running;
  }

  async #finish(): Promise<void> {
    await Promise.allSettled(this.#inFlight);
    await this.#engine.close();
  }
}

/** Listeners to the changes of one store. */
export class TaskEvents {
  readonly #listeners = new Set<{ readonly tell: (news: TaskNews) => void }>();
  readonly #onChange: (isWatched: boolean) => void;

  /** @param onChange Called when the first listener is added, and when the last one is removed. */
  constructor(onChange: (isWatched: boolean) => void) {
    this.#onChange = onChange;
  }

  get isWatched(): boolean {
    return this.#listeners.size > 0;
  }

  /** Adds a listener. @returns A function that removes it; may be called more than once. */
  watch(tell: (news: TaskNews) => void): () => void {
    const listener = { tell };
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) this.#onChange(true);
    return () => {
      if (this.#listeners.delete(listener) && this.#listeners.size === 0) this.#onChange(false);
    };
  }

  tell(news: TaskNews): void {
    for (const { tell } of [...this.#listeners]) tell(news);
  }

  /** Removes all listeners. */
  clear(): void {
    if (!this.isWatched) return;
    this.#listeners.clear();
    this.#onChange(false);
  }
}

/** Milliseconds between two log lines about a store that can't be used. */
const repeatMs = 30_000;
const outages: ReadonlySet<string> = new Set(["task_store_unavailable", "task_store_full"]);

interface StoreHealthDeps {
  readonly log: Logger;
  /** Location of the store, for the log. Failures of calls do not contain it. */
  readonly place: string;
  /** Reads a monotonic clock. */
  readonly now: () => number;
}

/** Logs when a store can't be used, with the error of the system, and when it can be used again. */
export class StoreHealth {
  readonly #deps: StoreHealthDeps;
  #toldAt = Number.NEGATIVE_INFINITY;
  #isDown = false;

  constructor(deps: StoreHealthDeps) {
    this.#deps = deps;
  }

  noteSuccess(): void {
    if (!this.#isDown) return;
    this.#isDown = false;
    this.#deps.log.info({ store: this.#deps.place }, "the task store can be used again");
  }

  noteFailure(error: unknown): void {
    if (!(error instanceof ServingError) || !outages.has(error.id)) return;
    const { log, place, now } = this.#deps;
    if (now() < this.#toldAt + repeatMs) return;
    this.#toldAt = now();
    this.#isDown = true;
    log.warn(
      { err: error.cause ?? error, store: place },
      `${error.message}; calls that need it fail or wait until it is back`,
    );
  }
}
