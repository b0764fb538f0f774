/** How a schema is made up of others, as far as it refuses what they refuse. */
export type Form =
  | { readonly kind: "list"; readonly items: readonly unknown[]; readonly rest: unknown }
  | FieldsForm
  /** Refuses what any of these does. */
  | { readonly kind: "wrapped"; readonly inner: readonly unknown[] }
  /** Refuses what all of these do. */
  | { readonly kind: "union"; readonly members: readonly unknown[] };

/** An object: its known fields, and the schema of others and of their names, where they have one. */
export interface FieldsForm {
  readonly kind: "fields";
  readonly fields: Readonly<Record<string, unknown>>;
  readonly rest: unknown;
  readonly keys: unknown;
  /** What a wrong name is called, where its own schema does not say. */
  readonly keyMessage?: string | undefined;
}

const forms = new WeakMap<object, Form | undefined>();

/**
 * The form of a schema of zod or valibot; `undefined` for one that has no parts, or may accept what its parts refuse (a
 * fallback, a value that is changed first), and for any other library's.
 *
 * Reads what both publish for libraries that build on them: `_zod.def`, and the fields of a valibot schema.
 */
export function formOf(schema: unknown): Form | undefined {
  if ((typeof schema !== "object" && typeof schema !== "function") || schema === null) return undefined;
  if (forms.has(schema)) return forms.get(schema);
  try {
    const form = readForm(schema as Parts);
    forms.set(schema, form);
    return form;
  } catch {
    // A part that can't be had yet, as of schemas that refer to one another: it is asked for again.
    return undefined;
  }
}

/** Whether what `formOf` said of a schema is final. */
export function hasFinalForm(schema: unknown): boolean {
  return (typeof schema !== "object" && typeof schema !== "function") || schema === null || forms.has(schema);
}

/** Whether a schema is that of a list, and says nothing of it but what its items are: what holds of its parts holds of it. */
export function isPlainList(schema: unknown): boolean {
  const form = formOf(schema);
  if (form?.kind !== "list" || form.items.length > 0) return false;
  const def = (schema as { _zod?: { def?: Parts } })._zod?.def;
  if (def === undefined) return !("pipe" in (schema as object));
  return ((def["checks"] ?? []) as readonly unknown[]).length === 0;
}

type Parts = Readonly<Record<string, unknown>>;

function readForm(schema: Parts): Form | undefined {
  const def = (schema["_zod"] as { def?: Parts } | undefined)?.def;
  if (def !== undefined) return readZod(def);
  return schema["kind"] === "schema" && !("fallback" in schema) ? readValibot(schema) : undefined;
}

const wrap = (...inner: unknown[]): Form => ({ kind: "wrapped", inner });

/** Names are checked where they are looked at as they are: a library may read them as numbers first. */
function record(key: unknown, keyType: unknown, rest: unknown, keyMessage?: string): Form {
  return { kind: "fields", fields: {}, rest, keys: keyType === "string" ? key : undefined, keyMessage };
}

function readZod(def: Parts): Form | undefined {
  switch (def["type"]) {
    case "array":
      return { kind: "list", items: [], rest: def["element"] };
    case "tuple":
      return { kind: "list", items: def["items"] as readonly unknown[], rest: def["rest"] ?? undefined };
    case "object":
      return { kind: "fields", fields: def["shape"] as Parts, rest: others(def["catchall"]), keys: undefined };
    case "record":
      if (def["mode"] === "loose") return undefined;
      return record(def["keyType"], zodType(def["keyType"]), def["valueType"], "Invalid key in record");
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
    case "pipe":
      return wrap(def["in"]);
    case "lazy":
      return wrap((def["getter"] as () => unknown)());
    default:
      return undefined;
  }
}

/** A strict object's own issue names the keys it does not know. */
const others = (catchall: unknown): unknown => (zodType(catchall) === "never" ? undefined : catchall);
const zodType = (schema: unknown): unknown => (schema as { _zod?: { def?: Parts } } | undefined)?._zod?.def?.["type"];

function readValibot(schema: Parts): Form | undefined {
  switch (schema["type"]) {
    case "array":
      return { kind: "list", items: [], rest: schema["item"] };
    case "tuple":
    case "loose_tuple":
    case "strict_tuple":
    case "tuple_with_rest":
      return { kind: "list", items: schema["items"] as readonly unknown[], rest: schema["rest"] };
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
    default:
      return undefined;
  }
}
