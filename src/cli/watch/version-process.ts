import { type ChildProcess, fork } from "node:child_process";
import type { BoundSocket } from "../../app/bound-socket.js";
import { systemClock, type Timer } from "../../base/clock.js";
import { findOwnModule } from "../../base/shared-state.js";
import { ServingError } from "../../failure/serving-error.js";
import { messageOf } from "../../failure/to-serving-error.js";
import type { FromVersion, RunningVersion, ToVersion, VersionEvents } from "./versions.js";

/** How long a version that was dropped may take to end by itself: it is busy, or its code never lets go. */
const dropLimitMs = 1_000;

/** What the process of a version is made of. */
export interface VersionProcessDeps {
  /** The command line, `--watch` included: the version knows that it is one. */
  readonly args: readonly string[];
  readonly bind: (host: string, port: number) => Promise<BoundSocket>;
  readonly events: VersionEvents;
}

/** One version of an app: an ordinary `ekiben serve` in a child process, on a socket of this one. */
export class VersionProcess implements RunningVersion {
  readonly #child: ChildProcess;
  readonly #deps: VersionProcessDeps;
  #dropTimer: Timer | undefined;
  #hasEnded = false;

  constructor(deps: VersionProcessDeps) {
    this.#deps = deps;
    this.#child = fork(findOwnModule("cli/watch/version-main"), [...deps.args], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
      // A debugger's port can be had once.
      execArgv: process.execArgv.filter((argument) => !argument.startsWith("--inspect")),
    });
    this.#child.on("message", (message: FromVersion) => this.#receive(message));
    this.#child.on("exit", (code, signal) => {
      const how = signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`;
      this.#end(code ?? 1, how);
    });
    this.#child.on("error", (error) => {
      if (this.#child.pid === undefined) this.#end(1, `could not be started: ${error.message}`);
    });
  }

  drain(isReplaced: boolean): void {
    this.#send({ kind: "drain", isReplaced });
  }

  drop(): void {
    if (this.#hasEnded) return;
    // It ends when its channel closes, and its replicas with it.
    if (this.#child.connected) this.#child.disconnect();
    this.#dropTimer = systemClock.setTimer(() => this.kill(), dropLimitMs);
  }

  kill(): void {
    if (!this.#hasEnded) this.#child.kill("SIGKILL");
  }

  #receive(message: FromVersion): void {
    if (message.kind === "ready") this.#deps.events.onReady(message);
    else void this.#bind(message.host, message.port);
  }

  async #bind(host: string, port: number): Promise<void> {
    try {
      const { url, port: bound, handle } = await this.#deps.bind(host, port);
      this.#send({ kind: "bound", url, port: bound }, handle);
    } catch (error) {
      const isInUse = error instanceof ServingError && error.id === "port_in_use";
      this.#send({ kind: "not-bound", isInUse, message: messageOf(error) });
    }
  }

  #send(message: ToVersion, handle?: unknown): void {
    // What is sent to a process that has just ended is lost, and its end says all there is to say.
    if (this.#child.connected) this.#child.send(message, handle as never, () => {});
  }

  #end(code: number, how: string): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#dropTimer?.clear();
    this.#deps.events.onEnded({ code, how });
  }
}
