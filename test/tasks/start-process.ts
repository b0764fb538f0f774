import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { StoreWork } from "./store-process.js";
import type { StorePlace } from "./test-stores.js";

/** Process that works on a store; `store-process.ts` documents its messages. */
export class StoreProcess {
  readonly child: ChildProcess;
  readonly #exited: Promise<unknown>;

  constructor(place: StorePlace, work: StoreWork) {
    const file = join(import.meta.dirname, "store-process.ts");
    this.child = fork(file, [JSON.stringify(place), JSON.stringify(work)], { execArgv: ["--import", "tsx"] });
    this.#exited = once(this.child, "exit");
  }

  async hear<T>(): Promise<T> {
    const [message] = await Promise.race([
      once(this.child, "message"),
      this.#exited.then(([status]: any) => Promise.reject(new Error(`it ended with ${status}`))),
    ]);
    return message as T;
  }

  async kill(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.#exited;
  }

  async ended(): Promise<void> {
    const [status] = (await this.#exited) as [number];
    assert.equal(status, 0);
  }
}
