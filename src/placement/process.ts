import { type ChildProcess, fork } from "node:child_process";
import { findOwnModule } from "../base/shared-state.js";
import { systemProblem } from "../failure/read-thrown.js";
import type { FromRuntime, ToRuntime } from "./control.js";
import type { Runner } from "./remote-runtime.js";

/** Inputs of a replica's process. */
interface ProcessDeps {
  /** Its whole environment. */
  readonly env: NodeJS.ProcessEnv;
  /** Limit of the JavaScript heap in MiB; `undefined` for Node's default. */
  readonly heapMiB: number | undefined;
  /** Ids of the GPUs that it may see. Empty if it asked for none: it then sees those of the app. */
  readonly devices: readonly number[];
}

/**
 * Keeps glibc from returning the memory of each large tensor to the kernel and requesting it again for the next one.
 * That costs as much as copying the tensor (600 kB: 50 to 70 us). At most 64 MiB are kept.
 */
const allocatorVariables: Readonly<Record<string, string>> =
  process.platform === "linux" ? { MALLOC_MMAP_THRESHOLD_: "33554432", MALLOC_TRIM_THRESHOLD_: "67108864" } : {};

const running = new Set<ChildProcess>();

/**
 * Kills the child when this process exits, except by SIGKILL. A replica that computes without a pause does not notice
 * that its channel closed, and would run on without a supervisor.
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
 * Child process in which replicas live; `runtime/process-main.ts` is its other side.
 *
 * The control channel is the one of Node. A child ends when that channel closes, so none outlives its parent.
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
    // Without a listener a failed send would end the parent. The exit that follows reports the problem.
    this.#child.on("error", () => {});
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  send(message: ToRuntime, handle?: unknown): void {
    if (!this.#child.connected) return;
    // A message to a process that has just ended is lost. Its exit reports the problem.
    // A connection stays open here until its receiver has it: Node never closes the one that is on its way to a process
    // when that process ends, and its other side would wait for ever.
    this.#child.send(message, handle as never, { keepOpen: true }, () => {});
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

/** Returns the Node arguments of this process that its children get too. */
export const childArguments = (): string[] => process.execArgv.filter(isForChild);

/** Drops `--inspect`, since a port can be opened once (a replica has `inspect`), and the arguments of a test runner. */
const isForChild = (argument: string): boolean => !/^--(inspect|test|watch|eval|print)/.test(argument);
