import type { ReplicaLink } from "../call/link.js";

/** The parent's view of one replica's life, wherever it lives. */
export interface ReplicaHost {
  /** `"Model#0"`. */
  readonly id: string;
  /** The link its calls go over; usable once `start` has resolved. */
  readonly link: ReplicaLink;
  /** Brings the replica up. @throws {ServingError} `start_failed`, `start_timeout`. */
  start(signal: AbortSignal): Promise<void>;
  /** Whether it may receive calls now. */
  isReady(): Promise<boolean>;
  /** Takes no new call; resolves when the last one has ended. */
  drain(): Promise<void>;
  /** Ends it; calls still in flight fail with `replica_lost`. */
  stop(): Promise<void>;
}
