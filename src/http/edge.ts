import type { Logger } from "../base/logger.js";
import type { CallTime } from "../call/call-scope.js";
import type { EntryCaller } from "../handle/pending-call.js";
import type { HttpSettings } from "../options/settings.js";

/** What every request of one server shares. */
export interface Edge {
  readonly settings: HttpSettings;
  readonly caller: EntryCaller;
  readonly log: Logger;
  readonly time: CallTime;
  /** Set once, when the server begins to drain. */
  isClosing: boolean;
}
