import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { Issue } from "../failure/failures.js";
import { createIssue } from "./create-issue.js";
import { type FieldsForm, type Form, formOf, hasFinalForm } from "./schema-form.js";

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
