import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { ServiceDescriptor } from "../define/descriptor.js";
import { type TaskPath, taskPath, taskPaths } from "../define/task-paths.js";
import { answerFailure } from "./answer-failure.js";
import { type ApiRoute, createApiRoute } from "./api-route.js";
import type { Edge } from "./edge.js";
import { handleRequest } from "./handle-request.js";
import { sendHead } from "./streams/write-stream.js";
import { handleTask, submittedOutput } from "./tasks/handle-task.js";

/** Adds a route for each api of the entry service, and gives what was prepared for each. */
export function addApiRoutes(edge: Edge, fastify: FastifyInstance, entry: ServiceDescriptor): readonly ApiRoute[] {
  const routes = [...entry.apis.values()].map((api) => createApiRoute(entry.name, api));
  for (const route of routes) {
    // In Fastify's paths a colon begins a parameter; in a route it is only a character.
    const path = route.path.replaceAll(":", "::");
    const errorHandler = (error: unknown, request: FastifyRequest, reply: FastifyReply) =>
      answerFailure(edge, { error, request, reply, route });
    const onSend = route.kind === "stream" ? { onSend: sendHead } : undefined;
    fastify.post(path, { errorHandler, ...onSend }, (_, reply) => handleRequest(edge, route, reply));
    if (route.kind === "task") addTaskRoutes(edge, fastify, { route, path, errorHandler });
  }
  return routes;
}

interface TaskRoutes {
  readonly route: ApiRoute;
  /** As Fastify has it. */
  readonly path: string;
  readonly errorHandler: (error: unknown, request: FastifyRequest, reply: FastifyReply) => void;
}

function addTaskRoutes(edge: Edge, fastify: FastifyInstance, { route, path, errorHandler }: TaskRoutes): void {
  for (const [what, method] of Object.entries(taskPaths) as [TaskPath, string][]) {
    const url = taskPath(path, what);
    const submission = { ...route, submits: true, path: taskPath(route.path, what), output: submittedOutput };
    const handler = (_: FastifyRequest, reply: FastifyReply) =>
      what === "submit" ? handleRequest(edge, submission, reply) : handleTask(edge, route, what, reply);
    const onSend = what === "status" ? { onSend: sendHead } : undefined;
    fastify.route({ method, url, errorHandler, handler, ...onSend });
  }
}
