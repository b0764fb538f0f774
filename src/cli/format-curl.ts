import { shapeJsonSchema } from "../define/contract.js";
import type { ApiDescriptor } from "../define/descriptor.js";
import { type FileSchema, isFileSchema } from "../define/file.js";
import { followReference } from "../define/follow-reference.js";
import { isSchema, isStreamSchema, type JsonSchema, type Shape } from "../define/schema.js";

/** Longest body that is written into the command line, in characters; a longer one goes to a file. */
const maxBodyLength = 200;

/** Formats a curl command that calls an api: with its first example, or with a made-up input of the right type. */
export function formatCurl(url: string, { route, contract, kind }: ApiDescriptor): string {
  const stream = kind === "stream" ? "-N " : "";
  const target = `curl ${stream}${url}${route}`;
  const { input } = contract;
  if (input === undefined) return `${target} -X POST`;
  if (isFileSchema(input)) {
    const type = typeOf(input);
    return `${target} -H 'content-type: ${type}' --data-binary @${fileName("input", type)}`;
  }
  if (!isSchema(input) && Object.values(input).some(isFileSchema)) return `${target} ${formatParts(input)}`;
  if (isStreamSchema(input) && Object.keys(shapeJsonSchema(input.stream.item, "input")).length === 0) {
    return `${target} -X POST -H 'content-type: application/octet-stream' -T input.bin`;
  }
  const value = contract.examples?.[0] ?? sampleOf(shapeJsonSchema(input, "input"));
  return `${target} -H 'content-type: application/json' -d ${formatBody(value)}`;
}

function formatBody(value: unknown): string {
  const body = value === undefined ? undefined : JSON.stringify(value);
  return body === undefined || body.length > maxBodyLength ? "@input.json" : quote(body);
}

function formatParts(fields: Readonly<Record<string, unknown>>): string {
  return Object.entries(fields)
    .map(([name, field]) => {
      if (isFileSchema(field)) return `-F ${name}=@${fileName(name, typeOf(field))}`;
      const sample = sampleOf(shapeJsonSchema(field as Shape, "input"));
      return `-F ${quote(`${name}=${typeof sample === "string" ? sample : JSON.stringify(sample ?? "…")}`)}`;
    })
    .join(" ");
}

const typeOf = ({ file }: FileSchema): string => {
  const [first] = file.contentTypes;
  return first === undefined || first.endsWith("/*")
    ? first === "image/*"
      ? "image/png"
      : "application/octet-stream"
    : first;
};

const fileName = (name: string, type: string): string => {
  const ending =
    type === "application/octet-stream" ? "bin" : (type.split("/")[1] ?? "bin").replace(/[^a-z0-9].*$/, "");
  return `${name}.${ending}`;
};

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** Makes a value that a JSON Schema probably accepts; `undefined` when that is too hard. */
function sampleOf(schema: JsonSchema, root: JsonSchema = schema, depth = 0): unknown {
  if (depth > 6) return undefined;
  const known = schema["const"] ?? schema["default"] ?? (schema["examples"] as unknown[] | undefined)?.[0];
  if (known !== undefined) return known;
  if (Array.isArray(schema["enum"])) return schema["enum"][0];
  if (typeof schema["$ref"] === "string") {
    const target = followReference(schema["$ref"], root) as JsonSchema | undefined;
    return target === undefined ? undefined : sampleOf(target, root, depth + 1);
  }
  const [branch] = ((schema["anyOf"] ?? schema["oneOf"]) as JsonSchema[] | undefined) ?? [];
  if (branch !== undefined) return sampleOf(branch, root, depth + 1);
  return sampleByType(schema, root, depth);
}

function sampleByType(schema: JsonSchema, root: JsonSchema, depth: number): unknown {
  switch ([schema["type"]].flat()[0]) {
    case "string":
      return sampleText(schema);
    case "integer":
    case "number":
      return Math.max(Number(schema["minimum"] ?? 1), Number(schema["exclusiveMinimum"] ?? 0) + 1);
    case "boolean":
      return true;
    case "null":
      return null;
    case "array": {
      const item = sampleOf((schema["items"] ?? {}) as JsonSchema, root, depth + 1);
      const count = Number(schema["minItems"] ?? 2);
      return item === undefined || count > 16 ? undefined : Array.from({ length: count }, () => item);
    }
    case "object":
      return sampleObject(schema, root, depth);
    default:
      return undefined;
  }
}

function sampleText(schema: JsonSchema): string | undefined {
  const byFormat: Record<string, string> = {
    email: "name@example.com",
    uri: "https://example.com",
    uuid: "123e4567-e89b-42d3-a456-426614174000",
    date: "2025-01-31",
    "date-time": "2025-01-31T12:00:00Z",
  };
  if (typeof schema["format"] === "string") return byFormat[schema["format"]];
  if (schema["pattern"] !== undefined || schema["contentEncoding"] !== undefined) return undefined;
  return "some text".padEnd(Number(schema["minLength"] ?? 0), "…").slice(0, Number(schema["maxLength"] ?? 1000));
}

function sampleObject(schema: JsonSchema, root: JsonSchema, depth: number): unknown {
  const properties = (schema["properties"] ?? {}) as Record<string, JsonSchema>;
  const required = Array.isArray(schema["required"]) ? (schema["required"] as string[]) : Object.keys(properties);
  const entries = required.map((name) => [name, sampleOf(properties[name] ?? {}, root, depth + 1)] as const);
  return entries.some(([, value]) => value === undefined) ? undefined : Object.fromEntries(entries);
}
