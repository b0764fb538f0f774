import { createHash } from "node:crypto";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { contractForm } from "../../contract/contract-form.js";
import type { ServiceDescriptor } from "../../define/descriptor.js";
import type { JsonSchema } from "../../define/schema.js";
import { isLoopback } from "../host-check.js";
import type { ApiRoute } from "../http-state.js";
import { jsonBodyType } from "../media-type.js";
import type { Pages } from "../probes.js";
import type { OpenApiDeps } from "./openapi.js";

/** Arguments of `addDocuments`. */
interface DocumentDeps extends OpenApiDeps {
  /** Draws the graph for `/docs`. */
  readonly graphSvg?: () => Promise<string>;
  readonly pages: Pages;
  /** Returns the address of the apis, for a document that another server has. Default: the document's own. */
  readonly apiUrl?: (() => string) | undefined;
}

/**
 * Adds `/openapi.json`, `/schema.json`, and `/docs` with its files.
 *
 * Only the address of the apis in a document changes while the server runs. Each document is created, and the code for
 * it loaded, when a client first asks for it: no start waits for it, and a replica that is never asked does not hold
 * it.
 */
export function addDocuments(fastify: FastifyInstance, deps: DocumentDeps): void {
  const { pages, apiUrl } = deps;
  const add = (path: string, contentType: string, write: () => Promise<string>) => {
    const load = async () => {
      const text = await write();
      return () => text;
    };
    addDocument(fastify, { path, contentType, load, apiUrl });
  };
  if (pages.openapi) {
    const load = async () => {
      const { createOpenApi } = await import("./openapi.js");
      const document = createOpenApi(deps);
      return (url: string) => JSON.stringify({ ...document, servers: [{ url }] });
    };
    addDocument(fastify, { path: "/openapi.json", contentType: jsonBodyType, load, apiUrl });
  }
  if (pages.schema) add("/schema.json", jsonBodyType, async () => JSON.stringify(createSchemaDocument(deps)));
  if (!pages.docs) return;
  add("/docs", "text/html; charset=utf-8", () => writePage(deps));
  for (const [name, contentType] of Object.entries(docsPageFiles)) {
    add(`/docs/${name}`, contentType, async () => {
      const { readDocsPageFile } = await import("./docs-page.js");
      return readDocsPageFile(name);
    });
  }
}

/** Names of the files that `/docs` loads, and their content types. */
const docsPageFiles: Readonly<Record<string, string>> = {
  "docs-page.js": "text/javascript; charset=utf-8",
  "docs-page.css": "text/css; charset=utf-8",
};

/**
 * Creates the content security policy of `/docs`: the page loads and runs its own files only, and calls this server
 * only, or the one of the apis.
 */
const createPolicy = (apiUrl: string): string =>
  [
    "default-src 'none'",
    `connect-src 'self'${apiUrl === ownUrl ? "" : ` ${apiUrl}`}`,
    "img-src data: 'self'",
    "style-src 'self'",
    "script-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'self'",
  ].join("; ");

/** Browsers keep a document and ask each time whether it has changed: a restarted app may have another one. */
const cacheControl = "no-cache";

interface Document extends Pick<DocumentDeps, "apiUrl"> {
  readonly path: string;
  readonly contentType: string;
  /** Prepares the document. The function returns its text for a client that reaches the apis at an address. */
  readonly load: () => Promise<(apiUrl: string) => string>;
}

function addDocument(fastify: FastifyInstance, { path, contentType, load, apiUrl }: Document): void {
  let loaded: ReturnType<Document["load"]> | undefined;
  let last: { readonly url: string; readonly text: string; readonly etag: string } | undefined;
  fastify.get(path, async (request, reply) => {
    loaded ??= load();
    const write = await loaded.catch((error: unknown) => {
      loaded = undefined;
      throw error;
    });
    const url = readApiUrl(request, apiUrl);
    if (last?.url !== url) {
      const written = write(url);
      last = { url, text: written, etag: etagOf(written) };
    }
    const { text, etag } = last;
    reply.headers({ etag, "cache-control": cacheControl, "x-content-type-options": "nosniff" });
    if (hasTag(request.headers["if-none-match"], etag)) return reply.code(304).send();
    if (contentType.startsWith("text/html")) reply.header("content-security-policy", createPolicy(url));
    return reply.header("content-type", contentType).send(text);
  });
}

/** Address of the apis that is relative to the document. */
const ownUrl = ".";

const readApiUrl = ({ headers }: FastifyRequest, apiUrl: (() => string) | undefined): string =>
  apiUrl === undefined ? ownUrl : toClientUrl(apiUrl(), headers.host);

const hostForm = /^(\[[\da-f:.]+\]|[\w.-]+)(?::\d{1,5})?$/i;

/**
 * Returns the address of the apis for a client that has reached another port of this machine.
 *
 * A server on every interface knows itself only by a loopback address. At a client that is another machine: its own,
 * where anything may listen, to which the page would send the key of its reader. So the client's name for this machine
 * takes the place of a loopback address.
 *
 * @param known Address as this process knows it; `""` before the server listens.
 * @param host  Header `host` of the client's request.
 */
export function toClientUrl(known: string, host: string | undefined): string {
  if (known === "") return ownUrl;
  const { protocol, hostname, port } = new URL(known);
  if (!isLoopback(hostname.replace(/^\[|\]$/g, ""))) return known;
  const name = hostForm.exec(host ?? "")?.[1];
  return name === undefined ? ownUrl : `${protocol}//${name}${port === "" ? "" : `:${port}`}`;
}

/** Returns a strong entity tag: equal tags mean equal bytes. */
const etagOf = (text: string): string => `"${createHash("sha256").update(text).digest("base64url")}"`;

/**
 * True when `if-none-match` names the tag. A proxy may have made the tag weak, which counts as equal here (RFC 9110,
 * section 13.1.2).
 */
function hasTag(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  return ifNoneMatch.trim() === "*" || (ifNoneMatch.match(/"[^"]*"/g)?.includes(etag) ?? false);
}

async function writePage({ graph, graphSvg, version, description, pages }: DocumentDeps): Promise<string> {
  const { createDocsPage } = await import("./docs-page.js");
  // Version "0" is the option's default: the author has set none.
  const shown = version === "0" ? "" : `version ${version}`;
  const { metrics: hasMetrics } = pages;
  return createDocsPage({ title: graph.entry, version: shown, description, graphSvg: await graphSvg?.(), hasMetrics });
}

/**
 * Creates `/schema.json`: the entry service and its routes, for clients that create their methods from it.
 *
 * `input` and `output` are JSON Schemas. `file_paths` names all files of an input that a form can carry as parts:
 * `"photos[].scan"`, or `"[]"` for an input that is a list of files. `root_input` marks an input that is the body
 * itself instead of an object of named fields. `is_stream` marks an input or output that is sent item by item. Clients
 * of other servers know these names, but for `file_paths`. `contract` is the same for `ekiben check --against`, with
 * all that JSON Schema has no words for.
 */
export function createSchemaDocument({ graph, routes, apis, version, description }: OpenApiDeps): object {
  return {
    name: graph.entry,
    type: "service",
    version,
    ...(description !== "" && { description }),
    routes: routes.map((route) => createRouteDocument(route, apis.get(route.name)?.idempotent === true)),
    contract: contractForm(graph.services.get(graph.entry) as ServiceDescriptor),
  };
}

function createRouteDocument({ name, path, kind, input, output, descriptor }: ApiRoute, isIdempotent: boolean): object {
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
    ...(input.filePaths.length > 0 && { file_paths: input.filePaths }),
    ...(input.kind === "files" && { file_paths: ["[]"] }),
    batchable: batch !== undefined,
    ...(isIdempotent && { idempotent: true }),
    is_task: kind === "task",
  };
}

/**
 * Describes an api without an input as one that takes an object without fields: clients of other servers know that
 * form.
 */
function createInputSchema({ kind, schema, contentTypes }: ApiRoute["input"]): JsonSchema {
  if (kind === "stream") return { ...schema, is_stream: true, media_types: contentTypes };
  return kind === "none" ? { type: "object", properties: {} } : schema;
}
