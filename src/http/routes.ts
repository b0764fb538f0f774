import type { FastifyInstance } from "fastify";
import type { ServiceDescriptor } from "../define/descriptor.js";
import { createApiRoute } from "./api-route.js";
import type { Edge } from "./edge.js";
import { handleRequest } from "./handle-request.js";

/** Adds a route for each api of the entry service. */
export function addApiRoutes(edge: Edge, fastify: FastifyInstance, entry: ServiceDescriptor): void {
  for (const api of entry.apis.values()) {
    const route = createApiRoute(entry.name, api);
    // In Fastify's paths a colon begins a parameter; in a route it is only a character.
    fastify.post(api.route.replaceAll(":", "::"), (request, reply) => void handleRequest(edge, route, request, reply));
  }
}
