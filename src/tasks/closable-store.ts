import type { ServingError } from "../failure/serving-error.js";
import type { StoreHealth } from "./store-health.js";
import type { TaskNews, TaskStore } from "./task-store.js";

/** A store that ends in order: its calls that were begun finish first, later ones fail. Its engine need not see to that, nor to the log. */
export class ClosableStore implements TaskStore {
  readonly #engine: TaskStore;
  readonly #closedFailure: () => ServingError;
  readonly #health: StoreHealth | undefined;
  readonly #inFlight = new Set<Promise<unknown>>();
  #closed: Promise<void> | undefined;

  /** @param health Hears how calls end. */
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
  get: TaskStore["get"] = (id) => this.#run(() => this.#engine.get(id));
  result: TaskStore["result"] = (id) => this.#run(() => this.#engine.result(id));
  cancel: TaskStore["cancel"] = (id, failure) => this.#run(() => this.#engine.cancel(id, failure));
  retry: TaskStore["retry"] = (id, newId) => this.#run(() => this.#engine.retry(id, newId));
  list: TaskStore["list"] = (filter) => this.#run(() => this.#engine.list(filter));
  countWaiting: TaskStore["countWaiting"] = (service) => this.#run(() => this.#engine.countWaiting(service));
  listOpen: TaskStore["listOpen"] = (isLeftOut) => this.#run(() => this.#engine.listOpen(isLeftOut));
  release: TaskStore["release"] = (request) => this.#run(() => this.#engine.release(request));
  enroll: TaskStore["enroll"] = (run) => this.#run(() => this.#engine.enroll(run));
  leave: TaskStore["leave"] = (runId) => this.#run(() => this.#engine.leave(runId));
  adopt: TaskStore["adopt"] = (place) => this.#run(() => this.#engine.adopt(place));
  move: TaskStore["move"] = (from, to) => this.#run(() => this.#engine.move(from, to));
  purge: TaskStore["purge"] = (ageMs) => this.#run(() => this.#engine.purge(ageMs));

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
