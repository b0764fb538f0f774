import { followReference } from "../define/follow-reference.js";
import { isObject } from "../define/json-forms.js";
import {
  acceptsNow,
  isReferenceKeyword,
  isSchema,
  isStreamSchema,
  type JsonSchema,
  mapSchemas,
  rebaseRefs,
  type Schema,
  type Shape,
} from "../define/schema.js";
import { markedSchemaOf, markKey, type SchemaMark } from "../define/schema-marks.js";

/**
 * A type: a JSON Schema (draft 2020-12) without annotations. The keyword `x-ekiben` says what JSON Schema has no words
 * for (see `SchemaMark`). Equal schemas of one library give equal forms, in whatever order their fields are written.
 */
export type TypeForm = JsonSchema;

type Side = "input" | "output";

/** Type of `undefined`. */
const nothing: TypeForm = { [markKey]: { type: "nothing" } };

/**
 * Returns the type of an input or an output. A stream has the type of its items.
 *
 * @param side The values that a caller sends (`input`) or receives (`output`).
 */
export function formOfShape(shape: Shape | undefined, side: Side): TypeForm {
  if (shape === undefined) return nothing;
  if (isStreamSchema(shape)) return formOfShape(shape.stream.item, side);
  if (isSchema(shape)) {
    const type = markedSchemaOf(shape, side);
    const isTold = isMayLack(type) || isNothing(type) || Object.keys(type).length === 0;
    if (isTold || !mayLack(shape, side)) return writeCanonically(type, side);
    return writeCanonically({ anyOf: [rebaseRefs(type, "#/anyOf/0"), nothing] }, side);
  }
  const fields = Object.entries(shape);
  const convert = ([name, schema]: readonly [string, Schema]) =>
    [name, rebaseRefs(markedSchemaOf(schema, side), `#/properties/${escapeStep(name)}`)] as const;
  const properties = Object.fromEntries(fields.map(convert));
  const required = fields.filter(([, schema]) => !mayLack(schema, side)).map(([name]) => name);
  return writeCanonically({ type: "object", properties, required }, side);
}

const escapeStep = (name: string): string => name.replaceAll("~", "~0").replaceAll("/", "~1");

const markOf = (type: unknown): SchemaMark | undefined =>
  isObject(type) && isObject(type[markKey]) ? (type[markKey] as SchemaMark) : undefined;
const isMayLack = (type: TypeForm): boolean => markOf(type)?.optional === true;
const isNothing = (type: TypeForm): boolean => markOf(type)?.type === "nothing";

/** True when a caller may leave the value out, or may receive none. */
function mayLack(schema: Schema, side: Side): boolean {
  if (!acceptsNow(schema, undefined)) return false;
  if (side === "input") return true;
  const result = schema["~standard"].validate(undefined) as { readonly value?: unknown };
  return result.value === undefined;
}

/**
 * Keywords that say which values are accepted. Everything else is for people, or metadata of the author's: it is left
 * out.
 */
const assertions = new Set([
  ...[markKey, "type", "enum", "not", "anyOf", "oneOf", "allOf", "if", "then", "else"],
  ...["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"],
  ...["minLength", "maxLength", "pattern", "format", "contentEncoding", "contentMediaType"],
  ...["items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains", "minContains", "maxContains"],
  ...["properties", "required", "additionalProperties", "patternProperties", "propertyNames"],
  ...["minProperties", "maxProperties", "dependentRequired", "dependentSchemas"],
  ...["unevaluatedItems", "unevaluatedProperties"],
]);

/** Keywords whose value is a set: their order has no meaning. */
const sets = new Set(["type", "enum", "required", "anyOf", "oneOf", "allOf"]);

/** Writes a JSON Schema in its one form: without annotations, in one order, with short names for its parts. */
function writeCanonically(root: JsonSchema, side: Side): TypeForm {
  return new CanonicalWriter(root, side).write();
}

class CanonicalWriter {
  readonly #root: JsonSchema;
  /** True for values that a caller receives: it does not look at fields that it does not know. */
  readonly #isOutput: boolean;
  /** Names of the parts that something refers to. */
  readonly #names = new Map<unknown, string>();
  readonly #parts: unknown[] = [];

  constructor(root: JsonSchema, side: Side) {
    this.#root = root;
    this.#isOutput = side === "output";
  }

  write(): TypeForm {
    const type = this.#copy(this.#root, false);
    if (this.#parts.length === 0) return type;
    // Parts may name further ones, which are added to the list meanwhile.
    const defs: Record<string, TypeForm> = {};
    for (let i = 0; i < this.#parts.length; i++) defs[`t${i}`] = this.#copy(this.#parts[i], false);
    return { ...type, $defs: defs };
  }

  /** @param isField True for a field of an object, whose `required` says that it may be absent. */
  #copy(part: unknown, isField: boolean): TypeForm {
    if (!isObject(part)) return part === false ? { not: {} } : {};
    const copy: TypeForm = {};
    for (const keyword of Object.keys(part).sort()) {
      const value = part[keyword];
      if (isReferenceKeyword(keyword, value)) {
        const reference = this.#refer(value);
        if (reference !== undefined) copy["$ref"] = reference;
      } else if (keyword === "const") {
        copy["enum"] = [value];
      } else if (assertions.has(keyword)) {
        const written = this.#writeValue(keyword, value);
        if (!isEmpty(keyword, written)) copy[keyword] = written;
      }
    }
    // The values tell their types.
    if (copy["enum"] !== undefined) delete copy["type"];
    if (this.#isOutput && copy["additionalProperties"] === false) delete copy["additionalProperties"];
    return finishPart(copy, isField);
  }

  #writeValue(keyword: string, value: unknown): unknown {
    if (keyword === markKey) return isObject(value) ? sortFields(value) : undefined;
    if (keyword === "properties" && isObject(value)) {
      const fields = Object.entries(value).sort(byName);
      return Object.fromEntries(fields.map(([name, inner]) => [name, this.#copy(inner, true)]));
    }
    const written = mapSchemas(keyword, value, (inner) => this.#copy(inner, false));
    return sets.has(keyword) && Array.isArray(written) ? sortSet(written) : written;
  }

  /** Names the target of a reference. @returns `undefined` for a target that does not exist: it accepts anything. */
  #refer(reference: string): string | undefined {
    if (reference === "#") return "#";
    const target = followReference(decode(reference), this.#root);
    if (!isObject(target)) return undefined;
    const known = this.#names.get(target);
    if (known !== undefined) return known;
    const name = `#/$defs/t${this.#parts.push(target) - 1}`;
    this.#names.set(target, name);
    return name;
  }
}

/** Decodes a JSON pointer in a URI, which may be percent-encoded. */
function decode(reference: string): string {
  try {
    return decodeURIComponent(reference);
  } catch {
    return reference;
  }
}

const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number => (a < b ? -1 : 1);
const sortFields = (value: JsonSchema): JsonSchema => Object.fromEntries(Object.entries(value).sort(byName));

function sortSet(values: readonly unknown[]): unknown[] {
  const byText = new Map(values.map((value) => [writeCanonical(value), value]));
  return [...byText].sort(byName).map(([, value]) => value);
}

/** True for a keyword that accepts everything, as if it were absent. */
function isEmpty(keyword: string, value: unknown): boolean {
  if (value === undefined) return true;
  // Fields of any name, in an input, are kept and seen; without the keyword they are dropped.
  if (keyword === "items" || keyword === "propertyNames") {
    return value === true || (isObject(value) && Object.keys(value).length === 0);
  }
  if (keyword === "required") return Array.isArray(value) && value.length === 0;
  if (keyword === "properties") return isObject(value) && Object.keys(value).length === 0;
  return value === 0 && ["minLength", "minItems", "minProperties"].includes(keyword);
}

/** Turns `undefined` as a value into a member of a union, where a field may not just be absent. */
function finishPart(type: TypeForm, isField: boolean): TypeForm {
  const { optional, ...own } = markOf(type) ?? {};
  if (optional !== true) return type;
  const { [markKey]: _, ...rest } = type;
  const plain: TypeForm = Object.keys(own).length === 0 ? rest : { ...rest, [markKey]: own };
  if (isField || isNothing(plain) || Object.keys(plain).length === 0) return plain;
  return { anyOf: sortSet([plain, nothing]) };
}

/** Returns a type without the marks, for documents: each mark becomes a title. */
export function withoutMarks(type: TypeForm): JsonSchema {
  const strip = (part: unknown): unknown => {
    if (!isObject(part)) return part;
    const title = markOf(part)?.type;
    const fields = Object.entries(part).flatMap(([keyword, value]): [string, unknown][] =>
      keyword === markKey ? [] : [[keyword, mapSchemas(keyword, value, strip)]],
    );
    return Object.fromEntries(title === undefined ? fields : [["title", title], ...fields]);
  };
  return strip(type) as JsonSchema;
}

/** Writes JSON with the fields of each object in order of their names. */
export function writeCanonical(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  if (Array.isArray(value)) return `[${value.map(writeCanonical).join(",")}]`;
  const fields = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return `{${fields
    .sort(byName)
    .map(([key, inner]) => `${JSON.stringify(key)}:${writeCanonical(inner)}`)
    .join(",")}}`;
}
