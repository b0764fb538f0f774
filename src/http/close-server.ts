import net from "node:net";
import type { FastifyInstance } from "fastify";
import { nextTurn, within } from "../base/clock.js";
import type { HttpState } from "./http-state.js";

/** Follows the connections of a server, so that none outlives it. */
export function followSockets(http: HttpState, { server }: FastifyInstance): void {
  server.on("connection", (socket) => {
    http.sockets.add(socket);
    socket.on("close", () => http.sockets.delete(socket));
  });
}

/**
 * Stops taking connections and calls, and resolves when what was in flight is answered and every connection closed.
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
 * Closes what is left once the last response is out. Node itself closes connections whose last request is over, but not
 * one on which no request ever came, and not one whose response had begun before the server began to close.
 */
export function cutIdleSockets(http: HttpState): void {
  if (http.inFlight > 0) return;
  for (const socket of http.sockets) socket.destroySoon();
}

/** Leaves nobody waiting for a client that neither reads nor goes. */
export function cutSocketsOn(http: HttpState, cut: AbortSignal): void {
  const cutAll = () => {
    for (const socket of http.sockets) socket.destroy();
  };
  if (cut.aborted) cutAll();
  else cut.addEventListener("abort", cutAll, { once: true });
}

/** How long a connection that is open by now may take to bring a request: a way there, and some more. */
const yieldLimitMs = 500;
/** The same, where nobody goes on accepting and each open connection has brought a request before. */
const idleLimitMs = 100;
/** While clients come without a pause, there may always be one more. */
const acceptLimitMs = 2_000;

/**
 * Stops accepting, and answers what clients have sent by then: each request as the last of its connection.
 *
 * A client can't know that the connection it has just opened, or kept, is about to be closed. What the kernel has taken for the
 * server is accepted first: the end of a listening socket would reset it.
 *
 * @param isShared Others may go on accepting on the socket.
 */
export async function yieldSocket({ server }: FastifyInstance, http: HttpState, isShared: boolean): Promise<void> {
  const { clock } = http.time;
  server.prependListener("request", (_, response) => {
    response.shouldKeepAlive = false;
  });
  await acceptQueued(server, () => clock.now());
  const closed = new Promise<void>((resolve) => server.once("close", resolve));
  // That of `http.Server` would also cut connections on which no request is under way.
  net.Server.prototype.close.call(server);
  if (!isShared) {
    await within(clock, idleLimitMs, closed, () => {});
    const isFresh = [...http.sockets].some((socket) => socket.bytesRead === 0);
    if (!isFresh) return;
  }
  await within(clock, yieldLimitMs, closed, () => {});
}

/** Node accepts one connection each time it looks: until a look finds none. Closing must follow at once. */
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
