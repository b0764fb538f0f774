import type { BindSocket, BoundSocket } from "../../app/bound-socket.js";
import { stopSignals } from "../../app/stop-signals.js";
import { createDeferred } from "../../base/clock.js";
import { fail } from "../../failure/failures.js";
import type { FromVersion, ToVersion } from "./versions.js";

/** What a version that `serve --watch` runs has of the process above it. */
export interface Watcher {
  /** The socket is the watching process's own, and outlives the version. @throws {ServingError} `port_in_use`. */
  readonly bind: BindSocket;
  /** Says that the version answers; resolves when it is to drain. */
  ready(url: string, apis: string): Promise<{ readonly isReplaced: boolean; readonly skipsDelay: boolean }>;
}

interface BoundHandle {
  close(): void;
}

/**
 * A version's end of the channel.
 *
 * Ctrl-C reaches every process of a terminal: the watching process decides what it means. When the channel closes, this
 * process has been dropped, or has nobody above it any more; either way it ends.
 */
export function connectWatcher(): Watcher {
  for (const signal of stopSignals) process.on(signal, () => {});
  process.on("disconnect", () => process.exit(1));
  const drain = createDeferred<{ readonly isReplaced: boolean }>();
  let receiveBound = (_: Extract<ToVersion, { kind: "bound" | "not-bound" }>, _handle: BoundHandle) => {};
  process.on("message", (message: ToVersion, handle: unknown) => {
    if (message.kind === "drain") drain.resolve(message);
    else receiveBound(message, handle as BoundHandle);
  });
  // A version that was dropped is told so by the end of its channel, which may come before what it has to say.
  const send = (message: FromVersion) => process.send?.(message, undefined, undefined, () => {});
  return {
    bind: (host, port) =>
      new Promise<BoundSocket>((resolve, reject) => {
        receiveBound = (message, handle) => {
          if (message.kind === "bound") resolve({ ...message, handle, close: () => handle.close() });
          else reject(message.isInUse ? fail("port_in_use", { host, port }) : new Error(message.message));
        };
        send({ kind: "bind", host, port });
      }),
    ready: (url, apis) => {
      send({ kind: "ready", url, apis });
      return drain.promise.then(({ isReplaced }) => ({ isReplaced, skipsDelay: true }));
    },
  };
}
