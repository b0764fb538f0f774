import { createInputCheck, shapeJsonSchema } from "../define/contract.js";
import { isFileSchema } from "../define/file.js";
import { isSchema, type JsonSchema, type Shape } from "../define/schema.js";
import { isStreamSchema } from "../define/stream.js";
import { isTensorSchema } from "../define/tensor-schema.js";
import { describeFields, type FieldForm } from "./describe-fields.js";
import { bytesType, linesType, npyType, textType } from "./media-type.js";
import { createRefusedFields, type RefusedFields } from "./refused-fields.js";

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
  /** Asks the input's schema about single fields. */
  readonly refused: RefusedFields;
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
  const refused = createRefusedFields(createInputCheck(shape));
  const form = { schema, fields: noFields, refused };
  if (shape === undefined) return { ...form, kind: "none", contentTypes: [json] };
  if (isStreamSchema(shape)) return { ...form, kind: "stream", ...describeItems(shape.stream.item) };
  if (isTensorSchema(shape)) return { ...form, kind: "tensor", contentTypes: [json, npyType] };
  if (isFileSchema(shape)) {
    const given = shape.file.contentTypes;
    const contentTypes = [...(given.length > 0 ? given : ["*/*"]), multipart, json];
    return { ...form, kind: "file", contentTypes: [...new Set(contentTypes)] };
  }
  if (takesFileAlone(shape, schema)) return { ...form, kind: "file", contentTypes: ["*/*", multipart] };
  if (isSchema(shape) && Object.keys(schema).length === 0) {
    return { ...form, kind: "any", contentTypes: [json, multipart, textType, bytesType, npyType] };
  }
  if (allowsType(schema, "object")) {
    const fields = describeFields(shape, schema, refused);
    const hasFile = [...fields.values()].some((field) => field.kind === "file");
    return { ...form, kind: "fields", fields, contentTypes: hasFile ? [multipart, json] : [json, multipart] };
  }
  if (allowsType(schema, "string")) return { ...form, kind: "text", contentTypes: [json, textType] };
  return { ...form, kind: "json", contentTypes: [json] };
}

/** How the items of a stream may come. */
function describeItems(item: Shape): Pick<InputForm, "takesChunks" | "contentTypes"> {
  const takesChunks = accepts(item, new Uint8Array(16));
  if (!takesChunks) return { takesChunks, contentTypes: [json, linesType] };
  return { takesChunks, contentTypes: takesJson(item) ? [json, linesType, bytesType] : [bytesType] };
}

/** Whether a schema that is not ekiben's takes a file and nothing that JSON has: then every body is one. */
function takesFileAlone(shape: Shape, schema: JsonSchema): boolean {
  if (Object.keys(schema).length > 0 && schema["format"] !== "binary" && schema["contentEncoding"] !== "binary")
    return false;
  const given = new File([new Uint8Array(16)], "file", { type: bytesType });
  // An object with a name and a size may be one to a schema of such objects.
  const { name, size, type, lastModified } = given;
  return accepts(shape, given) && !accepts(shape, { name, size, type, lastModified }) && !takesJson(shape);
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

/** A schema of bytes or of files alone says nothing in JSON Schema, as does one of anything. */
const takesJson = (item: Shape): boolean => [null, 0, "", true, [], {}].some((value) => accepts(item, value));

/** Whether values of a JSON type may fit a JSON Schema. */
function allowsType(schema: JsonSchema, type: string): boolean {
  const declared = schema["type"];
  if (declared === type || (Array.isArray(declared) && declared.includes(type))) return true;
  const branches = [schema["anyOf"], schema["oneOf"], schema["allOf"]].flat() as (JsonSchema | undefined)[];
  return branches.some((branch) => branch !== undefined && allowsType(branch, type));
}
