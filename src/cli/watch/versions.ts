import type { SocketUse } from "../../app/bound-socket.js";
import { type Clock, createDeferred, type Timer } from "../../base/clock.js";
import { GrowingPause } from "../../base/repeat-pace.js";

// The versions of an app that `serve --watch` runs, one after another.
//
// WV1  A version drains only when a later version is ready.
// WV2  At most one version is starting; a newer version replaces it.
// WV3  A version that ends before it is ready does not affect the version that serves.
// WV4  A version that served and ended unasked is restarted: at once if it served for `healthyMs`, otherwise after a
//      pause that grows.

/** Time that a version must serve to be restarted at once when it ends. */
const healthyMs = 10_000;
/** Pause before a restart otherwise; it doubles from the first to the longest. */
const firstPauseMs = 500;
const maxPauseMs = 10_000;

/** End of a version's process. */
export interface VersionEnd {
  /** Exit code; 0 after a drain. */
  readonly code: number;
  /** Description such as `"ended with exit code 1"` or `"was ended by SIGKILL"`. */
  readonly how: string;
}

/** Events of a version's process. */
export interface VersionEvents {
  readonly onReady: (ready: ReadyMessage) => void;
  /** Called once. */
  readonly onEnded: (end: VersionEnd) => void;
}

/** Process of one version. */
export interface RunningVersion {
  /** Drains the version. @param isReplaced True when another version has taken over. */
  drain(isReplaced: boolean): void;
  /** Ends the version without waiting for its calls in flight. */
  drop(): void;
  /** Kills the process. */
  kill(): void;
}

/** Event that is shown to the user. */
export type VersionNews =
  | {
      readonly kind: "ready";
      readonly number: number;
      readonly ms: number;
      readonly ready: ReadyMessage;
      readonly replaced: number | undefined;
    }
  | { readonly kind: "failed"; readonly number: number; readonly end: VersionEnd; readonly serving: number | undefined }
  /** A replaced version has drained. */
  | { readonly kind: "drained"; readonly number: number; readonly ms: number }
  /** A serving version ended unasked. `restartMs` is the pause before a restart; absent when a version is starting. */
  | {
      readonly kind: "ended";
      readonly number: number;
      readonly end: VersionEnd;
      readonly restartMs: number | undefined;
    };

/** Dependencies of `Versions`. */
interface VersionsDeps {
  readonly run: (events: VersionEvents) => RunningVersion;
  readonly clock: Clock;
  readonly tell: (news: VersionNews) => void;
}

interface Version {
  readonly number: number;
  readonly process: RunningVersion;
  state: "starting" | "serving" | "draining" | "dropped";
  /** Time when the version entered its state. */
  since: number;
}

export class Versions {
  readonly #deps: VersionsDeps;
  readonly #running = new Set<Version>();
  readonly #stopped = createDeferred<number>();
  #lastNumber = 0;
  #isStopping = false;
  #code = 0;
  readonly #pause = new GrowingPause(firstPauseMs, maxPauseMs);
  #restart: Timer | undefined;

  constructor(deps: VersionsDeps) {
    this.#deps = deps;
  }

  /** Number of the next version. */
  get nextNumber(): number {
    return this.#lastNumber + 1;
  }

  /** Starts a version; drops a version that is still starting (WV2). */
  startNext(): void {
    if (this.#isStopping) return;
    this.#restart?.clear();
    this.#dropStarting();
    const number = ++this.#lastNumber;
    const process = this.#deps.run({
      onReady: (ready) => this.#receiveReady(version, ready),
      onEnded: (end) => this.#receiveEnd(version, end),
    });
    const version: Version = { number, process, state: "starting", since: this.#deps.clock.now() };
    this.#running.add(version);
  }

  /** Drains all versions. @returns The exit code of the version that served, when all have ended. */
  stop(): Promise<number> {
    this.#isStopping = true;
    this.#restart?.clear();
    this.#dropStarting();
    const serving = this.#find("serving");
    if (serving !== undefined) this.#drain(serving, false);
    this.#settle();
    return this.#stopped.promise;
  }

  /** Kills all versions. */
  kill(): void {
    for (const { process } of this.#running) process.kill();
  }

  #find(state: Version["state"]): Version | undefined {
    return [...this.#running].find((version) => version.state === state);
  }

  #move(version: Version, state: Version["state"]): void {
    version.state = state;
    version.since = this.#deps.clock.now();
  }

  #dropStarting(): void {
    const starting = this.#find("starting");
    if (starting === undefined) return;
    this.#move(starting, "dropped");
    starting.process.drop();
  }

  #drain(version: Version, isReplaced: boolean): void {
    this.#move(version, "draining");
    version.process.drain(isReplaced);
  }

  #receiveReady(version: Version, ready: ReadyMessage): void {
    if (version.state !== "starting") return;
    const ms = this.#deps.clock.now() - version.since;
    const replaced = this.#find("serving");
    this.#move(version, "serving");
    this.#deps.tell({ kind: "ready", number: version.number, ms, ready, replaced: replaced?.number });
    if (replaced !== undefined) this.#drain(replaced, true);
  }

  #receiveEnd(version: Version, end: VersionEnd): void {
    const { number, state, since } = version;
    this.#running.delete(version);
    if (this.#isStopping) {
      if (state === "draining") this.#code = Math.max(this.#code, end.code);
    } else this.#tellEnd(number, state, { end, ms: this.#deps.clock.now() - since });
    this.#settle();
  }

  #tellEnd(
    number: number,
    state: Version["state"],
    { end, ms }: { readonly end: VersionEnd; readonly ms: number },
  ): void {
    const { tell } = this.#deps;
    if (state === "starting") tell({ kind: "failed", number, end, serving: this.#find("serving")?.number });
    if (state === "draining") tell({ kind: "drained", number, ms });
    if (state === "serving") tell({ kind: "ended", number, end, restartMs: this.#startAgain(ms) });
  }

  /** Schedules a restart (WV4). @returns The pause; `undefined` when a version is starting. */
  #startAgain(servedMs: number): number | undefined {
    if (this.#find("starting") !== undefined) return undefined;
    const isHealthy = servedMs >= healthyMs;
    if (isHealthy) this.#pause.reset();
    const pauseMs = isHealthy ? 0 : this.#pause.begin();
    this.#restart = this.#deps.clock.setTimer(() => this.startNext(), pauseMs, true);
    return pauseMs;
  }

  #settle(): void {
    if (this.#isStopping && this.#running.size === 0) this.#stopped.resolve(this.#code);
  }
}

// Messages between `serve --watch` and its versions, over the channel that Node gives a forked process.

/** Address and apis of a version that is ready. */
export interface ReadyMessage {
  readonly kind: "ready";
  readonly url: string;
  /** Address of the server on `adminPort`; absent without one. */
  readonly adminUrl?: string | undefined;
  /** List of apis and one call to try, as text. */
  readonly apis: string;
}

/** Request for a socket. `use` tells two sockets of one address apart: port 0 gives each server a port of its own. */
interface BindMessage {
  readonly kind: "bind";
  readonly host: string;
  readonly port: number;
  readonly use: SocketUse;
}

export type FromVersion = BindMessage | ReadyMessage;

export type ToVersion =
  /** Reply to `bind`; carries the socket. */
  | { readonly kind: "bound"; readonly url: string; readonly port: number }
  | { readonly kind: "not-bound"; readonly isInUse: boolean; readonly message: string }
  /** Request to finish the accepted requests and to end. */
  | { readonly kind: "drain"; readonly isReplaced: boolean };
