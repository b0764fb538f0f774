import { isUtf8 } from "node:buffer";
import type { Readable } from "node:stream";
import type { FastifyRequest } from "fastify";
import { fail } from "../failure/fail.js";
import type { ApiRoute } from "./api-route.js";
import type { Edge } from "./edge.js";
import { parseJson } from "./parse-json.js";
import { readBytes } from "./read-bytes.js";

/** Reads a request's body into the input of its api, unchecked. */
export async function readBody(edge: Edge, route: ApiRoute, request: FastifyRequest): Promise<unknown> {
  const source = request.body as Readable | undefined;
  if (source === undefined || source === null) return readEmpty(route);
  const bytes = await readBytes(source, request.headers, edge.settings, edge.time);
  if (bytes.length === 0) return readEmpty(route);
  if (!isUtf8(bytes)) throw fail("invalid_json", { problem: "it is not UTF-8" });
  return parseJson(
    Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(),
    edge.settings.maxBodyDepth,
  );
}

function readEmpty(route: ApiRoute): undefined {
  if (route.hasInput) throw fail("missing_body", {});
  return undefined;
}
