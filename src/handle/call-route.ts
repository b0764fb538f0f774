import type { CallTime } from "../call/call-scope.js";
import type { EdgeStats } from "../observe/call-stats.js";
import type { CalleeRoom } from "./callee-room.js";
import type { ServiceLinks } from "./directory.js";

/** One api as a handle reaches it: made once, used by each call. */
export interface CallRoute {
  readonly service: string;
  readonly api: string;
  /** The shorter of the api's and the edge's. */
  readonly timeoutMs: number;
  /** Whether a call may run twice, so that one on a lost replica may be sent to another. */
  readonly idempotent: boolean;
  /** Whether the input is a stream, whose items are sent as they are read. */
  readonly takesStream: boolean;
  /** Of a stream: what its items are checked against. */
  readonly itemSchema: unknown;
  /** How long a call waits for a replica where none is ready. */
  readonly holdMs: number;
  readonly links: ServiceLinks;
  /** Keeps calls back that the callee would refuse. */
  readonly room: CalleeRoom;
  readonly stats: EdgeStats;
  readonly time: CallTime;
}
