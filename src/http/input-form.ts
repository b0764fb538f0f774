import { type Check, createInputCheck, shapeJsonSchema } from "../define/contract.js";
import type { FileSchema } from "../define/file.js";
import { formatSteps, walkSchema } from "../define/find-schema.js";
import { followReference } from "../define/follow-reference.js";
import { createRevive, type Revive } from "../define/revive-input.js";
import { acceptsNow, isSchema, isStreamSchema, type JsonSchema, type Shape } from "../define/schema.js";
import { coreOf, type Form } from "../define/schema-form.js";
import type { Issue } from "../failure/failures.js";
import { bytesType, linesType, npyType, textType } from "./media-type.js";

/**
 * Kind of an api's input, as seen by bodies. `fields` is an object. `file`, `tensor` and `text` are the whole body,
 * `files` all parts of a form. `any` takes every form: JSON Schema can't describe it, or it is a union with a file.
 * `stream` is a sequence of items.
 */
type InputKind = "none" | "text" | "tensor" | "file" | "files" | "fields" | "json" | "any" | "stream";

/** Rules that turn bodies into the input of one api; derived once from its contract. */
export interface InputForm {
  readonly kind: InputKind;
  readonly schema: JsonSchema;
  readonly fields: ReadonlyMap<string, FieldForm>;
  /** Places inside the input that names of form parts may lead to. */
  readonly places: InnerPlaces;
  /** Asks the input's schema about single fields. */
  readonly refused: RefusedFields;
  /** Turns JSON forms into dates, maps and the like, in the input or in each item of a stream. */
  readonly revive: Revive | undefined;
  /** True when the items of a stream may be the bytes of the body as they arrive. */
  readonly takesChunks?: boolean;
  /** True when an input of kind `any` may be a file. */
  readonly takesFile?: boolean;
  /** True when there may be no body. */
  readonly mayBeAbsent?: boolean;
  /** Paths of all files in an object: `"photos[].scan"`, `"scans.*"` for a record. */
  readonly filePaths: readonly string[];
  /** Content types that a body may have, the most usual first. */
  readonly contentTypes: readonly string[];
}

const json = "application/json";
const multipart = "multipart/form-data";
const noFields: ReadonlyMap<string, FieldForm> = new Map();

/** Derives the rules that turn bodies into the input of an api. */
export function createInputForm(shape: Shape | undefined): InputForm {
  const core = isSchema(shape) ? coreOf(shape) : undefined;
  const isBytes = core?.kind === "leaf" && core.type === "bytes";
  // Bytes as a whole are a body of their own, not the base64 text that they are inside JSON.
  const schema = isBytes ? {} : shapeJsonSchema(shape, "input");
  const revive = createRevive(isStreamSchema(shape) ? shape.stream.item : shape);
  const refused = createRefusedFields(createInputCheck(shape), revive);
  const form = { schema, fields: noFields, places: new InnerPlaces(schema), refused, revive, filePaths: [] };
  if (shape === undefined) return { ...form, kind: "none", contentTypes: [json] };
  if (isStreamSchema(shape)) return { ...form, kind: "stream", ...createItemsForm(shape.stream.item) };
  const whole = isSchema(shape) ? createWholeForm(core, shape, schema) : undefined;
  if (whole?.kind === "any") return { ...form, ...whole, fields: createFieldForms(schema, refused) };
  if (whole !== undefined) return { ...form, ...whole, mayBeAbsent: acceptsNow(shape, undefined) };
  if (isSchema(shape) && Object.keys(schema).length === 0) {
    return { ...form, kind: "any", contentTypes: [json, multipart, textType, bytesType, npyType] };
  }
  if (allowsType(schema, "object")) {
    const fields = createFieldForms(schema, refused);
    const filePaths = listFilePaths(shape);
    const contentTypes = filePaths.length > 0 ? [multipart, json] : [json, multipart];
    return { ...form, kind: "fields", fields, filePaths, contentTypes };
  }
  if (allowsType(schema, "string") && !hasDateForm(schema)) {
    return { ...form, kind: "text", contentTypes: [json, textType] };
  }
  return { ...form, kind: "json", contentTypes: [json] };
}

/** True for the JSON form of a `Date`, which is no text by itself. */
export const hasDateForm = ({ title, format }: JsonSchema): boolean => title === "date" && format === "date-time";

/** Returns the form of an input that is a file, a tensor, bytes, a list of files or a union with a file. */
function createWholeForm(
  core: Form | undefined,
  shape: Shape,
  schema: JsonSchema,
): Pick<InputForm, "kind" | "contentTypes" | "takesFile"> | undefined {
  if (core?.kind === "leaf" && core.type === "tensor") return { kind: "tensor", contentTypes: [json, npyType] };
  if (core?.kind === "leaf" && core.type === "file" && core.own !== undefined) {
    const { contentTypes } = (core.own as FileSchema).file;
    return {
      kind: "file",
      contentTypes: [...new Set([...(contentTypes.length > 0 ? contentTypes : ["*/*"]), multipart, json])],
    };
  }
  if (isFile(core) || takesFileAlone(shape, schema)) return { kind: "file", contentTypes: ["*/*", multipart] };
  if (core?.kind === "list" && core.items.length === 0 && isFile(coreOf(core.rest))) {
    return { kind: "files", contentTypes: [multipart, json] };
  }
  if (core?.kind === "union" && core.members.some((member) => isFile(coreOf(member)))) {
    return { kind: "any", takesFile: true, contentTypes: [multipart, json, "*/*"] };
  }
  return undefined;
}

const isFile = (form: Form | undefined): boolean => form?.kind === "leaf" && form.type === "file";

/** Lists the paths of the files in an object. */
function listFilePaths(shape: Shape): readonly string[] {
  const paths = new Set<string>();
  const roots: [string, unknown][] = isSchema(shape) ? [["", shape]] : Object.entries(shape);
  for (const [field, root] of roots) {
    walkSchema(root, ({ form, steps }) => {
      if (isFile(form)) paths.add(formatSteps(isSchema(shape) ? steps : [{ field }, ...steps], ".*"));
      return false;
    });
  }
  return [...paths];
}

/** Returns the forms in which the items of a stream may arrive. */
function createItemsForm(item: Shape): Pick<InputForm, "takesChunks" | "contentTypes"> {
  const takesChunks = acceptsNow(item, new Uint8Array(16));
  if (!takesChunks) return { takesChunks, contentTypes: [json, linesType] };
  return { takesChunks, contentTypes: takesJson(item) ? [json, linesType, bytesType] : [bytesType] };
}

/** True when a schema that can't be read takes a file and no JSON value. Every body is a file then. */
function takesFileAlone(shape: Shape, schema: JsonSchema): boolean {
  if (Object.keys(schema).length > 0) return false;
  const given = new File([new Uint8Array(16)], "file", { type: bytesType });
  // A schema of objects with a name and a size might accept a file.
  const { name, size, type, lastModified } = given;
  return acceptsNow(shape, given) && !acceptsNow(shape, { name, size, type, lastModified }) && !takesJson(shape);
}

/**
 * True when a schema accepts some JSON value. JSON Schema says nothing about a schema of bytes or files, nor about
 * one of any value.
 */
const takesJson = (item: Shape): boolean => [null, 0, "", true, [], {}].some((value) => acceptsNow(item, value));

/** True when a JSON Schema may accept values of a JSON type. */
function allowsType(schema: JsonSchema, type: string): boolean {
  const declared = schema["type"];
  if (declared === type || (Array.isArray(declared) && declared.includes(type))) return true;
  const branches = [schema["anyOf"], schema["oneOf"], schema["allOf"]].flat() as (JsonSchema | undefined)[];
  return branches.some((branch) => branch !== undefined && allowsType(branch, type));
}

/**
 * Kind of value that a part of a multipart body becomes. The schema of an `unsure` field does not say it beforehand:
 * the schema is asked with the values that came, see `settleFields`.
 */
type FieldKind = "file" | "tensor" | "bytes" | "text" | "json" | "unsure";

/** One field of an api's input, as a part of a multipart body may carry it. */
export interface FieldForm {
  readonly kind: FieldKind;
  /** True when the field is a list. A single part is then a list of one. */
  readonly isList: boolean;
}

/** A field that no schema names. */
export const unknownField: FieldForm = { kind: "unsure", isList: false };

/** Derives the value that a part becomes, for each field that the input's schema names. */
function createFieldForms(schema: JsonSchema, refused: RefusedFields): ReadonlyMap<string, FieldForm> {
  const fields = [...propertiesOf(schema)].map(([name, properties]): [string, FieldForm] => {
    const form = createFieldForm(properties, schema);
    return [name, form.kind === "json" && mayTakeText(name, form, refused) ? { ...form, kind: "unsure" } : form];
  });
  return new Map(fields);
}

/** A part of a form whose name is a path into a field: `"pages[0].image"`. */
export interface InnerPart {
  /** Names of fields and indexes of items, two at least. */
  readonly steps: readonly (string | number)[];
  readonly form: FieldForm;
}

const pathForm = /^[^.[\]]+(?:\.[^.[\]]+|\[\d{1,4}\])+$/;
/** Most steps of a path; more than any form has. */
const maxSteps = 64;

/** Reads the name of a part as a path into a known field; `undefined` when it is none, or leads to nothing. */
export function readPartPath({ fields, places }: InputForm, name: string): InnerPart | undefined {
  if (fields.has(name) || !pathForm.test(name)) return undefined;
  const steps = [...name.matchAll(/([^.[\]]+)|\[(\d+)\]/g)].map(([, field, index]) => field ?? Number(index));
  if (steps.length > maxSteps || !fields.has(String(steps[0]))) return undefined;
  let at: InnerPlace | undefined = places.root;
  for (const step of steps) {
    at = places.follow(at, step);
    if (at === undefined) return undefined;
  }
  return { steps, form: at.form };
}

/** Place inside an input, where a path may lead. */
class InnerPlace {
  readonly schemas: readonly JsonSchema[];
  readonly branches: readonly JsonSchema[];
  /** Names of fields that a branch knows. All other names lead to one place. */
  readonly names: ReadonlySet<string>;
  /** Items with schemas of their own. All later items have one place. */
  readonly firstItems: number;
  readonly next = new Map<string | number | undefined, InnerPlace | undefined>();
  readonly #root: JsonSchema;
  #form: FieldForm | undefined;

  constructor(schemas: readonly JsonSchema[], root: JsonSchema) {
    this.schemas = schemas;
    this.branches = [...new Set(schemas.flatMap((schema) => branchesOf(schema, root, 0)))];
    this.names = new Set(this.branches.flatMap(({ properties }) => Object.keys(properties ?? {})));
    const firsts = this.branches.map(({ prefixItems }) => (Array.isArray(prefixItems) ? prefixItems.length : 0));
    this.firstItems = Math.max(0, ...firsts);
    this.#root = root;
  }

  get form(): FieldForm {
    this.#form ??= createFieldForm(this.schemas, this.#root);
    return this.#form;
  }
}

/** Most places that are kept for one input. Unions that name one another may have more, which are found again. */
const maxPlaces = 2_000;

/**
 * Places inside an input. Each step between two of them is found once: reading names of parts costs with their bytes,
 * not with the branches of the schema.
 */
export class InnerPlaces {
  readonly #schema: JsonSchema;
  readonly #ids = new Map<JsonSchema, number>();
  readonly #places = new Map<string, InnerPlace>();
  #root: InnerPlace | undefined;

  /** @param schema JSON Schema of the whole input. */
  constructor(schema: JsonSchema) {
    this.#schema = schema;
  }

  get root(): InnerPlace {
    this.#root ??= this.#placeOf([this.#schema]);
    return this.#root;
  }

  /** @returns `undefined` when no branch of the schema has such a field or item. */
  follow(from: InnerPlace, step: string | number): InnerPlace | undefined {
    const key = typeof step === "number" ? Math.min(step, from.firstItems) : from.names.has(step) ? step : undefined;
    if (from.next.has(key)) return from.next.get(key);
    const found = from.branches.flatMap((branch) => schemasAt(branch, step));
    const place = found.length === 0 ? undefined : this.#placeOf([...new Set(found)]);
    from.next.set(key, place);
    return place;
  }

  #placeOf(schemas: readonly JsonSchema[]): InnerPlace {
    if (this.#places.size >= maxPlaces) {
      this.#places.clear();
      this.#root = undefined;
    }
    const key = schemas.map((schema) => this.#idOf(schema)).join(" ");
    const place = this.#places.get(key) ?? new InnerPlace(schemas, this.#schema);
    this.#places.set(key, place);
    return place;
  }

  #idOf(schema: JsonSchema): number {
    const id = this.#ids.get(schema) ?? this.#ids.size;
    this.#ids.set(schema, id);
    return id;
  }
}

/** Returns the schemas of a field or an item, as one branch of a schema has them. */
function schemasAt({ properties, additionalProperties, items, prefixItems }: JsonSchema, step: string | number) {
  const named = (properties ?? {}) as Record<string, unknown>;
  const first = Array.isArray(prefixItems) ? (prefixItems as unknown[]) : [];
  const found =
    typeof step === "number" ? (first[step] ?? items) : Object.hasOwn(named, step) ? named[step] : additionalProperties;
  return typeof found === "object" && found !== null ? [found as JsonSchema] : [];
}

/**
 * True when the schema accepts a text for a field of another type. JSON Schema does not show that a schema converts a
 * text to a number, so the schema is asked.
 */
function mayTakeText(name: string, { isList }: FieldForm, refused: RefusedFields): boolean {
  return ["1", "true"].some((text) => {
    const names = refused({ [name]: isList ? [text] : text });
    return names instanceof Promise || names === "all" || !names.has(name);
  });
}

/**
 * Returns the properties that an object may have by its schema. A property appears once for each branch that names
 * it.
 */
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

/** Returns the branches of a schema, or the schema itself when it has none. */
function branchesOf(schema: JsonSchema, root: JsonSchema, depth: number): readonly JsonSchema[] {
  const { $ref, anyOf, oneOf, allOf } = schema;
  if (isTensorForm(schema)) return [schema];
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
  // Only the schema can say whether a part is one list of lists or one of its items.
  return { kind: form === undefined || form.isList ? "unsure" : form.kind, isList: true };
}

const tensorTitle = /^(?:float32|float64|int32|int64|uint8)\[/;
/** True for the JSON Schema of `tensor()`, whose branches are forms of one value. */
const isTensorForm = ({ title }: JsonSchema): boolean => typeof title === "string" && tensorTitle.test(title);

/** Returns the kinds of value that a schema without branches accepts. */
function kindsOf({ title, type, enum: values, const: value, ...schema }: JsonSchema): ValueKind[] {
  if (isTensorForm({ title })) return ["tensor"];
  if (title === "file" && type === "object") return ["file"];
  if (title === "bytes" && type === "string") return ["bytes"];
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

/**
 * Returns the fields of an input that its schema refuses; `"all"` when it does not say which. Never throws or
 * rejects.
 */
export type RefusedFields = (input: Readonly<Record<string, unknown>>) => Refused | Promise<Refused>;
type Refused = ReadonlySet<string> | "all";

const none: ReadonlySet<string> = new Set();

/** Asks the check of an api's input about single fields. */
function createRefusedFields(check: Check, revive: Revive | undefined): RefusedFields {
  return (input) => {
    try {
      const revived = revive === undefined ? input : revive(input);
      const checked = revived instanceof Promise ? revived.then(check) : check(revived);
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

/** True when an issue's path is inside a field. The name may itself contain a point. */
const isAt = (path: string, name: string): boolean =>
  path.startsWith(name) && (path.length === name.length || path[name.length] === "." || path[name.length] === "[");
