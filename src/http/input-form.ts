import { shapeJsonSchema } from "../define/contract.js";
import { isFileSchema } from "../define/file.js";
import { isSchema, type JsonSchema, type Shape } from "../define/schema.js";
import { isStreamSchema } from "../define/stream.js";
import { isTensorSchema } from "../define/tensor-schema.js";
import { bytesType, linesType, npyType, textType } from "./media-type.js";

/** What a part of a multipart body becomes. */
export type FieldKind = "file" | "tensor" | "text" | "json";

/** One field of an api's input, as a part of a multipart body may carry it. */
export interface FieldForm {
  readonly kind: FieldKind;
  /** A single part is then a list of one. */
  readonly isList: boolean;
}

/**
 * What an api's input is, as far as bodies go: `fields` is an object, `file` and `tensor` and `text` are the whole body,
 * `any` is a schema that can't be told as JSON Schema and so takes every form, `stream` items that come one after the other.
 */
export type InputKind = "none" | "text" | "tensor" | "file" | "fields" | "json" | "any" | "stream";

/** How bodies become the input of one api; worked out once from its contract. */
export interface InputForm {
  readonly kind: InputKind;
  readonly schema: JsonSchema;
  readonly fields: ReadonlyMap<string, FieldForm>;
  /** Of a stream: whether its items may be the bytes of the body, as they come. */
  readonly takesChunks?: boolean;
  /** What a body may be, the most usual first. */
  readonly contentTypes: readonly string[];
}

const json = "application/json";
const multipart = "multipart/form-data";
const noFields: ReadonlyMap<string, FieldForm> = new Map();

/** Works out how bodies become the input of an api. */
export function describeInput(shape: Shape | undefined): InputForm {
  const schema = shapeJsonSchema(shape, "input");
  if (shape === undefined) return { kind: "none", schema, fields: noFields, contentTypes: [json] };
  if (isStreamSchema(shape)) {
    const { item } = shape.stream;
    const takesChunks = accepts(item, new Uint8Array(16));
    const contentTypes = !takesChunks
      ? [json, linesType]
      : takesJson(item)
        ? [json, linesType, bytesType]
        : [bytesType];
    return { kind: "stream", schema, fields: noFields, takesChunks, contentTypes };
  }
  if (isTensorSchema(shape)) return { kind: "tensor", schema, fields: noFields, contentTypes: [json, npyType] };
  if (isFileSchema(shape)) {
    const given = shape.file.contentTypes;
    const contentTypes = [...(given.length > 0 ? given : ["*/*"]), multipart, json];
    return { kind: "file", schema, fields: noFields, contentTypes: [...new Set(contentTypes)] };
  }
  if (isSchema(shape) && Object.keys(schema).length === 0) {
    return { kind: "any", schema, fields: noFields, contentTypes: [json, multipart, textType, bytesType, npyType] };
  }
  if (allowsType(schema, "object")) {
    const fields = describeFields(shape, schema);
    const hasFile = [...fields.values()].some((field) => field.kind === "file");
    return { kind: "fields", schema, fields, contentTypes: hasFile ? [multipart, json] : [json, multipart] };
  }
  if (allowsType(schema, "string")) return { kind: "text", schema, fields: noFields, contentTypes: [json, textType] };
  return { kind: "json", schema, fields: noFields, contentTypes: [json] };
}

/** Whether a value fits a schema, as far as that is known at once. */
function accepts(item: Shape, value: unknown): boolean {
  if (!isSchema(item)) return false;
  try {
    const result = item["~standard"].validate(value);
    return !(result instanceof Promise) && result.issues === undefined;
  } catch {
    return false;
  }
}

/** Whether items that take bytes take anything else: a schema of bytes alone says nothing in JSON Schema, as does one of anything. */
const takesJson = (item: Shape): boolean => [null, 0, "", true, [], {}].some((value) => accepts(item, value));

function describeFields(shape: Shape, schema: JsonSchema): ReadonlyMap<string, FieldForm> {
  const properties = Object.entries((schema["properties"] ?? {}) as Record<string, JsonSchema>);
  const schemas = isSchema(shape) ? undefined : shape;
  return new Map(
    properties.map(([name, property]): [string, FieldForm] => {
      const field = schemas?.[name];
      if (isFileSchema(field)) return [name, { kind: "file", isList: false }];
      if (isTensorSchema(field)) return [name, { kind: "tensor", isList: false }];
      if (property["type"] === "string") return [name, { kind: "text", isList: false }];
      const isList = property["type"] === "array";
      const items = (property["items"] ?? {}) as JsonSchema;
      return [name, { kind: isList && items["type"] === "string" ? "text" : "json", isList }];
    }),
  );
}

/** Whether values of a JSON type may fit a JSON Schema. */
function allowsType(schema: JsonSchema, type: string): boolean {
  const declared = schema["type"];
  if (declared === type || (Array.isArray(declared) && declared.includes(type))) return true;
  const branches = [schema["anyOf"], schema["oneOf"], schema["allOf"]].flat() as (JsonSchema | undefined)[];
  return branches.some((branch) => branch !== undefined && allowsType(branch, type));
}
