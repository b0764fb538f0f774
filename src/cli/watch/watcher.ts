import type { BindSocket, BoundSocket } from "../../app/bound-socket.js";
import { stopSignals } from "../../app/stop-signals.js";
import { createDeferred } from "../../base/clock.js";
import { fail } from "../../failure/failures.js";
import type { FromVersion, ReadyMessage, ToVersion } from "./versions.js";

/** Addresses of a server that accepts requests, and its apis as text. */
export type ReadyServer = Omit<ReadyMessage, "kind">;

/** Connection of a version to the `serve --watch` process that runs it. */
export interface Watcher {
  /** Gets a socket that the watching process owns; it outlives the version. @throws {ServingError} `port_in_use`. */
  readonly bind: BindSocket;
  /** Reports that the version accepts requests. Resolves when the version must drain. */
  ready(ready: ReadyServer): Promise<{ readonly isReplaced: boolean; readonly skipsDelay: boolean }>;
}

interface BoundHandle {
  close(): void;
}

/**
 * Connects a version to the watching process.
 *
 * Ctrl-C reaches all processes of a terminal, so this process ignores signals and the watching process decides. This
 * process ends when the channel closes: the version was dropped, or the watching process is gone.
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
  // Sending fails when the version was dropped meanwhile: the channel is closed then.
  const send = (message: FromVersion) => process.send?.(message, undefined, undefined, () => {});
  return {
    bind: (host, port, use) =>
      new Promise<BoundSocket>((resolve, reject) => {
        receiveBound = (message, handle) => {
          if (message.kind === "bound") resolve({ ...message, handle, close: () => handle.close() });
          else if (!message.isInUse) reject(new Error(message.message));
          else {
            const isFor = { ...(use === "admin" && { isAdmin: true }), ...(use === "edge" && { isEdge: true }) };
            reject(fail("port_in_use", { host, port, ...isFor }));
          }
        };
        send({ kind: "bind", host, port, use });
      }),
    ready: (ready) => {
      send({ kind: "ready", ...ready });
      return drain.promise.then(({ isReplaced }) => ({ isReplaced, skipsDelay: true }));
    },
  };
}
