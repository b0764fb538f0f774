import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { Issue } from "../failure/failures.js";

// What is wrong with a large value, found without making an issue of each wrong item in it.
//
// A validator goes on to the end of a list however many of its items are wrong, and an issue costs a hundred times what its
// item did: 16 MiB of `{}` became gigabytes. So a large value is looked at here first.
//
// M1  Only what its schema is certain to refuse is refused here: an item of a list, a field, a value of a record is checked by
//     its own schema, and nothing around that schema may accept what it refuses (a union refuses what all its members do).
// M2  First a sample is looked at. Where it fits, few items can be wrong, and the validator may say which; where it does not,
//     the value is read in order as far as the first `maxIssues`.
// M3  The issues found are those the validator would name, in its words.

/** Issues that are told of one value. */
export const maxIssues = 20;
/** Values from which on a value is large: fewer can all be wrong without harm. */
const largeCount = 2_000;
/** An item of so few is checked as a whole. */
const smallCount = 50;
/** Items of a sample, shared out among the lists of a value; and the least of each list. */
const sampleSize = 10_000;
const leastSample = 64;
/** Deeper than any body may be. */
const maxDepth = 1_000;

/**
 * The first issues of a large value; none where it fits, where that is not certain, or where the value is not large.
 *
 * @param schema One that `growsWithValue`: of others there is nothing to find.
 */
export function findMisfits(schema: unknown, value: unknown): readonly Issue[] {
  if (!holdsMore(value, largeCount)) return none;
  if (isArkType(schema)) return schema.allows(value) ? [] : askInPart(schema, value as object);
  const sample = new Search(1);
  sample.look(schema, value, [], sampleSize);
  if (sample.issues.length === 0) return none;
  const search = new Search(maxIssues);
  search.look(schema, value, [], Number.POSITIVE_INFINITY);
  return search.issues;
}

const none: readonly Issue[] = [];

/**
 * Whether the issues of a schema grow with its value: those of a plain object are as many as the fields it names, at most.
 *
 * @returns `undefined` where none of its parts says so, and one of them can't be had yet: to be asked again.
 */
export function growsWithValue(schema: unknown): boolean | undefined {
  const search: PartSearch = { seen: new Set(), isFinal: true };
  if (isArkType(schema) || hasMany(schema, search)) return true;
  return search.isFinal ? false : undefined;
}

interface PartSearch {
  /** Schemas that are being looked at already. */
  readonly seen: Set<unknown>;
  /** False once a part was met that can't be had yet. */
  isFinal: boolean;
}

/** Whether a list or a record is among the parts of a schema. */
function hasMany(schema: unknown, search: PartSearch): boolean {
  const form = formOf(schema);
  if (form === undefined) search.isFinal &&= hasFinalForm(schema);
  if (form === undefined || search.seen.has(schema)) return false;
  search.seen.add(schema);
  switch (form.kind) {
    case "list":
      return true;
    case "fields":
      if (form.rest !== undefined || form.keys !== undefined) return true;
      return Object.values(form.fields).some((field) => hasMany(field, search));
    case "wrapped":
      return form.inner.some((inner) => hasMany(inner, search));
    case "union":
      return form.members.some((member) => hasMany(member, search));
  }
}

/** A type of arktype says at the first wrong item whether a value fits, but not why. */
interface ArkType {
  allows(value: unknown): boolean;
  readonly "~standard": StandardSchemaV1.Props;
}

const isArkType = (schema: unknown): schema is ArkType =>
  (schema as Partial<ArkType>)["~standard"]?.vendor === "arktype" && typeof (schema as ArkType).allows === "function";

/** Why a value does not fit is asked of its beginning: of each long list in it the first items. */
function askInPart(schema: ArkType, value: object): readonly Issue[] {
  const cut = new Set<string>();
  const result = schema["~standard"].validate(cutLists(value, "", cut));
  const issues = result instanceof Promise ? [] : (result.issues ?? []);
  const told = issues
    .map(createIssue)
    // That a list is too short now is not the client's fault.
    .filter(({ path }) => !cut.has(path))
    .slice(0, maxIssues);
  return told.length > 0 ? told : [{ path: "", message: "one of its many values does not fit the schema" }];
}

function cutLists(value: unknown, path: string, cut: Set<string>): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    if (value.length > leastSample) cut.add(path);
    return value.slice(0, leastSample).map((item, i) => cutLists(item, `${path}[${i}]`, cut));
  }
  if (Object.getPrototypeOf(value) !== Object.prototype) return value;
  const entries = Object.entries(value).map(([key, item]): [string, unknown] => [
    key,
    cutLists(item, path === "" ? key : `${path}.${key}`, cut),
  ]);
  return Object.fromEntries(entries);
}

type Path = readonly (string | number)[];

class Search {
  readonly issues: Issue[] = [];
  readonly #most: number;
  /** A schema that answers later can't be asked about single items. */
  #isOver = false;

  constructor(most: number) {
    this.#most = most;
  }

  /** @param budget Items that may be looked at. */
  look(schema: unknown, value: unknown, path: Path, budget: number): void {
    if (this.#isOver || path.length > maxDepth) return;
    if (!holdsMore(value, smallCount)) {
      this.#check(schema, value, path);
      return;
    }
    const form = formOf(schema);
    if (form !== undefined) this.#lookInto(form, value as object, path, budget);
  }

  #lookInto(form: Form, value: object, path: Path, budget: number): void {
    switch (form.kind) {
      case "list":
        if (!Array.isArray(value)) return;
        this.#sample(value.length, budget, (at, share) => {
          const schema = form.items[at] ?? form.rest;
          if (schema !== undefined) this.look(schema, value[at], [...path, at], share);
        });
        return;
      case "fields":
        if (!Array.isArray(value)) this.#lookAtFields(form, value as Record<string, unknown>, path, budget);
        return;
      case "wrapped":
        for (const inner of form.inner) this.look(inner, value, path, budget);
        return;
      case "union":
        this.#lookAtMembers(form.members, value, path, budget);
    }
  }

  #lookAtFields(
    { fields, rest, keys, keyMessage }: FieldsForm,
    value: Record<string, unknown>,
    path: Path,
    budget: number,
  ): void {
    const names = Object.keys(value);
    this.#sample(names.length, budget, (at, share) => {
      const name = names[at] as string;
      const schema = Object.hasOwn(fields, name) ? fields[name] : rest;
      if (keys !== undefined) this.#check(keys, name, [...path, name], keyMessage);
      if (schema !== undefined) this.look(schema, value[name], [...path, name], share);
    });
  }

  /** One of each stretch of as many as the budget allows, at random: nobody can place wrong items beside it. */
  #sample(length: number, budget: number, visit: (at: number, share: number) => void): void {
    const count = Math.min(length, Math.max(leastSample, budget));
    const share = Math.floor(budget / count);
    for (let i = 0; i < count && !this.#isOver; i++) {
      visit(count === length ? i : Math.floor(((i + Math.random()) * length) / count), share);
    }
  }

  /** M1: what one of them may accept is not refused. */
  #lookAtMembers(members: readonly unknown[], value: object, path: Path, budget: number): void {
    for (const member of members) {
      const search = new Search(1);
      search.look(member, value, path, budget);
      if (search.issues.length === 0) return;
    }
    this.#add({ path, message: "Invalid input: it fits none of the forms it may have" });
  }

  #check(schema: unknown, value: unknown, path: Path, text?: string): void {
    const result = (schema as StandardSchemaV1)["~standard"].validate(value);
    if (result instanceof Promise) {
      result.catch(() => {});
      this.#isOver = true;
      return;
    }
    for (const issue of result.issues ?? []) {
      this.#add({ path: [...path, ...(issue.path ?? [])], message: text ?? issue.message });
      if (this.#isOver) return;
    }
  }

  #add(issue: StandardSchemaV1.Issue): void {
    this.issues.push(createIssue(issue));
    if (this.issues.length >= this.#most) this.#isOver = true;
  }
}

/** Whether a value of plain data holds more than `most` values; tensors and bytes are one. */
export function holdsMore(value: unknown, most: number): boolean {
  return typeof value === "object" && value !== null && countDown(value, most) < 0;
}

/** @returns What is left of `left`; below 0 when it was too little. */
function countDown(value: object, left: number): number {
  let rest = left - 1;
  if (Array.isArray(value)) {
    rest -= value.length;
    for (let i = 0; i < value.length && rest >= 0; i++) {
      const item = value[i];
      if (typeof item === "object" && item !== null) rest = countDown(item, rest);
    }
    return rest;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return rest;
  for (const key in value) {
    const item = (value as Record<string, unknown>)[key];
    rest = typeof item === "object" && item !== null ? countDown(item, rest) : rest - 1;
    if (rest < 0) return rest;
  }
  return rest;
}

/** More says nothing to a reader: a library lists all that would have been right, or every unknown key. */
const longestMessage = 500;

/** An issue as failures tell it, short enough to be read. */
export function createIssue({ path, message }: StandardSchemaV1.Issue): Issue {
  return { path: formatPath(path), message: shorten(message, longestMessage) };
}

const shorten = (text: string, most: number): string => (text.length > most ? `${text.slice(0, most)}…` : text);

/** `["lines", 2, "text"]` → `"lines[2].text"`. */
function formatPath(path: StandardSchemaV1.Issue["path"]): string {
  let text = "";
  for (const segment of path ?? []) {
    const key = typeof segment === "object" ? segment.key : segment;
    if (typeof key === "number") text += `[${key}]`;
    else text += `${text === "" ? "" : "."}${shorten(String(key), 100)}`;
  }
  return text;
}

/** How a schema is made up of others, as far as it refuses what they refuse. */
type Form =
  | { readonly kind: "list"; readonly items: readonly unknown[]; readonly rest: unknown }
  | FieldsForm
  /** Refuses what any of these does. */
  | { readonly kind: "wrapped"; readonly inner: readonly unknown[] }
  /** Refuses what all of these do. */
  | { readonly kind: "union"; readonly members: readonly unknown[] };

/** An object: its known fields, and the schema of others and of their names, where they have one. */
interface FieldsForm {
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
function formOf(schema: unknown): Form | undefined {
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
function hasFinalForm(schema: unknown): boolean {
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
