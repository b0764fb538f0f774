import { type ChildProcess, fork } from "node:child_process";
import type { BoundSocket, SocketUse } from "../../app/bound-socket.js";
import { systemClock, type Timer } from "../../base/clock.js";
import { findOwnModule } from "../../base/shared-state.js";
import { ServingError } from "../../failure/serving-error.js";
import { messageOf } from "../../failure/to-serving-error.js";
import type { FromVersion, RunningVersion, ToVersion, VersionEvents } from "./versions.js";

/** Time that a dropped version has to end by itself before it is killed: its code may be busy or never end. */
const dropLimitMs = 1_000;

/** Dependencies of `VersionProcess`. */
export interface VersionProcessDeps {
  /** Command line, `--watch` included; a version recognizes itself by its channel. */
  readonly args: readonly string[];
  readonly bind: (host: string, port: number, use: SocketUse) => Promise<BoundSocket>;
  readonly events: VersionEvents;
}

/** One version of an app: an ordinary `ekiben serve` in a child process, on a socket of this process. */
export class VersionProcess implements RunningVersion {
  readonly #child: ChildProcess;
  readonly #deps: VersionProcessDeps;
  #dropTimer: Timer | undefined;
  #hasEnded = false;

  constructor(deps: VersionProcessDeps) {
    this.#deps = deps;
    this.#child = fork(findOwnModule("cli/watch/version-main"), [...deps.args], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
      // A debugger port can be used by one process only.
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
    // The version and its replicas end when the channel closes.
    if (this.#child.connected) this.#child.disconnect();
    this.#dropTimer = systemClock.setTimer(() => this.kill(), dropLimitMs);
  }

  kill(): void {
    if (!this.#hasEnded) this.#child.kill("SIGKILL");
  }

  #receive(message: FromVersion): void {
    if (message.kind === "ready") this.#deps.events.onReady(message);
    else void this.#bind(message.host, message.port, message.use);
  }

  async #bind(host: string, port: number, use: SocketUse): Promise<void> {
    try {
      const { url, port: bound, handle } = await this.#deps.bind(host, port, use);
      this.#send({ kind: "bound", url, port: bound }, handle);
    } catch (error) {
      const isInUse = error instanceof ServingError && error.id === "port_in_use";
      this.#send({ kind: "not-bound", isInUse, message: messageOf(error) });
    }
  }

  #send(message: ToVersion, handle?: unknown): void {
    // A message to a process that has just ended is lost; its exit event reports the end.
    if (this.#child.connected) this.#child.send(message, handle as never, () => {});
  }

  #end(code: number, how: string): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#dropTimer?.clear();
    this.#deps.events.onEnded({ code, how });
  }
}
