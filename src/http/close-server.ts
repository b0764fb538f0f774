import type { FastifyInstance } from "fastify";
import type { Edge } from "./edge.js";

/** Follows the connections of a server, so that none outlives it. */
export function followSockets(edge: Edge, { server }: FastifyInstance): void {
  server.on("connection", (socket) => {
    edge.sockets.add(socket);
    socket.on("close", () => edge.sockets.delete(socket));
  });
}

/**
 * Stops taking connections and calls, and resolves when what was in flight is answered and every connection closed.
 *
 * Connections without a request are closed at once, the others with their response.
 */
export async function closeServer(edge: Edge, fastify: FastifyInstance): Promise<void> {
  edge.isClosing = true;
  const closed = fastify.close();
  cutIdleSockets(edge);
  await closed;
}

/**
 * Closes what is left once the last response is out. Node itself closes connections whose last request is over, but not
 * one on which no request ever came, and not one whose response had begun before the server began to close.
 */
export function cutIdleSockets(edge: Edge): void {
  if (edge.inFlight > 0) return;
  for (const socket of edge.sockets) socket.destroySoon();
}

/** Leaves nobody waiting for a client that neither reads nor goes. */
export function cutSocketsOn(edge: Edge, cut: AbortSignal): void {
  const cutAll = () => {
    for (const socket of edge.sockets) socket.destroy();
  };
  if (cut.aborted) cutAll();
  else cut.addEventListener("abort", cutAll, { once: true });
}
