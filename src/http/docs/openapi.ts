import type { ApiKind } from "../../define/handle-type.js";
import { readSchedule } from "../../define/schedule.js";
import type { JsonSchema } from "../../define/schema.js";
import { type FailureId, failures } from "../../failure/failures.js";
import { statusByCode } from "../../failure/serving-error.js";
import type { Graph } from "../../graph/graph.js";
import type { CredentialPlace, ReadContext } from "../../options/app-file.js";
import type { ApiSettings } from "../../options/settings.js";
import type { ApiRoute } from "../http-state.js";
import { eventsType, isJsonType, linesType, multipartType, textType } from "../media-type.js";
import { createTaskPaths } from "../tasks/task-body.js";
import { encodeJson } from "../write-reply.js";
import { type NamedSchemas, SchemaPlaces } from "./schema-places.js";

/** Sources of the document. */
export interface OpenApiDeps {
  readonly graph: Graph;
  readonly routes: readonly ApiRoute[];
  /** Settings of the entry service's apis. */
  readonly apis: ReadonlyMap<string, ApiSettings>;
  readonly version: string;
  readonly description: string;
  /** Function by which the app finds out who is asking, so that it may refuse a request. Default: it asks nobody. */
  readonly context?: ReadContext | undefined;
}

/** Failures that may answer a request for any api. */
const possibleFailures = [
  "invalid_input",
  "invalid_json",
  "forbidden_key",
  "body_too_deep",
  "too_many_values",
  "too_many_fields",
  "inexact_number",
  "missing_body",
  "invalid_line",
  "invalid_header",
  "not_acceptable",
  "body_timeout",
  "body_too_large",
  "line_too_large",
  "unsupported_media_type",
  "lane_full",
  "batch_size_changed",
  "unhandled_error",
  "invalid_output",
  "not_json",
  "no_ready_replica",
  "replica_lost",
  "draining",
  "deadline_exceeded",
  "stream_idle",
] as const satisfies readonly FailureId[];

/** Further failures that may answer a request for a task. */
const taskFailures = [
  "task_id_missing",
  "unknown_task",
  "task_not_finished",
  "task_canceled",
  "task_store_unavailable",
  "task_store_full",
] as const satisfies readonly FailureId[];

/** Further failures of an app that asks who is asking. The author's own may be others. */
const whoFailures = [
  "credentials_missing",
  "credentials_refused",
  "cookie_of_other_site",
  "credentials_unavailable",
  "context_timeout",
  "invalid_context",
] as const satisfies readonly FailureId[];

/** Failures that may answer a request, by the kind of its api. */
type PossibleFailures = Readonly<Record<ApiKind, readonly FailureId[]>>;

function listFailures(asksWho: boolean): PossibleFailures {
  const unary = asksWho ? [...possibleFailures, ...whoFailures] : possibleFailures;
  return { unary, stream: unary, task: [...unary, ...taskFailures] };
}

/**
 * Describes the apis of the entry service as an OpenAPI 3.1 document. Its server is relative to the document's own
 * address, so that it also holds behind a proxy that adds a path.
 */
export function createOpenApi(deps: OpenApiDeps): object {
  const { graph, routes, apis, version, description, context } = deps;
  const schemas: NamedSchemas = { Failure: failureSchema };
  const possible = listFailures(context !== undefined);
  const shared = { places: new SchemaPlaces(schemas), possible };
  const paths = Object.assign({}, ...routes.map((route) => createPaths(route, apis.get(route.name), shared)));
  const hasTasks = routes.some(({ kind }) => kind === "task");
  const securitySchemes = new Map((context?.credentials ?? []).map(createSecurityScheme));
  return {
    openapi: "3.1.0",
    info: { title: graph.entry, version, ...(description !== "" && { description }) },
    servers: [{ url: "." }],
    tags: [{ name: graph.entry }],
    paths,
    ...(securitySchemes.size > 0 && { security: [...securitySchemes.keys()].map((name) => ({ [name]: [] })) }),
    components: {
      schemas,
      ...(securitySchemes.size > 0 && { securitySchemes: Object.fromEntries(securitySchemes) }),
      responses: {
        ...createFailureResponses("unary", possible),
        ...(hasTasks && createFailureResponses("task", possible)),
      },
    },
  };
}

/** Describes a place of a request that says who is asking, under a name of its own. Any one of them is enough. */
function createSecurityScheme(place: CredentialPlace): [name: string, scheme: object] {
  if (place.kind === "bearer") return ["bearer", { type: "http", scheme: "bearer" }];
  const { kind, name } = place;
  return [`${kind}-${name.replace(/[^\w.-]/g, "_")}`, { type: "apiKey", in: kind, name }];
}

/** Parts of the document that all operations share. */
interface SharedParts {
  readonly places: SchemaPlaces;
  readonly possible: PossibleFailures;
}

function createPaths(route: ApiRoute, settings: ApiSettings | undefined, shared: SharedParts): object {
  const post = createOperation(route, settings, shared);
  if (route.kind !== "task") return { [route.path]: { post } };
  const parts = {
    requestBody: "requestBody" in post ? (post.requestBody as object) : undefined,
    answers: createResponses(route, shared.places),
    timeoutParameter: timeoutParameter(undefined),
    failures: failureRefs(route.kind, shared.possible),
  };
  return { [route.path]: { post }, ...createTaskPaths(route, parts) };
}

function createOperation(
  route: ApiRoute,
  settings: ApiSettings | undefined,
  { places, possible }: SharedParts,
): object {
  const { name, kind, service, input, descriptor } = route;
  const { summary, idempotent, batch } = descriptor.contract;
  const schedule = kind === "task" ? readSchedule(descriptor.contract) : undefined;
  return {
    operationId: name,
    tags: [service],
    ...(summary !== undefined && { summary }),
    ...(schedule !== undefined && {
      description: `Also runs by itself: ${schedule.text}.`,
      "x-ekiben-schedule": schedule.text,
    }),
    "x-ekiben-service": service,
    "x-ekiben-kind": kind,
    ...(idempotent === true && { "x-ekiben-idempotent": true }),
    ...(batch !== undefined && { "x-ekiben-batch": { maxRows: settings?.batch?.maxRows ?? batch.maxRows } }),
    parameters: [timeoutParameter(settings), priorityParameter],
    ...(input.kind !== "none" && { requestBody: { required: true, content: createRequestBodies(route, places) } }),
    responses: { ...createAnswer(route, places), ...failureRefs(kind, possible) },
  };
}

/** Describes the answer, with the status that the contract gives it. */
function createAnswer(route: ApiRoute, places: SchemaPlaces): object {
  const { status = 200 } = route;
  if (status === 204) return { "204": { description: "Done; the answer has no body." } };
  return { [String(status)]: { description: "The answer.", content: createResponses(route, places) } };
}

function timeoutParameter(settings: ApiSettings | undefined): object {
  return {
    name: "ekiben-timeout-ms",
    in: "header",
    required: false,
    description: `Milliseconds after which the caller no longer wants an answer. It can only shorten the api's own timeout${
      settings === undefined || settings.timeoutMs === Number.POSITIVE_INFINITY ? "" : ` (${settings.timeoutMs} ms)`
    }.`,
    schema: { type: "integer", minimum: 1 },
  };
}

const priorityParameter = {
  name: "ekiben-priority",
  in: "header",
  required: false,
  description:
    "Priority of a waiting call: a background call goes after interactive ones that arrive within a second of it.",
  schema: { type: "string", enum: ["interactive", "background"], default: "interactive" },
};

function createRequestBodies({ name, input, descriptor }: ApiRoute, places: SchemaPlaces): object {
  const schema = places.place(input.schema, `${name}Input`);
  const examples = createExamples(descriptor.contract.examples);
  return Object.fromEntries(
    input.contentTypes.map((type) => {
      if (isJsonType(type)) return [type, { schema, ...examples }];
      if (type === multipartType) return [type, { schema: createMultipartSchema(name, input, places) }];
      if (type === linesType) return [type, describeLines(places.place(input.schema, `${name}InputItem`, "#/items"))];
      return [type, { schema: type === textType ? { type: "string" } : binary(type) }];
    }),
  );
}

/** Describes a stream of items, one a line. In JSON the stream is one list. */
const describeLines = (item: JsonSchema) => ({
  schema: { type: "string", title: "one JSON value a line" },
  "x-ekiben-item": item,
});

/** Describes plain bytes. OpenAPI 3.1 would omit the type, which client generators read as "anything". */
const binary = (contentMediaType: string): JsonSchema => ({
  type: "string",
  format: "binary",
  ...(!contentMediaType.includes("*") && { contentMediaType }),
});

/**
 * Describes the fields of an input as parts of a multipart body: a file is a part of bytes, where JSON has an object
 * with base64.
 */
function createMultipartSchema(
  name: string,
  { kind, schema, fields, filePaths }: ApiRoute["input"],
  places: SchemaPlaces,
): JsonSchema {
  const bytes = binary("application/octet-stream");
  if (kind === "file") return { type: "object", properties: { file: bytes } };
  if (kind === "files") return { type: "object", properties: { files: { type: "array", items: bytes } } };
  const form = { ...places.place(schema, `${name}Input`), ...describePaths(filePaths) };
  const partOf = (field: string, property: JsonSchema): JsonSchema => {
    const own = fields.get(field);
    if (own?.kind !== "file" && own?.kind !== "bytes") return property;
    return own.isList ? { type: "array", items: bytes } : bytes;
  };
  return mapProperties(form, places.named, partOf, 0);
}

/** Describes files inside fields, for which a form has no schema of its own. */
function describePaths(filePaths: readonly string[]): { description: string } | undefined {
  const [inner] = filePaths.filter((path) => /[.[]/.test(path.replace(/\[\]$/, "")));
  if (inner === undefined) return undefined;
  const example = inner.replaceAll("[]", "[0]").replaceAll("*", "name");
  return { description: `A file inside a field may be a part of its own, named by its path: ${example}` };
}

/** Deepest nesting of branches that is followed. No real form has more. */
const maxFormDepth = 8;

/** Changes each property of an object schema, in all its branches. */
function mapProperties(
  schema: JsonSchema,
  named: NamedSchemas,
  change: (name: string, property: JsonSchema) => JsonSchema,
  depth: number,
): JsonSchema {
  const { $ref, ...own } = schema;
  const target = typeof $ref === "string" ? named[$ref.slice($ref.lastIndexOf("/") + 1)] : undefined;
  const whole = { ...target, ...own };
  if (depth > maxFormDepth) return whole;
  const properties = Object.entries((whole["properties"] ?? {}) as Record<string, JsonSchema>);
  const branches = ["anyOf", "oneOf", "allOf"].flatMap((keyword) => {
    const list = whole[keyword];
    return Array.isArray(list)
      ? [[keyword, list.map((branch) => mapProperties(branch, named, change, depth + 1))]]
      : [];
  });
  return {
    ...whole,
    ...(properties.length > 0 && {
      properties: Object.fromEntries(properties.map(([name, property]) => [name, change(name, property)])),
    }),
    ...Object.fromEntries(branches),
  };
}

/** Formats the examples as JSON. A file or a tensor in an example gets its JSON form. */
function createExamples(examples: readonly unknown[] | undefined): object | undefined {
  const written = (examples ?? []).flatMap((example, i) => {
    const value = encodeJson(example, { tensors: "lists" });
    return value instanceof Promise ? [] : [[`example ${i + 1}`, { value }] as const];
  });
  return written.length === 0 ? undefined : { examples: Object.fromEntries(written) };
}

function createResponses({ name, kind, output }: ApiRoute, places: SchemaPlaces): object {
  const schema = places.place(output.schema, `${name}${kind === "stream" ? "Item" : "Output"}`);
  return Object.fromEntries(
    output.offers.map((type) => {
      if (isJsonType(type)) return [type, { schema }];
      if (type === linesType || type === eventsType) {
        const title = type === linesType ? "one JSON value a line" : "one JSON value an event";
        return [type, { schema: { type: "string", title }, "x-ekiben-item": schema }];
      }
      return [type, { schema: type.startsWith("text/") ? { type: "string" } : binary(type) }];
    }),
  );
}

const failureSchema: JsonSchema = {
  type: "object",
  description: "Body of every failure, for every status.",
  properties: {
    error: { type: "string", description: "What happened, in one sentence." },
    code: { type: "string", enum: Object.keys(statusByCode) },
    id: { type: "string", description: "A stable name for this failure: ekiben's own, or the author's." },
    service: { type: "string", description: 'Service where it happened; "" in the HTTP server.' },
    api: { type: "string" },
    details: { type: "object", description: "Values named in the text, as data.", additionalProperties: true },
    incident: { type: "string", description: "Id of the log line that holds the stack." },
    requestId: { type: "string" },
  },
  required: ["error", "code", "id", "service", "api", "details", "requestId"],
};

/** Returns failure ids by HTTP status; each status is one response of the document. */
function failuresByStatus(kind: ApiKind, possible: PossibleFailures): Map<number, FailureId[]> {
  const byStatus = new Map<number, FailureId[]>();
  for (const id of possible[kind]) {
    const { code, httpStatus } = failures[id] as { code: keyof typeof statusByCode; httpStatus?: number };
    const status = httpStatus ?? statusByCode[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), id]);
  }
  return new Map([...byStatus].sort(([a], [b]) => a - b));
}

/** Names a response. Tasks have their own, since they have more failures. */
const responseName = (kind: ApiKind, status: number): string => `${kind === "task" ? "Task" : ""}Failure${status}`;

function createFailureResponses(kind: ApiKind, possible: PossibleFailures): object {
  const responses = [...failuresByStatus(kind, possible)].map(([status, ids]) => [
    responseName(kind, status),
    {
      description: ids.join(", "),
      "x-ekiben-failures": ids,
      ...((status === 429 || status === 503) && { headers: { "retry-after": retryAfterHeader } }),
      ...(status === 401 && { headers: { "www-authenticate": challengeHeader } }),
      content: { "application/json": { schema: { $ref: "#/components/schemas/Failure" } } },
    },
  ]);
  return Object.fromEntries([...responses, ["Failure", anyFailure]]);
}

const retryAfterHeader = {
  description: "Seconds after which the call may be tried again.",
  schema: { type: "integer", minimum: 1 },
};

const challengeHeader = {
  description: "Scheme by which a client says who is asking.",
  schema: { type: "string" },
};

const anyFailure = {
  description: "Any other failure, including the author's own.",
  content: { "application/json": { schema: { $ref: "#/components/schemas/Failure" } } },
};

function failureRefs(kind: ApiKind, possible: PossibleFailures): object {
  const refs = [...failuresByStatus(kind, possible).keys()].map((status) => [
    String(status),
    { $ref: `#/components/responses/${responseName(kind, status)}` },
  ]);
  return Object.fromEntries([...refs, ["default", { $ref: "#/components/responses/Failure" }]]);
}
