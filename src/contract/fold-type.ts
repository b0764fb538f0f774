import { followReference } from "../define/follow-reference.js";
import { isObject } from "../define/json-forms.js";
import { isReferenceKeyword } from "../define/schema.js";
import { markKey, type SchemaMark } from "../define/schema-marks.js";
import { type TypeForm, writeCanonical } from "./type-form.js";

/** A type and the document that its references lead into. */
export interface TypePart {
  readonly json: unknown;
  readonly root: TypeForm;
}

/** A type as an intersection: a value must fit every part. Without parts it accepts anything. */
export type Type = readonly TypePart[];

/** Returns the type that a form describes. */
export const typeOf = (form: TypeForm): Type => [{ json: form, root: form }];

/** Type of fields without a name; `dropped`: they are accepted and not kept, `refused`: there may be none. */
export type RestOfFields = Type | "dropped" | "refused";

/** Keywords of a type, joined over its parts; its unions are still apart. */
export interface Folded {
  /** JSON types; `undefined` for all. */
  types: readonly string[] | undefined;
  values: ReadonlyMap<string, unknown> | undefined;
  mark: SchemaMark | undefined;
  readonly numbers: { min: number; max: number; isMinOpen: boolean; isMaxOpen: boolean; multiples: number[] };
  readonly strings: { minLength: number; maxLength: number; patterns: string[]; formats: string[] };
  readonly lists: { first: Type[]; rest: Type; minItems: number; maxItems: number; isUnique: boolean };
  readonly objects: { fields: Map<string, Type>; required: Set<string>; rest: RestOfFields; names: Type };
  readonly unions: (readonly TypePart[])[];
  readonly checks: string[];
}

export const createFolded = (): Folded => ({
  types: undefined,
  values: undefined,
  mark: undefined,
  numbers: { min: -Infinity, max: Infinity, isMinOpen: false, isMaxOpen: false, multiples: [] },
  strings: { minLength: 0, maxLength: Infinity, patterns: [], formats: [] },
  lists: { first: [], rest: [], minItems: 0, maxItems: Infinity, isUnique: false },
  objects: { fields: new Map(), required: new Set(), rest: "dropped", names: [] },
  unions: [],
  checks: [],
});

const unreadSign = "~ ";

/** Writes a constraint that is not understood, for the checks of a type. */
export const unread = (text: string): string => unreadSign + text;

/** True for a constraint of the type itself, false for a function or a check of its author. */
export const isUnread = (check: string): boolean => check.startsWith(unreadSign);

/** Joins the parts of a type. @returns `undefined` when no value can fit. */
export function fold(type: Type, into = createFolded()): Folded | undefined {
  const met = new Set<unknown>();
  const waiting = [...type];
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const { json, root } = next;
    if (json === false) return undefined;
    if (!isObject(json) || met.has(json)) continue;
    met.add(json);
    if (isNever(json)) return undefined;
    for (const [keyword, value] of Object.entries(json)) {
      if (isReferenceKeyword(keyword, value)) {
        waiting.push({ json: value === "#" ? root : followReference(value, root), root });
      } else if (keyword === "allOf" && Array.isArray(value)) {
        waiting.push(...value.map((part: unknown) => ({ json: part, root })));
      } else if (keyword !== "$defs" && !foldKeyword(into, json, keyword, value, root)) {
        into.checks.push(unread(`${keyword} ${writeCanonical(value)}`));
      }
    }
    foldObject(into, json, root);
  }
  return into;
}

const isNever = ({ not }: TypeForm): boolean => isObject(not) && Object.keys(not).length === 0;

/** @returns False for a keyword that is not understood. */
function foldKeyword(into: Folded, json: TypeForm, keyword: string, value: unknown, root: TypeForm): boolean {
  const { strings, lists } = into;
  const number = typeof value === "number" ? value : undefined;
  switch (keyword) {
    case markKey:
      return foldMark(into, value as SchemaMark, json, root);
    case "type":
      into.types = joinTypes(into.types, [value].flat().map(String));
      return true;
    case "enum":
      if (!Array.isArray(value)) return false;
      into.values = joinValues(into.values, mapValues(value));
      return true;
    case "anyOf":
    case "oneOf":
      if (!Array.isArray(value)) return false;
      into.unions.push(value.map((part: unknown) => ({ json: part, root })));
      if (keyword === "oneOf") into.checks.push(unread(`exactly one of ${writeCanonical(value)}`));
      return true;
    case "pattern":
    case "format":
    case "contentEncoding":
    case "contentMediaType":
      if (typeof value !== "string") return false;
      if (keyword === "pattern") strings.patterns.push(value);
      else strings.formats.push(keyword === "format" ? value : `${keyword} ${value}`);
      return true;
    case "uniqueItems":
      lists.isUnique ||= value === true;
      return true;
    case "items":
    case "prefixItems":
      foldItems(into, json, keyword, root);
      return true;
    case "properties":
    case "required":
    case "additionalProperties":
    case "propertyNames":
      return true;
    default:
      return number !== undefined && foldLimit(into, keyword, number);
  }
}

function foldLimit({ numbers, strings, lists }: Folded, keyword: string, limit: number): boolean {
  switch (keyword) {
    case "minimum":
    case "exclusiveMinimum": {
      const isOpen = keyword !== "minimum";
      if (limit > numbers.min || (limit === numbers.min && isOpen))
        Object.assign(numbers, { min: limit, isMinOpen: isOpen });
      return true;
    }
    case "maximum":
    case "exclusiveMaximum": {
      const isOpen = keyword !== "maximum";
      if (limit < numbers.max || (limit === numbers.max && isOpen))
        Object.assign(numbers, { max: limit, isMaxOpen: isOpen });
      return true;
    }
    case "multipleOf":
      numbers.multiples.push(limit);
      return true;
    case "minLength":
      strings.minLength = Math.max(strings.minLength, limit);
      return true;
    case "maxLength":
      strings.maxLength = Math.min(strings.maxLength, limit);
      return true;
    case "minItems":
      lists.minItems = Math.max(lists.minItems, limit);
      return true;
    case "maxItems":
      lists.maxItems = Math.min(lists.maxItems, limit);
      return true;
    default:
      return false;
  }
}

/** Joins the items of two lists: each position fits both. */
function foldItems({ lists }: Folded, json: TypeForm, keyword: string, root: TypeForm): void {
  // Both keywords are read at once, with the first of them.
  if (keyword === "prefixItems" && "items" in json) return;
  const first = Array.isArray(json["prefixItems"]) ? (json["prefixItems"] as unknown[]) : [];
  const rest: Type = json["items"] === undefined ? [] : [{ json: json["items"], root }];
  const length = Math.max(first.length, lists.first.length);
  const joined = Array.from({ length }, (_, i): Type => {
    const own: Type = i < first.length ? [{ json: first[i], root }] : rest;
    return [...(lists.first[i] ?? lists.rest), ...own];
  });
  lists.first = joined;
  lists.rest = [...lists.rest, ...rest];
}

/** Joins the fields of two objects. Fields that only one of them knows are accepted, as zod's intersections do. */
function foldObject({ objects }: Folded, json: TypeForm, root: TypeForm): void {
  const { properties, required, additionalProperties: rest, propertyNames } = json;
  for (const [name, field] of isObject(properties) ? Object.entries(properties) : []) {
    objects.fields.set(name, [...(objects.fields.get(name) ?? []), { json: field, root }]);
  }
  for (const name of Array.isArray(required) ? required : []) objects.required.add(String(name));
  if (propertyNames !== undefined) objects.names = [...objects.names, { json: propertyNames, root }];
  if (rest === false) objects.rest = objects.rest === "dropped" ? "refused" : objects.rest;
  else if (rest !== undefined) {
    const own: Type = [{ json: rest, root }];
    objects.rest = typeof objects.rest === "string" ? own : [...objects.rest, ...own];
  }
}

/** Takes the mark of a part. Two parts with different types of values fit no value in common that is known here. */
function foldMark(into: Folded, mark: SchemaMark, json: TypeForm, root: TypeForm): boolean {
  if (!isObject(mark)) return false;
  const { checks, type, ...rest } = mark as SchemaMark;
  if (Array.isArray(checks)) into.checks.push(...checks.map(String));
  if (type === undefined) return true;
  if (type === "opaque")
    into.checks.push(unread(writeCanonical({ ...json, root: JSON.stringify(json).includes("$ref") && root })));
  if (into.mark !== undefined && writeCanonical(into.mark) !== writeCanonical({ type, ...rest })) return false;
  into.mark = { type, ...rest };
  return true;
}

function joinTypes(types: readonly string[] | undefined, others: readonly string[]): readonly string[] {
  if (types === undefined) return others;
  return types.flatMap((type) => {
    if (others.includes(type)) return [type];
    if (type === "number" && others.includes("integer")) return ["integer"];
    return type === "integer" && others.includes("number") ? [type] : [];
  });
}

export const mapValues = (values: readonly unknown[]): ReadonlyMap<string, unknown> =>
  new Map(values.map((value) => [writeCanonical(value), value]));

const joinValues = (own: Folded["values"], others: ReadonlyMap<string, unknown>): ReadonlyMap<string, unknown> =>
  own === undefined ? others : new Map([...own].filter(([text]) => others.has(text)));

/** Copies what folding changes. */
export const copyFolded = ({ numbers, strings, lists, objects, checks, ...rest }: Folded): Folded => ({
  ...rest,
  numbers: { ...numbers, multiples: [...numbers.multiples] },
  strings: { ...strings, patterns: [...strings.patterns], formats: [...strings.formats] },
  lists: { ...lists, first: [...lists.first] },
  objects: { ...objects, fields: new Map(objects.fields), required: new Set(objects.required) },
  checks: [...checks],
});

/** True when no keyword refuses a member of an enum. Members are mostly texts and numbers. */
export function fitsKeywords({ types, numbers, strings }: Folded, value: unknown): boolean {
  if (types !== undefined && !types.some((type) => isOfType(value, type))) return false;
  if (typeof value === "number") {
    const { min, max, isMinOpen, isMaxOpen } = numbers;
    return (isMinOpen ? value > min : value >= min) && (isMaxOpen ? value < max : value <= max);
  }
  return typeof value !== "string" || (value.length >= strings.minLength && value.length <= strings.maxLength);
}

function isOfType(value: unknown, type: string): boolean {
  if (type === "integer") return Number.isInteger(value);
  if (type === "null") return value === null;
  if (type === "array") return Array.isArray(value);
  if (type === "object") return isObject(value);
  return typeof value === type;
}
