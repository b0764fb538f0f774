import type { FastifyInstance } from "fastify";
import { jsonType } from "../write-failure.js";
import { createDocsPage } from "./docs-page.js";
import { createOpenApi, type OpenApiParts } from "./openapi.js";
import { createSchemaDocument } from "./schema-document.js";

/** What the documents are made from. */
export interface DocumentParts extends OpenApiParts {
  /** A drawing of the graph for `/docs`. */
  readonly graphSvg?: () => Promise<string>;
}

/**
 * Adds `/openapi.json`, `/schema.json` and `/docs`.
 *
 * None changes while the server runs; each is written when it is first asked for, so that no start waits for it.
 */
export function addDocuments(fastify: FastifyInstance, parts: DocumentParts): void {
  const documents = {
    "/openapi.json": () => createOpenApi(parts),
    "/schema.json": () => createSchemaDocument(parts),
  };
  for (const [path, create] of Object.entries(documents)) {
    let text: string | undefined;
    fastify.get(path, (_, reply) => {
      text ??= JSON.stringify(create());
      void reply.header("content-type", jsonType).send(text);
    });
  }
  let page: ReturnType<typeof writePage> | undefined;
  fastify.get("/docs", async (_, reply) => {
    page ??= writePage(parts);
    const { html, contentSecurityPolicy } = await page;
    return reply
      .header("content-type", "text/html; charset=utf-8")
      .header("content-security-policy", contentSecurityPolicy)
      .header("x-content-type-options", "nosniff")
      .send(html);
  });
}

/** Version `"0"` is the default of the option: nobody has set one. */
async function writePage({ graph, graphSvg, version, description }: DocumentParts) {
  const shown = version === "0" ? "" : `version ${version}`;
  return createDocsPage({ title: graph.entry, version: shown, description, graphSvg: await graphSvg?.() });
}
