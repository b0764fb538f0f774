import { encodeNpy } from "../../src/http/npy.js";
import { Tensor } from "../../src/index.js";
import type { Random } from "./random.js";
import { createAnything, createValue } from "./random-value.js";

type JsonSchema = { readonly [keyword: string]: any };

/** A body and its declared type. */
export interface RandomBody {
  readonly contentType: string;
  readonly bytes: Buffer;
}

/** Creates a body of one of the content types of an api, as its schema wants it. */
export function createBody(random: Random, content: JsonSchema, document: JsonSchema): RandomBody {
  const [type, media] = random.pick(Object.entries(content)) as [string, JsonSchema];
  const schema = (media["schema"] ?? {}) as JsonSchema;
  if (type === "application/json") return toJson(createValue(random, schema, document), type);
  if (type === "multipart/form-data") return createForm(random, schema, document);
  if (type === "text/plain") return { contentType: "text/plain; charset=utf-8", bytes: Buffer.from(random.text(10)) };
  if (type.includes("npy")) return { contentType: type, bytes: createNpy(random) };
  return { contentType: type.replace("*/*", "image/gif").replace("*", "png"), bytes: random.bytes(20) };
}

const toJson = (value: unknown, contentType: string): RandomBody => ({
  contentType,
  bytes: Buffer.from(JSON.stringify(value) ?? "null"),
});

function createNpy(random: Random): Buffer {
  const shape = Array.from({ length: random.between(0, 3) }, () => random.between(0, 3));
  const size = shape.reduce((product, dim) => product * dim, 1);
  return encodeNpy(new Tensor("float32", shape, new Float32Array(size).fill(random.next())));
}

function createForm(random: Random, schema: JsonSchema, document: JsonSchema): RandomBody {
  const boundary = `b${random.between(0, 1e9)}`;
  const parts = Object.entries((schema["properties"] ?? { file: {} }) as Record<string, JsonSchema>).map(
    ([name, field]) => {
      const isFile = field["format"] === "binary";
      const head = isFile ? '; filename="f.png"\r\ncontent-type: image/png' : "";
      const value = isFile ? random.bytes(9) : Buffer.from(JSON.stringify(createValue(random, field, document)) ?? "");
      return Buffer.concat([
        Buffer.from(`--${boundary}\r\ncontent-disposition: form-data; name="${name}"${head}\r\n\r\n`),
        value,
        Buffer.from("\r\n"),
      ]);
    },
  );
  const bytes = Buffer.concat([...parts, Buffer.from(`--${boundary}--\r\n`)]);
  return { contentType: `multipart/form-data; boundary=${boundary}`, bytes };
}

const evilTexts = [
  ...["NaN", "Infinity", "-Infinity", "1e999", "-1E+400", "undefined", "01", "1.", ".5", "+1", "'a'", "\u0000"],
  ...['{"__proto__":{"a":1}}', '{"constructor":{"prototype":{"a":1}}}', '{"a":1,"a":2}', "[", "{", '"', '"\\u12"'],
  ...["[".repeat(5000), '{"a":'.repeat(5000), `${"[".repeat(100)}${"]".repeat(100)}`, '"\\ud800"', "9".repeat(400), ""],
];

/** Changes a body in one way, so that it almost fits. */
export function spoilBody(random: Random, body: RandomBody): RandomBody {
  const { bytes, contentType } = body;
  const at = random.between(0, Math.max(0, bytes.length - 1));
  switch (random.between(0, 7)) {
    case 0:
      return { contentType, bytes: bytes.subarray(0, at) };
    case 1:
      return { contentType, bytes: Buffer.concat([bytes.subarray(0, at), random.bytes(1), bytes.subarray(at + 1)]) };
    case 2:
      return { contentType, bytes: Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)]) };
    case 3:
      return { contentType, bytes: Buffer.concat([bytes, bytes]) };
    case 4:
      return { contentType, bytes: Buffer.from(random.pick(evilTexts)) };
    case 5:
      return { contentType: createContentType(random), bytes };
    case 6:
      return { contentType: "application/json", bytes: spoilJson(random, bytes) };
    default:
      return toJson(createAnything(random), "application/json");
  }
}

/** Replaces one value of a JSON body by an odd one. */
function spoilJson(random: Random, bytes: Buffer): Buffer {
  const places = [...bytes.toString().matchAll(/(?<=[[:,])(?:"[^"\\]*"|-?\d+(?:\.\d+)?|true|false|null)(?=[\],}])/g)];
  if (places.length === 0) return Buffer.from(random.pick(evilTexts));
  const place = random.pick(places);
  const text = bytes.toString();
  const odd = random.chance(0.5) ? random.pick(evilTexts) : JSON.stringify(createAnything(random));
  return Buffer.from(text.slice(0, place.index) + odd + text.slice(place.index + place[0].length));
}

export function createContentType(random: Random): string {
  return random.pick([
    ...["application/json", "text/plain", "application/octet-stream", "application/x-npy", "image/png", "text/html"],
    ...["application/x-www-form-urlencoded", "multipart/form-data", "multipart/form-data; boundary=x", "*/*", "/", ";"],
    ...["application/json; charset=utf-16", "application/json; charset=nonsense", "text/plain; charset=latin1"],
    ...["application/vnd.api+json", "APPLICATION/JSON", "application/json;;;", "a".repeat(300), "multipart/mixed"],
  ]);
}
