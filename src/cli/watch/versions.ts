import { type Clock, createDeferred, type Timer } from "../../base/clock.js";

// The versions of an app that `serve --watch` runs, one after another.
//
// V1  A version is told to drain only when a later one is ready.
// V2  At most one version is starting; one that is newer takes its place.
// V3  A version that ends before it is ready changes nothing for the one that serves.
// V4  One that served and was not told to end is followed by another of the same files, at once if it served for
//     `healthyMs`, else after a pause that grows.

/** A version that served for so long is followed by another at once. */
const healthyMs = 10_000;
/** Else after a pause that doubles from the first to the longest. */
const firstPauseMs = 500;
const maxPauseMs = 10_000;

/** How a version's process ended. */
export interface VersionEnd {
  /** 0 for one that drained as it was told to. */
  readonly code: number;
  /** `"ended with exit code 1"`, `"was ended by SIGKILL"` */
  readonly how: string;
}

/** What the process of a version tells. */
export interface VersionEvents {
  readonly onReady: (ready: ReadyMessage) => void;
  /** Called once. */
  readonly onEnded: (end: VersionEnd) => void;
}

/** The process of a version. */
export interface RunningVersion {
  /** @param isReplaced Whether another serves from now on. */
  drain(isReplaced: boolean): void;
  /** Ends it without waiting for what is under way. */
  drop(): void;
  /** The same, at once and for certain. */
  kill(): void;
}

/** What happens to the versions, for a person. */
export type VersionNews =
  | {
      readonly kind: "ready";
      readonly number: number;
      readonly ms: number;
      readonly ready: ReadyMessage;
      readonly replaced: number | undefined;
    }
  | { readonly kind: "failed"; readonly number: number; readonly end: VersionEnd; readonly serving: number | undefined }
  /** It drained, after another took over. */
  | { readonly kind: "drained"; readonly number: number; readonly ms: number }
  /** It had served, and nobody had told it to end. `restartMs` until the next is started; absent where one is starting. */
  | {
      readonly kind: "ended";
      readonly number: number;
      readonly end: VersionEnd;
      readonly restartMs: number | undefined;
    };

/** What versions need of their surroundings. */
interface VersionsDeps {
  readonly run: (events: VersionEvents) => RunningVersion;
  readonly clock: Clock;
  readonly tell: (news: VersionNews) => void;
}

interface Version {
  readonly number: number;
  readonly process: RunningVersion;
  state: "starting" | "serving" | "draining" | "dropped";
  /** When it came into its state. */
  since: number;
}

export class Versions {
  readonly #deps: VersionsDeps;
  readonly #running = new Set<Version>();
  readonly #stopped = createDeferred<number>();
  #lastNumber = 0;
  #isStopping = false;
  #code = 0;
  #pauseMs = firstPauseMs;
  #restart: Timer | undefined;

  constructor(deps: VersionsDeps) {
    this.#deps = deps;
  }

  /** The number that the next version will have. */
  get nextNumber(): number {
    return this.#lastNumber + 1;
  }

  /** Starts a version in the place of one that is starting (V2). */
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

  /** Drains every version. @returns The exit code of the one that served, when all have ended. */
  stop(): Promise<number> {
    this.#isStopping = true;
    this.#restart?.clear();
    this.#dropStarting();
    const serving = this.#find("serving");
    if (serving !== undefined) this.#drain(serving, false);
    this.#settle();
    return this.#stopped.promise;
  }

  /** Ends all of them now. */
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

  /** @returns How soon; `undefined` where a version is starting. */
  #startAgain(servedMs: number): number | undefined {
    if (this.#find("starting") !== undefined) return undefined;
    const isHealthy = servedMs >= healthyMs;
    const pauseMs = isHealthy ? 0 : this.#pauseMs;
    this.#pauseMs = isHealthy ? firstPauseMs : Math.min(maxPauseMs, this.#pauseMs * 2);
    this.#restart = this.#deps.clock.setTimer(() => this.startNext(), pauseMs, true);
    return pauseMs;
  }

  #settle(): void {
    if (this.#isStopping && this.#running.size === 0) this.#stopped.resolve(this.#code);
  }
}

// What `serve --watch` and the versions it runs tell each other, over Node's own channel of a forked process.

/** What can be called, as a version shows it. */
export interface ReadyMessage {
  readonly kind: "ready";
  readonly url: string;
  /** Every api, and one call to try. */
  readonly apis: string;
}

export type FromVersion = { readonly kind: "bind"; readonly host: string; readonly port: number } | ReadyMessage;

export type ToVersion =
  /** Comes with the socket. */
  | { readonly kind: "bound"; readonly url: string; readonly port: number }
  | { readonly kind: "not-bound"; readonly isInUse: boolean; readonly message: string }
  /** It is to answer what it has accepted, and to end. */
  | { readonly kind: "drain"; readonly isReplaced: boolean };
