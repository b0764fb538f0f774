import { isFileSchema } from "../define/file.js";
import { followReference } from "../define/follow-reference.js";
import { isSchema, type JsonSchema, type Shape } from "../define/schema.js";
import { isTensorSchema } from "../define/tensor-schema.js";
import type { RefusedFields } from "./refused-fields.js";

/**
 * What a part of a multipart body becomes. Of a field that is `unsure`, its schema does not say beforehand: it is asked with
 * what came, see `settleFields`.
 */
export type FieldKind = "file" | "tensor" | "text" | "json" | "unsure";

/** One field of an api's input, as a part of a multipart body may carry it. */
export interface FieldForm {
  readonly kind: FieldKind;
  /** A single part is then a list of one. */
  readonly isList: boolean;
}

/** A field that no schema names. */
export const unknownField: FieldForm = { kind: "unsure", isList: false };

/** Works out what parts become, for each field that the input's schema names. */
export function describeFields(
  shape: Shape,
  schema: JsonSchema,
  refused: RefusedFields,
): ReadonlyMap<string, FieldForm> {
  const schemas = isSchema(shape) ? {} : shape;
  const fields = [...propertiesOf(schema)].map(([name, properties]): [string, FieldForm] => {
    const field = Object.hasOwn(schemas, name) ? schemas[name] : undefined;
    if (isFileSchema(field)) return [name, { kind: "file", isList: false }];
    if (isTensorSchema(field)) return [name, { kind: "tensor", isList: false }];
    const form = describeField(properties, schema);
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

function describeField(properties: readonly JsonSchema[], root: JsonSchema): FieldForm {
  const branches = properties.flatMap((property) => branchesOf(property, root, 0));
  const kinds = new Set(branches.flatMap(kindsOf));
  kinds.delete("null");
  const [kind = "unsure", second] = kinds;
  if (second !== undefined || kind === "null") return { kind: "unsure", isList: false };
  if (kind !== "list") return { kind, isList: false };
  const items = branches.flatMap(({ items: item }) =>
    typeof item === "object" && item !== null ? [item as JsonSchema] : [],
  );
  const form = items.length === 0 ? undefined : describeField(items, root);
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
