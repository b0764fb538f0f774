import type { RequestContext } from "./request-context.js";

/** Who made a call. From outside, `service` is `"http"` (the edge) or `"local"` (a program or a test). */
export interface Caller {
  readonly service: string;
  readonly api: string;
}

/** Whose turn it is where calls wait: a `"background"` call lets interactive ones go first, for a while. */
export type Priority = "interactive" | "background";

/** One call inside the app: plain data, apart from the request it belongs to, so that it survives any channel. */
export interface Call {
  readonly service: string;
  readonly api: string;
  /** The caller's own value, which it may change as soon as it has made the call; `CallScope.keepInput` makes it the call's. */
  input: unknown;
  /** When nobody wants the answer any more: a reading of this thread's clock, `Infinity` for none. */
  readonly deadline: number;
  readonly caller: Caller;
  readonly request: RequestContext;
  /**
   * True for a call from the HTTP edge: its input was just parsed and nobody else holds it, and its output is read at
   * once and never kept. Such values are always checked and need no copy.
   */
  readonly outside: boolean;
  readonly priority: Priority;
}
