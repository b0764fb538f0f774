import { type ChildProcess, fork } from "node:child_process";
import { findOwnModule } from "../base/shared-state.js";
import { systemProblem } from "../failure/read-thrown.js";
import type { FromRuntime, ToRuntime } from "./control.js";
import type { Runner } from "./remote-runtime.js";

/** What the process of a replica is given. */
interface ProcessDeps {
  /** All of its environment. */
  readonly env: NodeJS.ProcessEnv;
  /** Bound of the JavaScript heap in MiB; `undefined` for Node's own. */
  readonly heapMiB: number | undefined;
  /** Ids of the GPUs it may see; empty where it asked for none, and then sees what the app itself sees. */
  readonly devices: readonly number[];
}

/**
 * Keeps glibc from giving the memory of each large tensor back to the kernel and asking for it again with the next one, which
 * costs as much as copying the tensor (of 600 kB: 50 to 70 us). At most 64 MiB are held back.
 */
const allocatorVariables: Readonly<Record<string, string>> =
  process.platform === "linux" ? { MALLOC_MMAP_THRESHOLD_: "33554432", MALLOC_TRIM_THRESHOLD_: "67108864" } : {};

const running = new Set<ChildProcess>();

/**
 * However this process ends, but for a SIGKILL: a replica that computes without a pause would not see its channel close, and go
 * on without anybody above it.
 */
function endWithThisProcess(child: ChildProcess): void {
  if (running.size === 0) process.on("exit", killRunning);
  running.add(child);
  child.on("exit", () => {
    running.delete(child);
    if (running.size === 0) process.off("exit", killRunning);
  });
}

function killRunning(): void {
  for (const child of running) child.kill("SIGKILL");
}

/**
 * A child process for one replica; `runtime/process-main.ts` is its other side.
 *
 * The control channel is Node's own. A child ends by itself when that channel closes, so none outlives its parent.
 */
export class ReplicaProcess implements Runner {
  readonly sharesProcess = false;
  readonly #child: ChildProcess;

  constructor({ env, heapMiB, devices }: ProcessDeps) {
    const heap = heapMiB === undefined ? [] : [`--max-old-space-size=${heapMiB}`];
    this.#child = fork(findOwnModule("runtime/process-main"), [], {
      serialization: "advanced",
      env: {
        ...allocatorVariables,
        ...env,
        ...(devices.length > 0 && { CUDA_VISIBLE_DEVICES: devices.join(",") }),
      },
      execArgv: [...childArguments(), ...heap],
    });
    endWithThisProcess(this.#child);
    // Without a listener a failed send would end the parent; the exit that follows says all there is to say.
    this.#child.on("error", () => {});
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  send(message: ToRuntime, handle?: unknown): void {
    if (!this.#child.connected) return;
    // What is sent to a process that has just ended is lost, and its end says all there is to say.
    this.#child.send(message, handle as never, () => {});
  }

  onMessage(receive: (message: FromRuntime) => void): void {
    this.#child.on("message", receive);
  }

  onExit(exited: (how: string) => void): void {
    let isTold = false;
    const tell = (how: string) => {
      if (isTold) return;
      isTold = true;
      exited(how);
    };
    this.#child.on("exit", (code, signal) =>
      tell(signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`),
    );
    this.#child.on("error", (error) => {
      if (this.#child.pid === undefined) tell(`could not be started: ${systemProblem(error)}`);
    });
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}

/** What was asked of Node for this process and is to hold for a child of it. */
export const childArguments = (): string[] => process.execArgv.filter(isForChild);

/** A debugger's port can be had once; what a test runner asks of Node is not for its children. */
const isForChild = (argument: string): boolean => !/^--(inspect|test|watch|eval|print)/.test(argument);
