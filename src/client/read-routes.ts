import type { ApiKind } from "../define/api-kind.js";
import type { JsonSchema } from "../define/schema.js";
import { fail } from "../failure/fail.js";
import type { ServingError } from "../failure/serving-error.js";
import { createLimit, type Endpoint, readText, sendRequest } from "./endpoint.js";

/** One api of a server, as `/schema.json` tells it. */
export interface RemoteApi {
  /** Of the entry service. */
  readonly service: string;
  readonly name: string;
  /** HTTP path. */
  readonly route: string;
  readonly kind: ApiKind;
  /** Where the input is a stream: what its items may be sent as. */
  readonly uploads: readonly string[];
  /** Of the output, or of one item of a stream. */
  readonly output: JsonSchema;
}

/**
 * Asks a server for its apis.
 *
 * @throws {ServingError} `connect_failed`, `invalid_response`, `deadline_exceeded`, `cancelled`; what the server answers.
 */
export async function readRoutes(endpoint: Endpoint): Promise<readonly RemoteApi[]> {
  const path = "/schema.json";
  const url = endpoint.base + path;
  const place = { service: url, api: "" };
  const limit = createLimit(endpoint, place);
  try {
    const headers = { accept: "application/json" };
    const response = await sendRequest(endpoint, limit, { method: "GET", path, headers, place });
    return parseRoutes(await readText(response, limit, url), url);
  } finally {
    limit.release();
  }
}

function parseRoutes(text: string, url: string): RemoteApi[] {
  const refuse = (problem: string): ServingError => fail("invalid_response", { url, problem });
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw refuse("its schema is not JSON");
  }
  const { name, routes } = (document ?? {}) as { name?: unknown; routes?: unknown };
  if (typeof name !== "string" || !Array.isArray(routes)) throw refuse("its schema names no service and routes");
  return routes.flatMap((entry: unknown) => {
    const api = (entry ?? {}) as { [K in keyof RemoteApi]?: unknown };
    if (typeof api.name !== "string" || typeof api.route !== "string" || !api.route.startsWith("/")) {
      throw refuse("its schema has a route without name and path");
    }
    // A newer server may have kinds of api that this client can't call; the others work.
    if (api.kind !== "unary" && api.kind !== "stream" && api.kind !== "task") return [];
    const output = typeof api.output === "object" && api.output !== null ? (api.output as JsonSchema) : {};
    const uploads = readUploads((entry as { input?: unknown }).input);
    return [{ service: name, name: api.name, route: api.route, kind: api.kind, uploads, output }];
  });
}

function readUploads(input: unknown): string[] {
  const { is_stream: isStream, media_types: types } = (input ?? {}) as { is_stream?: unknown; media_types?: unknown };
  return isStream === true && Array.isArray(types) ? types.filter((type) => typeof type === "string") : [];
}
