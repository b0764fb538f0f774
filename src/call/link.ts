import type { CallScope } from "./call-scope.js";

/**
 * The path on which calls reach one replica: all that a handle knows of it.
 *
 * A link makes sure that caller and callee never share a value one of them could change. It ends the work of a call
 * whose scope is cancelled as far as the other side lets it; the caller is answered without waiting for that.
 */
export interface ReplicaLink {
  /** `"Model#0"`. */
  readonly replica: string;
  /** Calls sent and not yet answered; the balancer picks the smallest. */
  readonly inFlight: number;
  /** Sends the scope's call; the answer goes to `scope.reply` or `scope.replyFailure`. Never throws. */
  send(scope: CallScope): void;
  /** Starts the scope's call and yields its items; ending the iteration early cancels the call. */
  open(scope: CallScope): AsyncIterableIterator<unknown>;
}
