import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { Issue } from "../failure/failures.js";
import { type FieldsForm, type Form, formOf, hasFinalForm } from "./schema-form.js";

// Finds the first issues of a large value without creating an issue for each invalid item in it.
//
// A validator goes on to the end of a list, however many items are invalid, and an issue takes a hundred times the
// memory of its item: 16 MiB of `{}` became gigabytes. So a large value is checked here before the validator sees it.
//
// DM1  A value is refused here only if its schema is certain to refuse it. An item of a list, a field and a value of a
//      record are checked by their own schemas, and no schema around those may accept what they refuse. A union refuses
//      what all of its members refuse.
// DM2  A sample is checked first. If it is valid, few items can be invalid, and the validator reports them. If it is
//      not, the value is read in order up to the first `maxIssues` issues.
// DM3  The issues are those the validator would report, in its words.

/** Most issues that are reported for one value. */
export const maxIssues = 20;
/** Number of inner values from which a value is large. Fewer can all be invalid without harm. */
const largeCount = 2_000;
/** Most inner values of an item that is checked as a whole. */
const smallCount = 50;
/** Items of a sample, divided among the lists of a value; and the fewest of each list. */
const sampleSize = 10_000;
const leastSample = 64;
/** Greatest depth that is searched; more than any body may have. */
const maxDepth = 1_000;

/**
 * Finds the first issues of a large value; none if it is valid, if that is not certain, or if the value is not large.
 *
 * @param schema A schema for which `growsWithValue` is true; for others nothing is found.
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
 * Returns true when a larger value can have more issues. A plain object has at most as many issues as its schema has
 * fields.
 *
 * @returns `undefined` when no known part is such a schema and another part can't be read yet: ask again later.
 */
export function growsWithValue(schema: unknown): boolean | undefined {
  const search: PartSearch = { seen: new Set(), isFinal: true };
  if (isArkType(schema) || hasMany(schema, search)) return true;
  return search.isFinal ? false : undefined;
}

interface PartSearch {
  /** Schemas that were visited already. */
  readonly seen: Set<unknown>;
  /** False once a part was found that can't be read yet. */
  isFinal: boolean;
}

/** True when a part of the schema is a list or a record. */
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
    case "map":
    case "set":
      return true;
    default:
      return false;
  }
}

/** A type of arktype. `allows` stops at the first invalid item, but does not say why it is invalid. */
interface ArkType {
  allows(value: unknown): boolean;
  readonly "~standard": StandardSchemaV1.Props;
}

const isArkType = (schema: unknown): schema is ArkType =>
  (schema as Partial<ArkType>)["~standard"]?.vendor === "arktype" && typeof (schema as ArkType).allows === "function";

/** Finds the issues of the beginning of a value: of the first items of each long list. */
function askInPart(schema: ArkType, value: object): readonly Issue[] {
  const cut = new Set<string>();
  const result = schema["~standard"].validate(cutLists(value, "", cut));
  const issues = result instanceof Promise ? [] : (result.issues ?? []);
  const told = issues
    .map(createIssue)
    // A list that was cut may be too short for its schema, which is not the client's fault.
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
  /**
   * True when the search has ended: enough issues were found, or a schema is asynchronous and can't check single items.
   */
  #isOver = false;

  constructor(most: number) {
    this.#most = most;
  }

  /** @param budget Most items to check. */
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
        return;
      case "map":
        if (value instanceof Map) this.#lookAtEntries([...value], [form.key, form.value], path, budget);
        return;
      case "set":
        if (value instanceof Set) this.#lookAtEntries([...value].entries(), [undefined, form.item], path, budget);
    }
  }

  /** Checks the keys and values of a map, or the items of a set. */
  #lookAtEntries(
    source: Iterable<readonly [unknown, unknown]>,
    [keySchema, itemSchema]: readonly [unknown, unknown],
    path: Path,
    budget: number,
  ): void {
    const entries = [...source];
    this.#sample(entries.length, budget, (at, share) => {
      const [key, item] = entries[at] as readonly [unknown, unknown];
      const inside = [...path, typeof key === "string" || typeof key === "number" ? key : at];
      if (keySchema !== undefined) this.look(keySchema, key, inside, share);
      if (itemSchema !== undefined) this.look(itemSchema, item, inside, share);
    });
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

  /**
   * Visits one random item of each stretch, as many as the budget allows. A client can't place invalid items beside the
   * sample.
   */
  #sample(length: number, budget: number, visit: (at: number, share: number) => void): void {
    const count = Math.min(length, Math.max(leastSample, budget));
    const share = Math.floor(budget / count);
    for (let i = 0; i < count && !this.#isOver; i++) {
      visit(count === length ? i : Math.floor(((i + Math.random()) * length) / count), share);
    }
  }

  /** Refuses a value only if every member refuses it (DM1). */
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

/** True when a value of plain data has more than `most` inner values. A tensor or bytes count as one. */
export function holdsMore(value: unknown, most: number): boolean {
  return typeof value === "object" && value !== null && countDown(value, most) < 0;
}

/** @returns The rest of `left`; below 0 when the value has more. */
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
  if (prototype === Map.prototype || prototype === Set.prototype) {
    return countDownEntries(value as ReadonlyMap<unknown, unknown> | ReadonlySet<unknown>, rest);
  }
  if (prototype !== Object.prototype && prototype !== null) return rest;
  for (const key in value) {
    const item = (value as Record<string, unknown>)[key];
    rest = typeof item === "object" && item !== null ? countDown(item, rest) : rest - 1;
    if (rest < 0) return rest;
  }
  return rest;
}

function countDownEntries(entries: ReadonlyMap<unknown, unknown> | ReadonlySet<unknown>, left: number): number {
  let rest = left - entries.size;
  if (rest < 0) return rest;
  for (const item of entries.values()) {
    if (typeof item === "object" && item !== null) rest = countDown(item, rest);
    if (rest < 0) return rest;
  }
  return rest;
}

/** Longest message of an issue. Libraries list every valid choice or every unknown key, more than a reader needs. */
const longestMessage = 500;

/** Turns an issue of a library into one of a failure, short enough to be read. */
export function createIssue({ path, message }: StandardSchemaV1.Issue): Issue {
  return { path: formatPath(path), message: shorten(message, longestMessage) };
}

const shorten = (text: string, most: number): string => (text.length > most ? `${text.slice(0, most)}…` : text);

/** Formats a path: `["lines", 2, "text"]` → `"lines[2].text"`. */
function formatPath(path: StandardSchemaV1.Issue["path"]): string {
  let text = "";
  for (const segment of path ?? []) {
    const key = typeof segment === "object" ? segment.key : segment;
    if (typeof key === "number") text += `[${key}]`;
    else text += `${text === "" ? "" : "."}${shorten(String(key), 100)}`;
  }
  return text;
}
