import type { FastifyInstance } from "fastify";
import type { ServiceDescriptor } from "../define/descriptor.js";
import type { ApiRoute } from "./api-route.js";
import type { Edge } from "./edge.js";
import { handleRequest } from "./handle-request.js";

/** Adds a route for each api of the entry service. */
export function addApiRoutes(edge: Edge, fastify: FastifyInstance, entry: ServiceDescriptor): void {
  for (const api of entry.apis.values()) {
    const route: ApiRoute = {
      service: entry.name,
      name: api.name,
      path: api.route,
      hasInput: api.contract.input !== undefined,
    };
    fastify.post(api.route, (request, reply) => void handleRequest(edge, route, request, reply));
  }
}
