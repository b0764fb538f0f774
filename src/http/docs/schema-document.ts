import type { JsonSchema } from "../../define/schema.js";
import type { ApiRoute } from "../api-route.js";
import type { OpenApiParts } from "./openapi.js";

/**
 * What `/schema.json` answers: the entry service and its routes, for clients that make their methods from it.
 *
 * `input` and `output` are JSON Schemas. `root_input` marks an input that is the body itself instead of an object of
 * named fields, `is_stream` an input or output that goes item by item; these are words that clients of other servers know.
 */
export function createSchemaDocument({ graph, routes, version, description }: OpenApiParts): object {
  return {
    name: graph.entry,
    type: "service",
    version,
    ...(description !== "" && { description }),
    routes: routes.map(describeRoute),
  };
}

function describeRoute({ name, path, kind, input, output, descriptor }: ApiRoute): object {
  const { summary, batch } = descriptor.contract;
  const hasNamedFields = input.kind === "fields" || input.kind === "none";
  const streamed = kind === "stream" ? { is_stream: true, media_type: output.offers[0] } : undefined;
  return {
    name,
    route: path,
    kind,
    ...(summary !== undefined && { doc: summary, summary }),
    input: { ...describeInputSchema(input), ...(hasNamedFields ? undefined : { root_input: true }) },
    output: { ...output.schema, ...streamed },
    files: [...input.fields].flatMap(([field, form]) => (form.kind === "file" ? [field] : [])),
    batchable: batch !== undefined,
    is_task: kind === "task",
  };
}

/** No input is an object without fields, to whoever reads this document to call the api. */
function describeInputSchema({ kind, schema, contentTypes }: ApiRoute["input"]): JsonSchema {
  if (kind === "stream") return { ...schema, is_stream: true, media_types: contentTypes };
  return kind === "none" ? { type: "object", properties: {} } : schema;
}
