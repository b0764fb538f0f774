import type { Random } from "./random.js";
import { createBody, createContentType, type RandomBody, spoilBody } from "./random-body.js";
import { createAnything } from "./random-value.js";

type JsonSchema = { readonly [keyword: string]: any };

/** Bytes of one request, and the answer to expect. */
export interface RandomRequest {
  readonly bytes: Buffer;
  readonly kind: "valid" | "near" | "garbage" | "raw";
}

/** Creates one request: as the document wants it, nearly so, garbage in a proper request, or garbage altogether. */
export function createRequest(random: Random, document: JsonSchema): RandomRequest {
  const paths = Object.entries(document["paths"] as Record<string, JsonSchema>).filter(([, item]) => item["post"]);
  const [path, item] = random.pick(paths) as [string, JsonSchema];
  const content = item["post"]["requestBody"]?.["content"] as JsonSchema | undefined;
  const body = content === undefined ? undefined : createBody(random, content, document);
  const kind = random.pick(["valid", "near", "near", "near", "garbage", "raw"] as const);
  switch (kind) {
    case "valid":
      return { kind, bytes: formatRequest({ path, body }) };
    case "near":
      return { kind, bytes: spoilRequest(random, path, body) };
    case "garbage": {
      const bytes = random.chance(0.5) ? random.bytes(random.between(0, 200)) : Buffer.from(createJson(random));
      return { kind, bytes: formatRequest({ path, body: { contentType: createContentType(random), bytes } }) };
    }
    default:
      return { kind, bytes: spoilBytes(random, formatRequest({ path, body })) };
  }
}

const createJson = (random: Random): string => JSON.stringify(createAnything(random)) ?? "";

interface RequestParts {
  readonly path: string;
  readonly body: RandomBody | undefined;
  readonly method?: string;
  readonly headers?: string;
  readonly isChunked?: boolean;
}

function formatRequest({ path, body, method = "POST", headers = "", isChunked = false }: RequestParts): Buffer {
  const type = body === undefined ? "" : `content-type: ${body.contentType}\r\n`;
  const bytes = body?.bytes ?? Buffer.alloc(0);
  const head = `${method} ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n${type}${headers}`;
  if (!isChunked) return Buffer.concat([Buffer.from(`${head}content-length: ${bytes.length}\r\n\r\n`), bytes]);
  const start = Buffer.from(`${head}transfer-encoding: chunked\r\n\r\n`);
  if (bytes.length === 0) return Buffer.concat([start, Buffer.from("0\r\n\r\n")]);
  return Buffer.concat([start, Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n0\r\n\r\n")]);
}

function spoilRequest(random: Random, path: string, body: RandomBody | undefined): Buffer {
  const spoilt = body === undefined || random.chance(0.2) ? body : spoilBody(random, body);
  const isChunked = random.chance(0.3);
  const method = random.chance(0.9) ? "POST" : random.pick(["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"]);
  const wrong = random.chance(0.9)
    ? path
    : random.pick(["/", "/nothing", `${path}/`, "/%zz", `${path}?a=%zz`, "//", "*"]);
  return formatRequest({ path: wrong, body: spoilt, method, headers: createHeaders(random), isChunked });
}

function createHeaders(random: Random): string {
  const accepts = [
    ...["*/*", "application/json", "text/plain", "text/event-stream", "application/x-ndjson", "application/x-npy"],
    ...["application/json; tensors=base64", "image/png", "text/html;q=0.1, */*;q=0", ",,,;;;===", "a/b;q=x"],
  ];
  const headers = [
    `accept: ${random.pick(accepts)}`,
    `ekiben-timeout-ms: ${random.pick(["1000", "60000", "0", "-1", "x", "1e9", ""])}`,
    `x-request-id: ${random.pick(["abc", "a".repeat(500), "\u00e9", ""])}`,
    `traceparent: ${random.pick(["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-zz", ""])}`,
    `content-encoding: ${random.pick(["identity", "gzip", ""])}`,
    `content-disposition: attachment; filename="${random.pick(["a.png", "\\", "é", "../../x"])}"`,
    "expect: 100-continue",
  ];
  const some = headers.flatMap((header) => (random.chance(0.25) ? [`${header}\r\n`] : []));
  if (random.chance(0.1)) some.push(`ekiben-priority: ${random.pick(["interactive", "background", "", "x"])}\r\n`);
  return some.join("");
}

/** Changes bytes anywhere, also in the request line and the headers. */
function spoilBytes(random: Random, bytes: Buffer): Buffer {
  const spoilt = Buffer.from(bytes);
  for (let i = random.between(1, 4); i > 0; i--) spoilt[random.between(0, spoilt.length - 1)] = random.between(0, 255);
  return spoilt;
}
