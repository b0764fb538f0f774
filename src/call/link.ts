import type { CallScope } from "./call-scope.js";
import type { ItemSink, ItemSource } from "./streams/item-source.js";

/**
 * Path on which calls reach one replica, as a handle knows it.
 *
 * A link makes sure that caller and callee never share a value that one of them could change. It ends the work of a
 * cancelled call as far as the other side allows; the caller is answered without waiting for that.
 */
export interface ReplicaLink {
  /** Name of the replica: `"Model#0"`. */
  readonly replica: string;
  /** Calls sent and not yet answered; the balancer picks the smallest number. */
  readonly inFlight: number;
  /**
   * Share of the replica's slots in use by all of its callers: 1 is all of them, and more wait. Absent where nothing
   * but the own calls is known.
   */
  readonly burden?: number;
  /** True for a replica in the zone of this app. */
  readonly isNear?: boolean;
  /** Sends the scope's call; the answer goes to `scope.reply` or `scope.replyFailure`. Never throws. */
  send(scope: CallScope): void;
  /** Opens the scope's call; the first pull sends it. Its items go to `sink`. A stop cancels the call. Never throws. */
  open(scope: CallScope, sink: ItemSink): ItemSource;
}
