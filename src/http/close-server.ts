import net from "node:net";
import type { FastifyInstance } from "fastify";
import { nextTurn, within } from "../base/clock.js";
import type { HttpState } from "./http-state.js";

/**
 * Refuses new connections and calls. Resolves when the calls in flight are answered and every connection is closed.
 *
 * Connections without a request are closed at once, the others with their response.
 */
export async function closeServer(http: HttpState, fastify: FastifyInstance): Promise<void> {
  http.isClosing = true;
  const closed = fastify.close();
  cutIdleSockets(http);
  await closed;
}

/**
 * Closes the remaining connections once the last response is out. Node itself closes connections whose last request
 * is over. It does not close a connection that never had a request, nor one whose response began before the server
 * began to close.
 */
export function cutIdleSockets(http: HttpState): void {
  if (http.inFlight > 0) return;
  for (const socket of http.sockets) socket.destroySoon();
}

/**
 * Destroys the connections when `cut` is aborted, so that no shutdown waits for a client that neither reads nor
 * leaves.
 */
export function cutSocketsOn(http: HttpState, cut: AbortSignal): void {
  const cutAll = () => {
    for (const socket of http.sockets) socket.destroy();
  };
  if (cut.aborted) cutAll();
  else cut.addEventListener("abort", cutAll, { once: true });
}

/** Milliseconds in which a connection that is open now may still bring a request: one network trip and some margin. */
const yieldLimitMs = 500;
/**
 * The same limit when no other process accepts on the socket and every open connection has brought a request before.
 */
const idleLimitMs = 100;
/** Longest time to accept queued connections. Clients that connect without a pause would extend it for ever. */
const acceptLimitMs = 2_000;

/**
 * Stops accepting connections and answers the requests that clients have sent by then, each as the last request of
 * its connection.
 *
 * A client can't know that a connection it has just opened or kept is about to close. Connections that the kernel has
 * queued for the server are accepted first: closing the listening socket would reset them.
 *
 * @param isShared True when other processes go on accepting on the socket.
 */
export async function yieldSocket({ server }: FastifyInstance, http: HttpState, isShared: boolean): Promise<void> {
  const { clock } = http.time;
  server.prependListener("request", (_, response) => {
    response.shouldKeepAlive = false;
  });
  await acceptQueued(server, () => clock.now());
  const closed = new Promise<void>((resolve) => server.once("close", resolve));
  // `http.Server.close` would also cut connections without a request in flight.
  net.Server.prototype.close.call(server);
  for (const connection of http.sockets) connection.leave?.();
  if (!isShared) {
    await within(clock, idleLimitMs, closed, () => {});
    const isFresh = [...http.sockets].some((socket) => socket.bytesRead === 0);
    if (!isFresh) return;
  }
  await within(clock, yieldLimitMs, closed, () => {});
}

/**
 * Accepts the queued connections. Node accepts one per look, so this waits until a look finds none. The caller must
 * close at once.
 */
async function acceptQueued(server: net.Server, now: () => number): Promise<void> {
  const limit = now() + acceptLimitMs;
  let accepted = 0;
  const count = () => accepted++;
  server.on("connection", count);
  let seen: number;
  do {
    seen = accepted;
    await nextTurn();
    await nextTurn();
  } while (accepted !== seen && now() < limit);
  server.off("connection", count);
}
