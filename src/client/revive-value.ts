import { decodeBase64 } from "../base/base64.js";
import { cleanFileName } from "../base/file-name.js";
import { followReference } from "../define/follow-reference.js";
import type { JsonSchema } from "../define/schema.js";
import { arrayByDType, type DType, isTensor, type Tensor } from "../define/tensor.js";
import { readTensor } from "../define/tensor-forms.js";

/** A schema that names none of these says nothing about a value. */
const telling = ["type", "$ref", "anyOf", "oneOf", "allOf", "properties", "items", "prefixItems", "enum", "const"];
const tensorTitle = /^(float32|float64|int32|int64|uint8)\[(.*)\]$/;

/**
 * Turns the JSON forms of tensors and files back into `Tensor` and `File`, where the output's JSON Schema says they are, or
 * where it says nothing and a value is `{ dtype, shape, data }` and nothing else. Lists and objects are changed in place.
 *
 * @param schema Of the output, or of one item of a stream, as `/schema.json` gives it.
 * @throws {Error} saying what is wrong with a tensor, where nothing but a tensor may stand.
 */
export function reviveValue(value: unknown, schema: JsonSchema): unknown {
  return revive(value, schema, { root: schema, isSure: true });
}

interface Reviving {
  readonly root: JsonSchema;
  /** False within a union, where another branch may be meant: what does not fit is left as it is there. */
  readonly isSure: boolean;
}

function revive(value: unknown, schema: unknown, reviving: Reviving): unknown {
  const { root } = reviving;
  if (typeof schema !== "object" || schema === null) return schema === true ? reviveUnknown(value) : value;
  const { $ref, title, anyOf, oneOf, allOf } = schema as JsonSchema;
  if (typeof $ref === "string") return revive(value, followReference($ref, root), reviving);
  if (typeof title === "string" && tensorTitle.test(title)) {
    const tensor = readTensorAs(title, value);
    if (typeof tensor !== "string") return tensor;
    if (reviving.isSure) throw new Error(`a tensor in it is none: ${tensor}`);
    return value;
  }
  if (typeof value !== "object" || value === null || isTensor(value) || value instanceof Blob) return value;
  if (title === "file") return reviveFile(value);
  const branching = { root, isSure: false };
  const branches = [anyOf, oneOf, allOf].flat().filter((branch) => branch !== undefined);
  const revived = branches.reduce((current: unknown, branch) => revive(current, branch, branching), value);
  if (!telling.some((keyword) => keyword in schema)) return reviveUnknown(revived);
  if (revived !== value) return revived;
  return Array.isArray(value)
    ? reviveList(value, schema as JsonSchema, reviving)
    : reviveFields(value as Record<string, unknown>, schema as JsonSchema, reviving);
}

function readTensorAs(title: string, value: unknown): Tensor | string {
  const [, dtype, dims = ""] = tensorTitle.exec(title) as unknown as [string, DType, string];
  return readTensor(value, dtype, dims === "" ? 0 : dims.split(",").length);
}

function reviveFile(value: object): unknown {
  const { name, contentType, data } = value as Record<string, unknown>;
  const bytes = typeof data === "string" ? decodeBase64(data) : undefined;
  if (bytes === undefined || typeof contentType !== "string") return value;
  const parts = [bytes as Uint8Array<ArrayBuffer>];
  return new File(parts, cleanFileName(typeof name === "string" ? name : ""), { type: contentType });
}

const scalars: readonly unknown[] = ["string", "number", "integer", "boolean", "null"];

function reviveList(list: unknown[], { items, prefixItems }: JsonSchema, reviving: Reviving): unknown[] {
  const first = Array.isArray(prefixItems) ? prefixItems : [];
  // Long lists are mostly lists of numbers.
  if (first.length === 0 && scalars.includes((items as JsonSchema | undefined)?.["type"])) return list;
  list.forEach((item, i) => {
    list[i] = revive(item, first[i] ?? items, reviving);
  });
  return list;
}

function reviveFields(fields: Record<string, unknown>, schema: JsonSchema, reviving: Reviving): unknown {
  const properties = (schema["properties"] ?? {}) as Record<string, JsonSchema>;
  for (const name of Object.keys(fields)) {
    const field = Object.hasOwn(properties, name) ? properties[name] : schema["additionalProperties"];
    if (typeof field === "object" && field !== null) set(fields, name, revive(fields[name], field, reviving));
  }
  return fields;
}

function reviveUnknown(value: unknown): unknown {
  if (typeof value !== "object" || value === null || isTensor(value) || value instanceof Blob) return value;
  if (Array.isArray(value)) {
    value.forEach((item, i) => {
      if (typeof item === "object") value[i] = reviveUnknown(item);
    });
    return value;
  }
  const fields = value as Record<string, unknown>;
  const { dtype, shape, data } = fields;
  if (isDType(dtype) && Array.isArray(shape) && typeof data === "string" && Object.keys(fields).length === 3) {
    const tensor = readTensor(value, dtype, shape.length);
    if (typeof tensor !== "string") return tensor;
  }
  for (const name of Object.keys(fields)) set(fields, name, reviveUnknown(fields[name]));
  return fields;
}

const isDType = (name: unknown): name is DType => typeof name === "string" && Object.hasOwn(arrayByDType, name);

/** Defines the property, so that a key `__proto__` in an answer is only a key. */
function set(fields: Record<string, unknown>, name: string, value: unknown): void {
  if (fields[name] !== value) Object.defineProperty(fields, name, { value });
}
