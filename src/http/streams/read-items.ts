import type { Readable } from "node:stream";
import type { ApiRoute } from "../api-route.js";
import type { Edge } from "../edge.js";
import type { Exchange } from "../exchange.js";
import { isJsonType, isLinesType, type MediaType, parseMediaType } from "../media-type.js";
import { refuseEncoding, refuseType } from "../read-body.js";
import { BodyItems } from "./body-items.js";
import { EdgeStream } from "./edge-stream.js";
import { ChunkCutter, type ItemCutter, LineCutter } from "./item-cutter.js";

/**
 * The items of a request's body, for an api whose input is a stream; they are read as the api asks for them.
 *
 * @returns `undefined` where the body is to be read as a whole: a list in JSON, or none at all.
 * @throws {ServingError} `unsupported_media_type`, `unsupported_content_encoding`. What is wrong with an item is said when it is read.
 */
export function readItems(
  edge: Edge,
  exchange: Exchange,
  route: ApiRoute,
): AsyncIterable<unknown> | Iterable<unknown> | undefined {
  if (route.input.kind !== "stream") return undefined;
  const { request } = exchange.reply;
  const { headers } = request;
  const type = parseMediaType(headers["content-type"]);
  if (isJsonType(type.essence)) return undefined;
  const source = request.body as Readable | null | undefined;
  const isEmpty = source === undefined || source === null;
  if (isEmpty && (headers["content-length"] === undefined || type.essence === "")) return undefined;
  const cutter = createCutter(edge, route, type);
  if (cutter === undefined) throw refuseType(route, headers);
  refuseEncoding(request);
  return isEmpty ? [] : new BodyItems(source, cutter, EdgeStream.of(edge, exchange)).items;
}

function createCutter(edge: Edge, { input }: ApiRoute, { essence, charset }: MediaType): ItemCutter | undefined {
  if (isLinesType(essence)) return new LineCutter(edge.settings, charset);
  return input.takesChunks && isChunkType(essence) ? new ChunkCutter() : undefined;
}

/** Whatever has no form of its own that would have to be taken apart: a recording, say, under its own name. */
const isChunkType = (essence: string): boolean =>
  essence !== "" && !essence.startsWith("multipart/") && essence !== "application/x-www-form-urlencoded";
