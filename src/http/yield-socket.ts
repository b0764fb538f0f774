import net from "node:net";
import type { FastifyInstance } from "fastify";
import { within } from "../base/within.js";
import type { Edge } from "./edge.js";

/** How long a connection that is open by now may take to bring a request: a way there, and some more. */
const yieldLimitMs = 500;

/**
 * Leaves a shared socket to those who go on accepting on it.
 *
 * A client can't know that the connection it has just opened, or kept, was accepted by the one that goes. So requests that
 * are on their way are answered as ever, each as the last of its connection; what is still open a moment later is idle.
 */
export async function yieldSocket({ server }: FastifyInstance, { time }: Edge): Promise<void> {
  server.prependListener("request", (_, response) => {
    response.shouldKeepAlive = false;
  });
  const closed = new Promise<void>((resolve) => server.once("close", resolve));
  // That of `http.Server` would also cut connections on which no request is under way.
  net.Server.prototype.close.call(server);
  await within(time.clock, yieldLimitMs, closed, () => {});
}
