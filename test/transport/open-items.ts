import type { CallScope } from "../../src/call/call-scope.js";
import type { ReplicaLink } from "../../src/call/link.js";
import { ItemReader } from "../../src/call/streams/item-reader.js";

/** Opens a streaming call on a link, for a reader. */
export function openItems(link: ReplicaLink, scope: CallScope): ItemReader {
  const reader: ItemReader = new ItemReader({ pull: () => flow.pull(), stop: () => flow.stop() }, () => "a stream");
  const flow = link.open(scope, reader);
  return reader;
}
