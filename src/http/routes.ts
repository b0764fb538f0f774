import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { ServiceDescriptor } from "../define/descriptor.js";
import { answerFailure } from "./answer-failure.js";
import { type ApiRoute, createApiRoute } from "./api-route.js";
import type { Edge } from "./edge.js";
import { handleRequest } from "./handle-request.js";

/** Adds a route for each api of the entry service, and gives what was prepared for each. */
export function addApiRoutes(edge: Edge, fastify: FastifyInstance, entry: ServiceDescriptor): readonly ApiRoute[] {
  const routes = [...entry.apis.values()].map((api) => createApiRoute(entry.name, api));
  for (const route of routes) {
    // In Fastify's paths a colon begins a parameter; in a route it is only a character.
    const path = route.path.replaceAll(":", "::");
    const errorHandler = (error: unknown, request: FastifyRequest, reply: FastifyReply) =>
      answerFailure(edge, { error, request, reply, route });
    fastify.post(path, { errorHandler }, (_, reply) => handleRequest(edge, route, reply));
  }
  return routes;
}
