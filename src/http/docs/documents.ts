import type { FastifyInstance } from "fastify";
import type { JsonSchema } from "../../define/schema.js";
import type { ApiRoute } from "../http-state.js";
import { jsonType } from "../write-failure.js";
import { createDocsPage } from "./docs-page.js";
import { createOpenApi, type OpenApiDeps } from "./openapi.js";

/** What the documents are made from. */
interface DocumentDeps extends OpenApiDeps {
  /** A drawing of the graph for `/docs`. */
  readonly graphSvg?: () => Promise<string>;
}

/**
 * Adds `/openapi.json`, `/schema.json` and `/docs`.
 *
 * None changes while the server runs; each is written when it is first asked for, so that no start waits for it.
 */
export function addDocuments(fastify: FastifyInstance, deps: DocumentDeps): void {
  const documents = {
    "/openapi.json": () => createOpenApi(deps),
    "/schema.json": () => createSchemaDocument(deps),
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
    page ??= writePage(deps);
    const { html, contentSecurityPolicy } = await page;
    return reply
      .header("content-type", "text/html; charset=utf-8")
      .header("content-security-policy", contentSecurityPolicy)
      .header("x-content-type-options", "nosniff")
      .send(html);
  });
}

/** Version `"0"` is the default of the option: nobody has set one. */
async function writePage({ graph, graphSvg, version, description }: DocumentDeps) {
  const shown = version === "0" ? "" : `version ${version}`;
  return createDocsPage({ title: graph.entry, version: shown, description, graphSvg: await graphSvg?.() });
}

/**
 * What `/schema.json` answers: the entry service and its routes, for clients that make their methods from it.
 *
 * `input` and `output` are JSON Schemas. `root_input` marks an input that is the body itself instead of an object of
 * named fields, `is_stream` an input or output that goes item by item; these are words that clients of other servers know.
 */
export function createSchemaDocument({ graph, routes, version, description }: OpenApiDeps): object {
  return {
    name: graph.entry,
    type: "service",
    version,
    ...(description !== "" && { description }),
    routes: routes.map(createRouteDocument),
  };
}

function createRouteDocument({ name, path, kind, input, output, descriptor }: ApiRoute): object {
  const { summary, batch } = descriptor.contract;
  const hasNamedFields = input.kind === "fields" || input.kind === "none";
  const streamed = kind === "stream" ? { is_stream: true, media_type: output.offers[0] } : undefined;
  return {
    name,
    route: path,
    kind,
    ...(summary !== undefined && { doc: summary, summary }),
    input: { ...createInputSchema(input), ...(hasNamedFields ? undefined : { root_input: true }) },
    output: { ...output.schema, ...streamed },
    files: [...input.fields].flatMap(([field, form]) => (form.kind === "file" ? [field] : [])),
    batchable: batch !== undefined,
    is_task: kind === "task",
  };
}

/** No input is an object without fields, to whoever reads this document to call the api. */
function createInputSchema({ kind, schema, contentTypes }: ApiRoute["input"]): JsonSchema {
  if (kind === "stream") return { ...schema, is_stream: true, media_types: contentTypes };
  return kind === "none" ? { type: "object", properties: {} } : schema;
}
