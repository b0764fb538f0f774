import { type MessagePort, Worker } from "node:worker_threads";
import { findOwnModule } from "../base/shared-state.js";
import { messageOf } from "../failure/to-serving-error.js";
import type { FromRuntime, ToRuntime } from "./control.js";
import type { Runner } from "./remote-runtime.js";

/** Inputs of a replica's thread. */
interface ThreadDeps {
  readonly name: string;
  /** Its whole environment. */
  readonly env: NodeJS.ProcessEnv;
  /** Limit of the JavaScript heap in MiB; `undefined` for Node's default. */
  readonly heapMiB: number | undefined;
}

/** Worker thread in which replicas live; `runtime/thread-main.ts` is its other side. */
export class ReplicaThread implements Runner {
  readonly pid = undefined;
  readonly sharesProcess = true;
  readonly #worker: Worker;
  #problem: string | undefined;

  constructor({ name, env, heapMiB }: ThreadDeps) {
    this.#worker = new Worker(findOwnModule("runtime/thread-main"), {
      name,
      env,
      // By default Node pipes them to those of this process, and never reads them again once one of these has failed.
      stdout: true,
      stderr: true,
      ...(heapMiB !== undefined && { resourceLimits: { maxOldGenerationSizeMb: heapMiB } }),
    });
    this.#worker.stdout.on("data", (chunk: Buffer) => void process.stdout.write(chunk));
    this.#worker.stderr.on("data", (chunk: Buffer) => void process.stderr.write(chunk));
    // Any value may be thrown, even `null`. Node prints the error that ends a process, but not one that ends a
    // watched thread.
    this.#worker.on("error", (thrown: unknown) => {
      this.#problem = `threw: ${messageOf(thrown)}`;
      if (thrown instanceof Error) process.stderr.write(`${name} ended by an uncaught error: ${thrown.stack}\n`);
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

/** Returns the ports to transfer with a message. */
function portsOf(message: ToRuntime): MessagePort[] {
  if (message.kind === "accept") return [message.port];
  return message.kind === "link" && message.update.kind === "add-port" ? [message.update.port] : [];
}
