import { encodeBase64 } from "../base/base64.js";
import { shapeJsonSchema } from "../define/contract.js";
import type { ApiDescriptor } from "../define/descriptor.js";
import { type FileSchema, isFileSchema } from "../define/file.js";
import { followReference } from "../define/follow-reference.js";
import { isSchema, isStreamSchema, type JsonSchema, type Shape } from "../define/schema.js";
import { coreOf } from "../define/schema-form.js";
import { isTensor } from "../define/tensor.js";
import { encodeInteger, encodeTensor } from "../define/tensor-forms.js";

/** Longest body that is written into the command line, in characters; a longer one goes to a file. */
const maxBodyLength = 200;

/** Formats a curl command that calls an api: with its first example, or with a made-up input of the right type. */
export function formatCurl(url: string, { route, contract, kind }: ApiDescriptor): string {
  const stream = kind === "stream" ? "-N " : "";
  const target = `curl ${stream}${url}${route}`;
  const { input } = contract;
  if (input === undefined) return `${target} -X POST`;
  const core = isSchema(input) ? coreOf(input) : undefined;
  const only = core?.kind === "leaf" ? fileOf(input) : undefined;
  if (only !== undefined) {
    const type = typeOf(only);
    return `${target} -H 'content-type: ${type}' --data-binary @${fileName("input", type)}`;
  }
  const fields = fieldsOf(input);
  if (Object.values(fields).some(fileOf)) return `${target} ${formatParts(fields)}`;
  if (isStreamSchema(input) && isBytes(input.stream.item)) {
    return `${target} -X POST -H 'content-type: application/octet-stream' -T input.bin`;
  }
  const value = contract.examples?.[0] ?? sampleOf(shapeJsonSchema(input, "input"));
  return `${target} -H 'content-type: application/json' -d ${formatBody(value)}`;
}

function formatBody(value: unknown): string {
  const body = value === undefined ? undefined : JSON.stringify(value, toJsonForm);
  return body === undefined || body.length > maxBodyLength ? "@input.json" : quote(body);
}

/** Replaces a value that JSON has no notation for by its JSON form. */
function toJsonForm(_: string, value: unknown): unknown {
  if (typeof value === "bigint") return encodeInteger(value);
  if (value instanceof Uint8Array) return encodeBase64(value);
  if (value instanceof Map) return isTextMap(value) ? Object.fromEntries(value) : [...value];
  if (value instanceof Set) return [...value];
  return isTensor(value) ? encodeTensor(value) : value;
}

const isTextMap = (map: ReadonlyMap<unknown, unknown>): boolean =>
  [...map.keys()].every((key) => typeof key === "string");

/** Returns the fields of an input: an object of schemas, or an object schema. */
function fieldsOf(input: Shape): Readonly<Record<string, unknown>> {
  if (!isSchema(input)) return input;
  const core = coreOf(input);
  return core?.kind === "fields" ? core.fields : {};
}

/** True for items that are bytes, or that no schema describes. */
function isBytes(item: Shape): boolean {
  const core = isSchema(item) ? coreOf(item) : undefined;
  return (core?.kind === "leaf" && core.type === "bytes") || Object.keys(shapeJsonSchema(item, "input")).length === 0;
}

/** Returns the schema of a file, or of the files in a list. */
function fileOf(schema: unknown): FileSchema | undefined {
  const core = coreOf(schema);
  const item = core?.kind === "list" ? coreOf(core.rest) : core;
  return item?.kind === "leaf" && isFileSchema(item.own) ? item.own : undefined;
}

function formatParts(fields: Readonly<Record<string, unknown>>): string {
  return Object.entries(fields)
    .map(([name, field]) => {
      const file = fileOf(field);
      if (file !== undefined) return `-F ${name}=@${fileName(name, typeOf(file))}`;
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
