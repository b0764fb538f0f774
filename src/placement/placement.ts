import type { Socket } from "node:net";
import type { MessagePort } from "node:worker_threads";
import type { Residence } from "../graph/plan.js";
import type { ControlAnswers, LinkUpdate } from "./control.js";

/** Residence of a caller, which decides how it reaches a replica. */
export type CallerResidence = Exclude<Residence, "caller" | "elsewhere">;

/** A thread or process whose replicas call others. */
export interface Caller {
  readonly residence: CallerResidence;
  /** True when another process replaces this one: replicas that still live here are to move. */
  readonly isSuperseded?: boolean;
  notify(update: LinkUpdate): void;
}

/** Way in which a caller reaches a replica. */
export type LinkOffer =
  /** The replica lives in the thread of the caller, which finds it by its id. */
  | { readonly kind: "local" }
  /** A Unix socket. */
  | { readonly kind: "address"; readonly address: string }
  /** One end of a message channel between two threads; it carries the ports of links. */
  | { readonly kind: "port"; readonly port: MessagePort };

/** Figures that a replica reports about itself. */
export type Pulse = ControlAnswers["pulse"];

/** The supervisor's view of one replica run, whatever its placement. */
export interface ReplicaHost {
  /** `"Model#0"`. */
  readonly id: string;
  /** Process id of a replica in another process. */
  readonly pid?: number | undefined;
  /** Thread or process in which it lives: the same object for replicas that share one. */
  readonly caller: Caller;
  /** Resident memory of its process above which it is replaced; `Infinity` for no limit. */
  readonly memoryBytes: number;
  /** True during the first run of an api. The replica announces it before it begins. */
  readonly isWarmingUp?: boolean;
  /** True when it is debugged: limits of liveness, memory and start do not apply to it. */
  readonly isInspected?: boolean;
  /** Time for which the start of another replica may block the event loop that it shares; 0 while none starts. */
  readonly heldUpMs?: number;
  /** Resolves when it ends without an order, with a text that says how. */
  readonly ended: Promise<string>;
  /** Starts the thread or process if needed, and loads the author's code. @throws {ServingError} When that fails. */
  load(signal: AbortSignal): Promise<void>;
  /** Starts the replica. Its callees have started by then. @throws {ServingError} `start_failed`, `start_timeout`. */
  start(signal: AbortSignal): Promise<void>;
  /** Returns the way in which `caller` reaches it; usable once `start` has resolved. */
  offerTo(caller: Caller): LinkOffer;
  /** Resolves with true when it may receive calls now. */
  isReady(): Promise<boolean>;
  /** Reads its pulse; rejects when no answer comes in time. `undefined` for a replica in this thread. */
  pulse(limitMs: number): Promise<Pulse> | undefined;
  /** Returns the apis that answer fewer calls than they get, for a replica without a pulse. */
  readStrains?(): readonly string[];
  /** Reads the metrics of its thread or process, in the JSON form of prom-client. Absent in the main thread. */
  metrics?(): Promise<readonly object[]>;
  /**
   * Lets it answer HTTP on a bound socket. Absent in the main thread, which opens an HTTP server of its own.
   *
   * @throws {ServingError} `port_in_use`.
   */
  listen?(handle: unknown): Promise<void>;
  /**
   * Unix socket that takes the bytes of secured connections of other apps. Set for a replica in a thread, which can't
   * take connections themselves.
   */
  readonly edgeAddress?: string | undefined;
  /**
   * Takes a connection of another app, of which no byte was read. Resolves when the replica has it.
   *
   * @throws When the replica has ended; the connection then ends too.
   */
  acceptRemote?(socket: Socket): Promise<void>;
  /** Tells it how many replicas of its service are ready in this app. */
  noteSiblings?(ready: number): void;
  /** Stops taking calls; resolves when the last one has ended. */
  drain(): Promise<void>;
  /** Ends it in order. Calls still in flight fail with `replica_lost`. */
  stop(): Promise<void>;
  /**
   * Kills it, with all replicas that share its process.
   *
   * @param reason Text that `ended` of each of them resolves with. Default: what the system reports.
   */
  kill(reason?: string): void;
}
