import { decodeBase64, encodeBase64 } from "../base/base64.js";
import { cleanFileName, formatDisposition } from "../base/file-name.js";
import { isPlainObject } from "../base/promised-input.js";
import { followReference } from "../define/follow-reference.js";
import type { JsonSchema } from "../define/schema.js";
import { arrayByDType, type DType, isTensor, type Tensor } from "../define/tensor.js";
import { encodeInteger, encodeTensor, readWholeTensor } from "../define/tensor-forms.js";
import { fail } from "../failure/client-failures.js";

/** A body and its content type. A form sets its own type, with its boundary. */
interface EncodedInput {
  readonly body: string | Blob | FormData | Uint8Array<ArrayBuffer> | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

const json = { "content-type": "application/json" };

/**
 * Encodes an input as the body of a request.
 *
 * A file or bytes are the whole body. An object with files is a form, and so is a list of files. Everything else is
 * JSON, with tensors as `{ dtype, shape, data }` and `data` in base64.
 *
 * @param filePaths Paths of files deeper in an object that the server takes as parts of a form: `"photos[].scan"`.
 *                  Files elsewhere are written as base64.
 * @throws {ServingError} `not_transferable`, naming the path, for values that JSON would drop or change.
 */
export async function encodeInput(input: unknown, filePaths: readonly string[] = []): Promise<EncodedInput> {
  if (input === undefined) return { body: undefined, headers: {} };
  if (input instanceof Blob) return encodeFile(input);
  if (input instanceof Uint8Array) {
    return { body: input as Uint8Array<ArrayBuffer>, headers: { "content-type": "application/octet-stream" } };
  }
  if (Array.isArray(input) && isFiles(input) && filePaths.includes("[]")) {
    return { body: appendFiles(new FormData(), "files", input), headers: {} };
  }
  if (isFields(input) && (hasFiles(input) || filePaths.some(isInner))) {
    const { form, hasFile } = await createForm(input, filePaths);
    if (hasFile) return { body: form, headers: {} };
  }
  return { body: await encodeJson(input, "input"), headers: json };
}

/** Types that say how a body is to be read rather than its file type. A file of such a type is sent in a form. */
const readable = /json|^multipart\/|^application\/x-www-form-urlencoded/i;

function encodeFile(file: Blob): EncodedInput {
  const type = file.type || "application/octet-stream";
  const name = file instanceof File ? file.name : "";
  if (readable.test(type)) {
    const form = new FormData();
    form.append("file", file);
    return { body: form, headers: {} };
  }
  const disposition = name === "" ? {} : { "content-disposition": formatDisposition(name) };
  return { body: file, headers: { "content-type": type, ...disposition } };
}

/** True for a list of files, which becomes parts of the same name. */
const isFiles = (value: unknown): value is Blob | readonly Blob[] =>
  value instanceof Blob || (Array.isArray(value) && value.length > 0 && value.every((item) => item instanceof Blob));

const isFields = (input: unknown): input is Record<string, unknown> =>
  typeof input === "object" && input !== null && !Array.isArray(input) && isPlainObject(input);

const hasFiles = (input: Record<string, unknown>): boolean => Object.values(input).some(isFiles);

/** True for a path that leads into a field, and not to a list of files in it. */
const isInner = (path: string): boolean => /[.[]/.test(path.replace(/\[\]$/, ""));

function appendFiles(form: FormData, name: string, files: Blob | readonly Blob[]): FormData {
  for (const file of [files].flat()) form.append(name, file);
  return form;
}

/** Creates a form of an object. Files inside its fields are parts of their own, after the part of their field. */
async function createForm(
  input: Record<string, unknown>,
  paths: readonly string[],
): Promise<{ readonly form: FormData; readonly hasFile: boolean }> {
  const form = new FormData();
  let hasFile = false;
  for (const [name, value] of Object.entries(input)) {
    if (value === undefined) continue;
    if (isFiles(value)) {
      appendFiles(form, name, value);
      hasFile = true;
      continue;
    }
    const inner: InnerFiles = { paths, files: [] };
    const part = { inner, name: plainName.test(name) ? name : "", pattern: name };
    const text = await encodeJson(value, `input.${name}`, part);
    form.append(name, new Blob([text], { type: "application/json" }));
    for (const { name: inside, file } of inner.files) form.append(inside, file);
    hasFile ||= inner.files.length > 0;
  }
  return { form, hasFile };
}

/** Files inside one field of a form. */
interface InnerFiles {
  /** Paths of all files that the server takes as parts. */
  readonly paths: readonly string[];
  readonly files: { readonly name: string; readonly file: Blob }[];
}

/** Name that an item would have as a part of a form, and the path of the server that it would have to fit. */
interface PartPlace {
  readonly inner: InnerFiles;
  /** Begins with no field when one of its names can't stand in a path. */
  readonly name: string;
  readonly pattern: string;
}

/** Reads of blobs in progress, each filling in its `data`: the bytes of a file can only be read asynchronously. */
type Pending = Promise<void>[];

/**
 * Encodes a value as JSON.
 *
 * @param part Collects files that become parts of a form; absent: all are written as base64.
 * @throws {ServingError} `not_transferable`, naming the path.
 */
export async function encodeJson(value: unknown, path: string, part?: PartPlace): Promise<string> {
  const pending: Pending = [];
  const encoded = encodeItem(value, { path, depth: 0, pending, part });
  await Promise.all(pending);
  return JSON.stringify(encoded);
}

/** Position of an item in the input. */
interface At {
  readonly path: string;
  readonly depth: number;
  readonly pending: Pending;
  readonly part: PartPlace | undefined;
}

/** Deepest nesting that is encoded. A deeper input almost certainly contains itself. */
const maxDepth = 100;

function encodeItem(item: unknown, at: At): unknown {
  if (typeof item === "object" && item !== null) return encodeObject(item, at);
  if (typeof item === "bigint") return encodeInteger(item);
  if (typeof item === "number" && !Number.isFinite(item)) throw refuse(at, String(item));
  if (typeof item === "function" || typeof item === "symbol") throw refuse(at, `a ${typeof item}`);
  return item;
}

function encodeObject(value: object, at: At): unknown {
  if (at.depth > maxDepth) throw refuse(at, `nested more than ${maxDepth} levels deep, or contains itself`);
  if (Array.isArray(value)) return encodeList(value, at);
  if ("dtype" in value && isTensor(value)) return encodeTensor(value);
  if (isPlainObject(value)) return encodeFields(Object.entries(value), at);
  if (value instanceof Date) return encodeDate(value, at);
  if (value instanceof Uint8Array) return encodeBase64(value);
  if (value instanceof Blob) return encodeNestedFile(value, at);
  if (value instanceof Map) return encodeMap(value, at);
  if (value instanceof Set) return encodeList([...value], at);
  if (ArrayBuffer.isView(value)) throw refuse(at, `a ${value.constructor.name} (pass a Tensor or a list)`);
  throw refuse(at, `an instance of class ${value.constructor?.name || "(unnamed)"}`);
}

function encodeList(list: readonly unknown[], at: At): unknown[] {
  return list.map((item, i) => {
    if (typeof item === "string" || (typeof item === "number" && Number.isFinite(item))) return item;
    return encodeItem(item, below(at, `[${i}]`));
  });
}

/** Encodes a map as an object, or as a list of pairs when its keys are not texts. */
const encodeMap = (value: ReadonlyMap<unknown, unknown>, at: At): unknown =>
  [...value.keys()].every((key) => typeof key === "string")
    ? encodeFields([...value] as [string, unknown][], at)
    : encodeList([...value], at);

function encodeFields(fields: readonly (readonly [string, unknown])[], at: At): object {
  const encoded = fields.flatMap(([name, item]) =>
    item === undefined ? [] : [[name, encodeItem(item, below(at, `.${name}`))]],
  );
  return Object.fromEntries(encoded);
}

const below = ({ path, depth, pending, part }: At, step: string): At => ({
  path: path + step,
  depth: depth + 1,
  pending,
  part: part && partBelow(part, step),
});

function partBelow({ inner, name, pattern }: PartPlace, step: string): PartPlace {
  const own = pattern + (step.startsWith("[") ? "[]" : step);
  const isNamed = inner.paths.some((path) => path.startsWith(own) && /^(?:$|[.[])/.test(path.slice(own.length)));
  const isList = step.startsWith("[");
  const isReadable = isList || plainName.test(step.slice(1));
  return { inner, name: isReadable ? name + step : "", pattern: isNamed || isList ? own : `${pattern}.*` };
}

/** Name of a field that may stand in a path. */
const plainName = /^[^.[\]"\r\n]+$/;
/** Name of a part that a server reads as a path. */
const partName = /^[^.[\]]+(?:\.[^.[\]]+|\[\d{1,4}\]){1,60}$/;
const maxPartName = 900;
/** Files of one field that become parts: servers take a thousand parts in all. */
const maxInnerFiles = 500;

function encodeDate(value: Date, at: At): string {
  if (Number.isNaN(value.getTime())) throw refuse(at, "an invalid Date");
  return value.toISOString();
}

/** Makes a file a part of the form, or else encodes it in the JSON form that `file()` reads. */
function encodeNestedFile(file: Blob, { pending, part }: At): object | null {
  if (part !== undefined && isPart(part)) {
    part.inner.files.push({ name: part.name, file });
    return null;
  }
  const name = file instanceof File ? { name: file.name } : undefined;
  const encoded = { ...name, contentType: file.type || "application/octet-stream", data: "" };
  const fill = (bytes: ArrayBuffer) => {
    encoded.data = encodeBase64(new Uint8Array(bytes));
  };
  pending.push(file.arrayBuffer().then(fill));
  return encoded;
}

const isPart = ({ inner, name, pattern }: PartPlace): boolean =>
  inner.paths.includes(pattern) &&
  inner.files.length < maxInnerFiles &&
  name.length <= maxPartName &&
  partName.test(name);

const refuse = ({ path }: At, what: string) => fail("not_transferable", { path, what });

/** Keywords that describe a value. A schema with none of them says nothing about it. */
const telling = ["type", "$ref", "anyOf", "oneOf", "allOf", "properties", "items", "prefixItems", "enum", "const"];
const tensorTitle = /^(float32|float64|int32|int64|uint8)\[(.*)\]$/;

/**
 * Turns the JSON forms of tensors and files back into `Tensor` and `File`, where the output's JSON Schema names them.
 * Where the schema says nothing, a value that is `{ dtype, shape, data }` and nothing else becomes a tensor. Lists
 * and objects are changed in place.
 *
 * @param schema Schema of the output, or of one item of a stream, as `/schema.json` has it.
 * @throws {Error} for an invalid tensor where only a tensor may stand.
 */
export function reviveValue(value: unknown, schema: JsonSchema): unknown {
  return revive(value, schema, { root: schema, isSure: true });
}

interface Reviving {
  readonly root: JsonSchema;
  /** False within a union, where another branch may be meant: a value that does not fit is left as it is. */
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
    if (reviving.isSure) throw new Error(`it has an invalid tensor: ${tensor}`);
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
  return readWholeTensor(value, dtype, dims === "" ? 0 : dims.split(",").length);
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
    const tensor = readWholeTensor(value, dtype, shape.length);
    if (typeof tensor !== "string") return tensor;
  }
  for (const name of Object.keys(fields)) set(fields, name, reviveUnknown(fields[name]));
  return fields;
}

const isDType = (name: unknown): name is DType => typeof name === "string" && Object.hasOwn(arrayByDType, name);

/** Defines the property, so that a key `__proto__` in an answer is a plain key. */
function set(fields: Record<string, unknown>, name: string, value: unknown): void {
  if (fields[name] !== value) Object.defineProperty(fields, name, { value });
}
