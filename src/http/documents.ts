import type { FastifyInstance } from "fastify";
import type { ApiRoute } from "./api-route.js";
import { createOpenApi, type OpenApiParts } from "./openapi.js";
import { createSchemaDocument } from "./schema-document.js";
import { jsonType } from "./write-failure.js";

/**
 * Adds `/openapi.json` and `/schema.json`.
 *
 * A document never changes while the server runs; it is written when it is first asked for, so that no start waits for it.
 */
export function addDocuments(fastify: FastifyInstance, parts: OpenApiParts): void {
  const documents = {
    "/openapi.json": () => createOpenApi(parts),
    "/schema.json": () => createSchemaDocument(parts.graph, parts.routes as readonly ApiRoute[]),
  };
  for (const [path, create] of Object.entries(documents)) {
    let text: string | undefined;
    fastify.get(path, (_, reply) => {
      text ??= JSON.stringify(create());
      void reply.header("content-type", jsonType).send(text);
    });
  }
}
