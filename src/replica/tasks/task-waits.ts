import type { CallScope } from "../../call/call-scope.js";
import type { ServingError } from "../../failure/serving-error.js";

// Callers that wait for news of tasks, in one replica.
//
// W1  Whoever listens before it reads misses nothing: what happened after the read wakes it.
// W2  A caller that goes away leaves nothing behind.

/** One caller's wait for the next news of one task. */
export interface Listening {
  /** Resolves at the next news; rejects when the caller goes away. */
  readonly happened: Promise<void>;
  stop(): void;
}

export class TaskWaits {
  readonly #byTask = new Map<string, Set<() => void>>();
  #size = 0;

  /** Callers that wait now. */
  get size(): number {
    return this.#size;
  }

  /** Listens from now on, until `stop`. */
  listen(id: string, scope: CallScope): Listening {
    let settle!: { resolve: () => void; reject: (reason: ServingError) => void };
    const happened = new Promise<void>((resolve, reject) => {
      settle = { resolve, reject };
    });
    // Nobody may be waiting yet when it rejects.
    happened.catch(() => {});
    const { resolve, reject } = settle;
    this.#add(id, resolve);
    scope.onCancel(reject);
    const stop = () => {
      this.#remove(id, resolve);
      scope.offCancel(reject);
    };
    return { happened, stop };
  }

  /** @param id Absent where it is not known which task changed. */
  tell(id?: string): void {
    const sets = id === undefined ? [...this.#byTask.values()] : [this.#byTask.get(id) ?? []];
    for (const wakes of sets) for (const wake of wakes) wake();
  }

  #add(id: string, wake: () => void): void {
    const wakes = this.#byTask.get(id) ?? new Set();
    this.#byTask.set(id, wakes.add(wake));
    this.#size++;
  }

  #remove(id: string, wake: () => void): void {
    const wakes = this.#byTask.get(id);
    if (wakes?.delete(wake) !== true) return;
    this.#size--;
    if (wakes.size === 0) this.#byTask.delete(id);
  }
}
