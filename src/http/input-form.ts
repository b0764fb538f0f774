import { type Check, createInputCheck, shapeJsonSchema } from "../define/contract.js";
import { isFileSchema } from "../define/file.js";
import { followReference } from "../define/follow-reference.js";
import { isSchema, isStreamSchema, type JsonSchema, type Shape } from "../define/schema.js";
import { isTensorSchema } from "../define/tensor-schema.js";
import type { Issue } from "../failure/failures.js";
import { bytesType, linesType, npyType, textType } from "./media-type.js";

/**
 * What an api's input is, as far as bodies go: `fields` is an object, `file` and `tensor` and `text` are the whole body,
 * `any` is a schema that can't be told as JSON Schema and so takes every form, `stream` items that come one after the other.
 */
type InputKind = "none" | "text" | "tensor" | "file" | "fields" | "json" | "any" | "stream";

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
export function createInputForm(shape: Shape | undefined): InputForm {
  const schema = shapeJsonSchema(shape, "input");
  const refused = createRefusedFields(createInputCheck(shape));
  const form = { schema, fields: noFields, refused };
  if (shape === undefined) return { ...form, kind: "none", contentTypes: [json] };
  if (isStreamSchema(shape)) return { ...form, kind: "stream", ...createItemsForm(shape.stream.item) };
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
    const fields = createFieldForms(shape, schema, refused);
    const hasFile = [...fields.values()].some((field) => field.kind === "file");
    return { ...form, kind: "fields", fields, contentTypes: hasFile ? [multipart, json] : [json, multipart] };
  }
  if (allowsType(schema, "string")) return { ...form, kind: "text", contentTypes: [json, textType] };
  return { ...form, kind: "json", contentTypes: [json] };
}

/** How the items of a stream may come. */
function createItemsForm(item: Shape): Pick<InputForm, "takesChunks" | "contentTypes"> {
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

/**
 * What a part of a multipart body becomes. Of a field that is `unsure`, its schema does not say beforehand: it is asked with
 * what came, see `settleFields`.
 */
type FieldKind = "file" | "tensor" | "text" | "json" | "unsure";

/** One field of an api's input, as a part of a multipart body may carry it. */
export interface FieldForm {
  readonly kind: FieldKind;
  /** A single part is then a list of one. */
  readonly isList: boolean;
}

/** A field that no schema names. */
export const unknownField: FieldForm = { kind: "unsure", isList: false };

/** Works out what parts become, for each field that the input's schema names. */
function createFieldForms(shape: Shape, schema: JsonSchema, refused: RefusedFields): ReadonlyMap<string, FieldForm> {
  const schemas = isSchema(shape) ? {} : shape;
  const fields = [...propertiesOf(schema)].map(([name, properties]): [string, FieldForm] => {
    const field = Object.hasOwn(schemas, name) ? schemas[name] : undefined;
    if (isFileSchema(field)) return [name, { kind: "file", isList: false }];
    if (isTensorSchema(field)) return [name, { kind: "tensor", isList: false }];
    const form = createFieldForm(properties, schema);
    return [name, form.kind === "json" && mayTakeText(name, form, refused) ? { ...form, kind: "unsure" } : form];
  });
  return new Map(fields);
}

/** JSON Schema does not tell that a schema makes a number, say, of a text; it shows when the schema is asked. */
function mayTakeText(name: string, { isList }: FieldForm, refused: RefusedFields): boolean {
  return ["1", "true"].some((text) => {
    const names = refused({ [name]: isList ? [text] : text });
    return names instanceof Promise || names === "all" || !names.has(name);
  });
}

/** The properties an object may have by its schema, each as often as a branch of it names one. */
function propertiesOf(root: JsonSchema): ReadonlyMap<string, readonly JsonSchema[]> {
  const properties = new Map<string, JsonSchema[]>();
  for (const { properties: named } of branchesOf(root, root, 0)) {
    for (const [name, property] of Object.entries((named ?? {}) as Record<string, JsonSchema>)) {
      properties.set(name, [...(properties.get(name) ?? []), property]);
    }
  }
  return properties;
}

const maxDepth = 8;

/** A schema, or what it is one or several of. */
function branchesOf(schema: JsonSchema, root: JsonSchema, depth: number): readonly JsonSchema[] {
  const { $ref, anyOf, oneOf, allOf } = schema;
  const target = typeof $ref === "string" ? followReference($ref, root) : undefined;
  const below = [target, anyOf, oneOf, allOf].flat().filter((branch) => typeof branch === "object" && branch !== null);
  if (below.length === 0 || depth > maxDepth) return [schema];
  const branches = (below as JsonSchema[]).flatMap((branch) => branchesOf(branch, root, depth + 1));
  return schema["properties"] === undefined ? branches : [schema, ...branches];
}

type ValueKind = FieldKind | "list" | "null";

function createFieldForm(properties: readonly JsonSchema[], root: JsonSchema): FieldForm {
  const branches = properties.flatMap((property) => branchesOf(property, root, 0));
  const kinds = new Set(branches.flatMap(kindsOf));
  kinds.delete("null");
  const [kind = "unsure", second] = kinds;
  if (second !== undefined || kind === "null") return { kind: "unsure", isList: false };
  if (kind !== "list") return { kind, isList: false };
  const items = branches.flatMap(({ items: item }) =>
    typeof item === "object" && item !== null ? [item as JsonSchema] : [],
  );
  const form = items.length === 0 ? undefined : createFieldForm(items, root);
  // Whether a part is one list of lists, or one of its items, its schema has to say.
  return { kind: form === undefined || form.isList ? "unsure" : form.kind, isList: true };
}

const tensorTitle = /^(?:float32|float64|int32|int64|uint8)\[/;

/** What values of a schema without branches may be. */
function kindsOf({ title, type, enum: values, const: value, ...schema }: JsonSchema): ValueKind[] {
  if (typeof title === "string" && tensorTitle.test(title)) return ["tensor"];
  if (title === "file" && type === "object") return ["file"];
  if (value !== undefined || Array.isArray(values)) return [value ?? values].flat().map(kindOfValue);
  if (type === undefined) return ["unsure"];
  const isBinary = schema["format"] === "binary" || schema["contentEncoding"] === "binary";
  return [type].flat().map((name) => {
    if (name === "string") return isBinary ? "file" : "text";
    return name === "array" ? "list" : name === "null" ? "null" : "json";
  });
}

const kindOfValue = (value: unknown): ValueKind =>
  value === null ? "null" : typeof value === "string" ? "text" : Array.isArray(value) ? "list" : "json";

/** Which fields of an input its schema refuses; all of them where it does not say which. Never throws or rejects. */
export type RefusedFields = (input: Readonly<Record<string, unknown>>) => Refused | Promise<Refused>;
type Refused = ReadonlySet<string> | "all";

const none: ReadonlySet<string> = new Set();

/** Asks the check of an api's input about single fields. */
function createRefusedFields(check: Check): RefusedFields {
  return (input) => {
    try {
      const checked = check(input);
      if (!(checked instanceof Promise)) return none;
      return checked.then(
        () => none,
        (error) => namesIn(error, input),
      );
    } catch (error) {
      return namesIn(error, input);
    }
  };
}

function namesIn(error: unknown, input: Readonly<Record<string, unknown>>): Refused {
  const { issues } = ((error as { details?: unknown } | undefined)?.details ?? {}) as { issues?: readonly Issue[] };
  if (!Array.isArray(issues) || issues.length === 0) return "all";
  const names = new Set<string>();
  for (const { path } of issues as readonly Issue[]) {
    if (path === "") return "all";
    for (const name of Object.keys(input)) if (isAt(path, name)) names.add(name);
  }
  return names;
}

/** A name may itself hold a point. */
const isAt = (path: string, name: string): boolean =>
  path.startsWith(name) && (path.length === name.length || path[name.length] === "." || path[name.length] === "[");
