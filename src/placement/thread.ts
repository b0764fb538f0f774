import { type MessagePort, Worker } from "node:worker_threads";
import { findOwnModule } from "../base/shared-state.js";
import { messageOf } from "../failure/to-serving-error.js";
import type { FromRuntime, ToRuntime } from "./control.js";
import type { Runner } from "./remote-runtime.js";

/** What the thread of a replica is given. */
export interface ThreadDeps {
  readonly name: string;
  /** All of its environment. */
  readonly env: NodeJS.ProcessEnv;
  /** Bound of the JavaScript heap in MiB; `undefined` for Node's own. */
  readonly heapMiB: number | undefined;
}

/** A worker thread for one replica; `runtime/thread-main.ts` is its other side. */
export class ReplicaThread implements Runner {
  readonly pid = undefined;
  readonly sharesProcess = true;
  readonly #worker: Worker;
  #problem: string | undefined;

  constructor({ name, env, heapMiB }: ThreadDeps) {
    this.#worker = new Worker(findOwnModule("runtime/thread-main"), {
      name,
      env,
      // Node would join them to this process's, and never read them again once one of these has failed.
      stdout: true,
      stderr: true,
      ...(heapMiB !== undefined && { resourceLimits: { maxOldGenerationSizeMb: heapMiB } }),
    });
    this.#worker.stdout.on("data", (chunk: Buffer) => void process.stdout.write(chunk));
    this.#worker.stderr.on("data", (chunk: Buffer) => void process.stderr.write(chunk));
    // Anything may be thrown, `null` too. Node prints what ends a process, but not what ends a thread that is watched.
    this.#worker.on("error", (thrown: unknown) => {
      this.#problem = `threw: ${messageOf(thrown)}`;
      if (thrown instanceof Error)
        process.stderr.write(`${name} ended by an error that nobody caught: ${thrown.stack}\n`);
    });
  }

  send(message: ToRuntime): void {
    this.#worker.postMessage(message, portsOf(message));
  }

  onMessage(receive: (message: FromRuntime) => void): void {
    this.#worker.on("message", receive);
  }

  onExit(exited: (how: string) => void): void {
    this.#worker.on("exit", (code) => exited(this.#problem ?? `ended with exit code ${code}`));
  }

  kill(): void {
    void this.#worker.terminate();
  }
}

/** Ports change hands with the message that names them. */
function portsOf(message: ToRuntime): MessagePort[] {
  if (message.kind === "accept") return [message.port];
  return message.kind === "link" && message.update.kind === "add-port" ? [message.update.port] : [];
}
