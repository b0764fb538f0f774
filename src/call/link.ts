import type { CallScope } from "./call-scope.js";
import type { ItemSink, ItemSource } from "./streams/item-source.js";

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
  /** Opens the scope's call, which is sent by the first pull; its items go to `sink`. A stop cancels the call. Never throws. */
  open(scope: CallScope, sink: ItemSink): ItemSource;
}
