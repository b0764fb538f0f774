import type { Socket } from "node:net";
import type { Logger } from "../base/logger.js";
import type { CallTime } from "../call/call-scope.js";
import type { EntryCaller } from "../handle/pending-call.js";
import type { FileStore } from "../held/file-store.js";
import type { HttpSettings } from "../options/settings.js";
import type { ConnectionRoom } from "./connection-room.js";
import type { FormerTask } from "./former-task.js";
import type { BodyLimits } from "./read-bytes.js";
import type { StreamWatch } from "./streams/stream-watch.js";

/** What every request of one server shares. */
export interface Edge {
  readonly settings: HttpSettings;
  readonly caller: EntryCaller;
  /** A task of an api that the app has no more. */
  readonly findFormerTask: ((id: string) => Promise<FormerTask | undefined>) | undefined;
  readonly log: Logger;
  readonly time: CallTime;
  readonly limits: BodyLimits;
  /** Where large bodies go as they come; absent: all are kept in memory. */
  readonly files: FileStore | undefined;
  /** Looks after requests whose body or answer is a stream. */
  readonly streams: StreamWatch;
  /** Connections that are open, in use or not. */
  readonly sockets: Set<Socket>;
  /** Which of them are kept. */
  readonly room: ConnectionRoom;
  /** Requests whose response is not out yet. */
  inFlight: number;
  /** Set once, when the server begins to drain. */
  isClosing: boolean;
}
