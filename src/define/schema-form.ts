import { type OwnSchema, ownProbe, ownTypeOf } from "./own-schema.js";
import { Tensor } from "./tensor.js";

/** Structure of a schema: the schemas inside it, or the kind of value that it is for. */
export type Form = ListForm | FieldsForm | UnionForm | MapForm | SetForm | LeafForm | WrappedForm | LooseForm;

interface ListForm {
  readonly kind: "list";
  /** Schemas of the first items. */
  readonly items: readonly unknown[];
  /** Schema of further items. */
  readonly rest: unknown;
}

/** Object schema: its known fields, and the schemas of other fields and of their names, if any. */
export interface FieldsForm {
  readonly kind: "fields";
  readonly fields: Readonly<Record<string, unknown>>;
  readonly rest: unknown;
  readonly keys: unknown;
  /** Message for an invalid name, if the schema of names has none of its own. */
  readonly keyMessage?: string | undefined;
}

/** Refuses a value that all members refuse. */
interface UnionForm {
  readonly kind: "union";
  readonly members: readonly unknown[];
}

interface MapForm {
  readonly kind: "map";
  readonly key: unknown;
  readonly value: unknown;
}

interface SetForm {
  readonly kind: "set";
  readonly item: unknown;
}

/** Refuses a value that any of the inner schemas refuses. */
interface WrappedForm {
  readonly kind: "wrapped";
  readonly inner: readonly unknown[];
}

/** May accept a value that the schema inside refuses: one with a fallback, or one that a function picks. */
interface LooseForm {
  readonly kind: "loose";
  readonly form: Form | undefined;
}

/** Values without inner schemas that JSON has no notation for. `other` stands for those without any JSON form. */
export type LeafType = "file" | "tensor" | "date" | "bigint" | "bytes" | "other";

export interface LeafForm {
  readonly kind: "leaf";
  readonly type: LeafType;
  /** Schema of `file()` or `tensor()`; absent for a schema of the library's own. */
  readonly own?: OwnSchema;
  /** Name of the values' class or type. */
  readonly name: string;
}

const forms = new WeakMap<object, Form | undefined>();

/**
 * Returns the structure of a schema of zod, valibot, arktype or ekiben. `undefined` for other libraries, and for a
 * schema without parts whose values JSON has a notation for.
 *
 * Reads fields that the libraries publish for others to build on: `_zod.def`, the fields of a valibot schema, and the
 * nodes of arktype.
 */
export function formOf(schema: unknown): Form | undefined {
  if ((typeof schema !== "object" && typeof schema !== "function") || schema === null) return undefined;
  if (forms.has(schema)) return forms.get(schema);
  try {
    const form = readForm(schema as Parts);
    forms.set(schema, form);
    return form;
  } catch {
    // A part can't be read yet, as in schemas that refer to one another. The next call tries again.
    return undefined;
  }
}

/**
 * Returns the structure of the value itself, below optional, nullable, default and the like.
 *
 * @param side The value as it is given, or as the schema returns it: `undefined` where a function makes it.
 */
export function coreOf(schema: unknown, side: "input" | "output" = "input"): Form | undefined {
  let at = schema;
  let form = formOf(at);
  for (let depth = 0; depth < maxWrappers; depth++) {
    if (side === "output" && changesValue(at)) return undefined;
    if (form?.kind === "loose") {
      form = form.form;
    } else if (form?.kind === "wrapped" && form.inner.length === 1) {
      at = form.inner[0];
      form = formOf(at);
    } else {
      return form;
    }
  }
  return form;
}

/** True for a schema that returns another value than it was given: a pipe with a function, or to another schema. */
export function changesValue(schema: unknown): boolean {
  const { _zod, pipe } = (schema ?? {}) as { _zod?: ZodInternals; pipe?: unknown };
  if (_zod?.def !== undefined) return _zod.def["type"] === "pipe";
  if (!Array.isArray(pipe)) return false;
  return (pipe as { kind?: unknown }[]).slice(1).some(({ kind }) => kind === "schema" || kind === "transformation");
}

const maxWrappers = 100;

/** True when a further call of `formOf` would return the same. */
export function hasFinalForm(schema: unknown): boolean {
  return (typeof schema !== "object" && typeof schema !== "function") || schema === null || forms.has(schema);
}

/** True for a schema of a list that checks nothing but the items, so that a list is valid when its slices are. */
export function isPlainList(schema: unknown): boolean {
  const form = formOf(schema);
  if (form?.kind !== "list" || form.items.length > 0) return false;
  const def = (schema as { _zod?: { def?: Parts } })._zod?.def;
  if (def === undefined) return !("pipe" in (schema as object));
  return ((def["checks"] ?? []) as readonly unknown[]).length === 0;
}

type Parts = Readonly<Record<string, unknown>>;

function readForm(schema: Parts): Form | undefined {
  const own = ownTypeOf(schema);
  if (own !== undefined) return { kind: "leaf", type: own, own: schema as unknown as OwnSchema, name: own };
  const zod = schema["_zod"] as ZodInternals | undefined;
  if (zod?.def !== undefined) return readZod(zod, zod.def);
  if (schema["kind"] === "schema") {
    const form = readValibot(schema);
    return "fallback" in schema ? loose(form) : form;
  }
  return (schema["~standard"] as { vendor?: unknown } | undefined)?.vendor === "arktype" ? readArk(schema) : undefined;
}

const wrap = (...inner: unknown[]): Form => ({ kind: "wrapped", inner });
const loose = (form: Form | undefined): Form => ({ kind: "loose", form });
const leaf = (type: LeafType, name: string): Form => ({ kind: "leaf", type, name });
const list = (items: readonly unknown[], rest: unknown): Form => ({ kind: "list", items, rest });

/** Structure of a record. Names are checked only if they are strings: a library may convert them to numbers first. */
function record(key: unknown, keyType: unknown, rest: unknown, keyMessage?: string): Form {
  return { kind: "fields", fields: {}, rest, keys: keyType === "string" ? key : undefined, keyMessage };
}

/** Structure of a schema for instances of a class. */
function readClass(made: unknown): Form | undefined {
  if (typeof made !== "function") return undefined;
  if (made === Date) return leaf("date", "Date");
  if (made === Uint8Array) return leaf("bytes", "Uint8Array");
  if (made === Blob || made === File) return leaf("file", made.name);
  if (made === Map) return { kind: "map", key: undefined, value: undefined };
  if (made === Set) return { kind: "set", item: undefined };
  // A NumPy file becomes one, whatever its dtype.
  return made === Tensor ? undefined : leaf("other", made.name || "a class");
}

interface ZodInternals {
  readonly def?: Parts;
  readonly bag?: { readonly Class?: unknown };
}

function readZod({ bag }: ZodInternals, def: Parts): Form | undefined {
  switch (def["type"]) {
    case "array":
      return list([], def["element"]);
    case "tuple":
      return list(def["items"] as readonly unknown[], def["rest"] ?? undefined);
    case "object":
      return { kind: "fields", fields: def["shape"] as Parts, rest: others(def["catchall"]), keys: undefined };
    case "record": {
      const form = record(def["keyType"], zodType(def["keyType"]), def["valueType"], "Invalid key in record");
      return def["mode"] === "loose" ? loose(form) : form;
    }
    case "union":
      return { kind: "union", members: def["options"] as readonly unknown[] };
    case "intersection":
      return wrap(def["left"], def["right"]);
    case "optional":
    case "nullable":
    case "nonoptional":
    case "readonly":
    case "default":
    case "prefault":
      return wrap(def["innerType"]);
    case "catch":
      return loose(formOf(def["innerType"]));
    case "pipe":
      return wrap(def["in"]);
    case "lazy":
      return wrap((def["getter"] as () => unknown)());
    case "map":
      return { kind: "map", key: def["keyType"], value: def["valueType"] };
    case "set":
      return { kind: "set", item: def["valueType"] };
    case "date":
      return def["coerce"] === true ? undefined : leaf("date", "Date");
    case "bigint":
      return def["coerce"] === true ? undefined : leaf("bigint", "bigint");
    case "file":
      return leaf("file", "File");
    case "symbol":
    case "function":
      return leaf("other", String(def["type"]));
    case "custom":
      return readClass(bag?.Class);
    default:
      return undefined;
  }
}

/**
 * Returns the schema of other fields; `undefined` for a strict object, whose own issue names the keys it does not know.
 */
const others = (catchall: unknown): unknown => (zodType(catchall) === "never" ? undefined : catchall);
const zodType = (schema: unknown): unknown => (schema as { _zod?: ZodInternals } | undefined)?._zod?.def?.["type"];

function readValibot(schema: Parts): Form | undefined {
  switch (schema["type"]) {
    case "array":
      return list([], schema["item"]);
    case "tuple":
    case "loose_tuple":
    case "strict_tuple":
    case "tuple_with_rest":
      return list(schema["items"] as readonly unknown[], schema["rest"]);
    case "object":
    case "loose_object":
    case "strict_object":
    case "object_with_rest":
      return { kind: "fields", fields: schema["entries"] as Parts, rest: schema["rest"], keys: undefined };
    case "record":
      return record(schema["key"], (schema["key"] as Parts)["type"], schema["value"]);
    case "union":
    case "variant":
      return { kind: "union", members: schema["options"] as readonly unknown[] };
    case "intersect":
      return wrap(...(schema["options"] as readonly unknown[]));
    case "optional":
    case "exact_optional":
    case "undefinedable":
    case "nullable":
    case "nullish":
    case "non_optional":
    case "non_nullable":
    case "non_nullish":
      return wrap(schema["wrapped"]);
    case "lazy":
      return readLazy(schema["getter"] as (value: unknown) => unknown);
    case "map":
      return { kind: "map", key: schema["key"], value: schema["value"] };
    case "set":
      return { kind: "set", item: schema["value"] };
    case "date":
      return leaf("date", "Date");
    case "bigint":
    case "symbol":
    case "function":
      return leaf(schema["type"] === "bigint" ? "bigint" : "other", schema["type"]);
    case "file":
    case "blob":
      return leaf("file", schema["type"] === "file" ? "File" : "Blob");
    case "instance":
      return readClass(schema["class"]);
    default:
      return undefined;
  }
}

/** Reads the schema that a function returns. It may pick another one for another value. */
function readLazy(getter: (value: unknown) => unknown): Form {
  try {
    return loose(formOf(getter(undefined)));
  } catch (error) {
    // It refers to a schema that is defined later.
    if (error instanceof ReferenceError) throw error;
    return loose(undefined);
  }
}

/** Node of arktype. */
interface ArkNode {
  readonly kind: string;
  readonly branches?: readonly unknown[];
  readonly resolution?: unknown;
  readonly proto?: unknown;
  readonly domain?: unknown;
  readonly morphs?: readonly unknown[];
  readonly basis?: ArkNode | null;
  readonly inner: { readonly in?: unknown };
  readonly structure?: {
    readonly props?: readonly { readonly key: unknown; readonly value: unknown }[];
    readonly index?: readonly { readonly value: unknown }[];
    readonly sequence?: {
      readonly prefix?: readonly unknown[];
      readonly optionals?: readonly unknown[];
      readonly variadic?: unknown;
    };
  };
}

function readArk(type: Parts): Form | undefined {
  const node = (type["internal"] ?? type) as ArkNode;
  switch (node.kind) {
    case "union":
      return { kind: "union", members: node.branches ?? [] };
    case "alias":
      return wrap(node.resolution);
    case "morph":
      return isUnknown(node.inner.in) ? readArkMorph(node.morphs) : wrap(node.inner.in);
    case "proto":
      return readClass(node.proto);
    case "domain":
      return node.domain === "bigint" ? leaf("bigint", "bigint") : undefined;
    case "intersection":
      return readArkParts(node);
    default:
      return undefined;
  }
}

/** True for the node that takes any value. */
function isUnknown(input: unknown): boolean {
  const { kind, inner } = (input ?? { kind: "intersection", inner: {} }) as ArkNode;
  return kind === "intersection" && Object.keys(inner).length === 0;
}

function readArkParts({ structure, basis }: ArkNode): Form | undefined {
  const sequence = structure?.sequence;
  if (sequence !== undefined) {
    return list([...(sequence.prefix ?? []), ...(sequence.optionals ?? [])], sequence.variadic);
  }
  if (structure !== undefined) {
    const fields = (structure.props ?? []).map(({ key, value }) => [key, value] as const);
    return { kind: "fields", fields: Object.fromEntries(fields), rest: structure.index?.[0]?.value, keys: undefined };
  }
  return basis === undefined || basis === null ? undefined : readArk(basis as unknown as Parts);
}

/** Asks the only function of a morph for its schema, once: arktype wraps a schema of others in one. */
function readArkMorph(morphs: readonly unknown[] | undefined): Form | undefined {
  const [morph, second] = morphs ?? [];
  if (typeof morph !== "function" || second !== undefined) return undefined;
  try {
    const answer: unknown = morph(ownProbe, { error: () => {} });
    return ownTypeOf(answer) === undefined ? undefined : formOf(answer);
  } catch {
    // It is a function of the author's, for other values.
    return undefined;
  }
}
