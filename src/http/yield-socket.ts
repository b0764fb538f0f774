import net from "node:net";
import type { FastifyInstance } from "fastify";
import { within } from "../base/within.js";
import type { Edge } from "./edge.js";

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
export async function yieldSocket({ server }: FastifyInstance, edge: Edge, isShared: boolean): Promise<void> {
  const { clock } = edge.time;
  server.prependListener("request", (_, response) => {
    response.shouldKeepAlive = false;
  });
  await acceptQueued(server, () => clock.now());
  const closed = new Promise<void>((resolve) => server.once("close", resolve));
  // That of `http.Server` would also cut connections on which no request is under way.
  net.Server.prototype.close.call(server);
  if (!isShared) {
    await within(clock, idleLimitMs, closed, () => {});
    const isFresh = [...edge.sockets].some((socket) => socket.bytesRead === 0);
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
    await nextLook();
    await nextLook();
  } while (accepted !== seen && now() < limit);
  server.off("connection", count);
}

const nextLook = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
