import type { MessagePort } from "node:worker_threads";
import type { Residence } from "../graph/plan.js";
import type { ControlAnswers, LinkUpdate } from "./control.js";

/** Location of a caller, as far as the way to a replica depends on it. */
export type CallerResidence = Exclude<Residence, "caller">;

/** A thread or process whose replicas call others. */
export interface Caller {
  readonly residence: CallerResidence;
  /** Another process has taken its place: replicas that still live there are to move. */
  readonly isSuperseded?: boolean;
  notify(update: LinkUpdate): void;
}

/** The way to a replica that a caller is given. */
export type LinkOffer =
  /** The replica lives in the caller's thread, which finds it by its id. */
  | { readonly kind: "local" }
  /** A Unix socket. */
  | { readonly kind: "address"; readonly address: string }
  /** A joined port between two threads, over which the ports of links go. */
  | { readonly kind: "port"; readonly port: MessagePort };

/** How a replica is doing, as it says itself. */
export type Pulse = ControlAnswers["pulse"];

/** The parent's view of one replica's life, wherever it lives. */
export interface ReplicaHost {
  /** `"Model#0"`. */
  readonly id: string;
  /** Process id, for a replica in a process of its own. */
  readonly pid?: number | undefined;
  /** Where it lives: the same for replicas that share a thread or process. */
  readonly caller: Caller;
  /** Resident memory of its process beyond which it is replaced; `Infinity` where there is no bound. */
  readonly memoryBytes: number;
  /** Whether it is in the first run of an api, as it says itself before that begins. */
  readonly isWarmingUp?: boolean;
  /** How long the start of another replica may hold up the event loop it shares; 0 where none is under way. */
  readonly heldUpMs?: number;
  /** Resolves with how it ended, should it end without having been asked to. */
  readonly ended: Promise<string>;
  /** Brings up what the replica runs in, and loads the author's code. @throws {ServingError} when that fails. */
  load(signal: AbortSignal): Promise<void>;
  /** Starts the replica; its callees can be called. @throws {ServingError} `start_failed`, `start_timeout`. */
  start(signal: AbortSignal): Promise<void>;
  /** A way to call it; usable once `start` has resolved. */
  offerTo(caller: Caller): LinkOffer;
  /** Whether it may receive calls now. */
  isReady(): Promise<boolean>;
  /** How it is doing; rejects when it does not say so in time. `undefined` where it shares the asker's thread. */
  pulse(limitMs: number): Promise<Pulse> | undefined;
  /** Which of its apis answer less than is asked of them, of one without a pulse. */
  readStrains?(): readonly string[];
  /** Metrics of its thread or process, as prom-client gives them as JSON. Absent in the main thread. */
  metrics?(): Promise<readonly object[]>;
  /**
   * Answers HTTP on a bound socket. Absent in the main thread, which opens an HTTP server of its own.
   *
   * @throws {ServingError} `port_in_use`.
   */
  listen?(handle: unknown): Promise<void>;
  /** Takes no new call; resolves when the last one has ended. */
  drain(): Promise<void>;
  /** Ends it in order; calls still in flight fail with `replica_lost`. */
  stop(): Promise<void>;
  /**
   * Ends it at once, as a crash would, with whatever shares its process.
   *
   * @param reason Told by `ended`, of all of them. Default: what the system says.
   */
  kill(reason?: string): void;
}
