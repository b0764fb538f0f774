import { bound, branchesOf, isFile, isObject, resolve, type Schema, tensorOf } from "./schema.js";

/** Nesting from which a type is abbreviated: schemas may contain themselves. */
const maxDepth = 5;

/** Writes a schema as a type, in the syntax of TypeScript. */
export function typeWords(given: Schema | undefined, depth = 0): string {
  const schema = resolve(given);
  if (depth > maxDepth) return "…";
  const special = tensorOf(schema) ?? (isFile(schema) ? "file" : undefined);
  if (special !== undefined) return special;
  if ("const" in schema) return JSON.stringify(schema.const);
  if (Array.isArray(schema.enum)) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const branches = branchesOf(schema);
  if (branches) return [...new Set(branches.map((branch) => typeWords(branch, depth + 1)))].join(" | ");
  const types = [schema.type ?? (schema.properties ? "object" : [])].flat();
  if (types.length === 0) return "any";
  return types.map((type) => plainWords(type, schema, depth)).join(" | ");
}

function plainWords(type: string, schema: Schema, depth: number): string {
  if (type === "object") {
    const rest = schema.additionalProperties;
    const isMap = isObject(rest) && Object.keys(schema.properties ?? {}).length === 0;
    return isMap ? `{ [key]: ${typeWords(rest, depth + 1)} }` : "object";
  }
  if (type !== "array") return type;
  if (Array.isArray(schema.prefixItems)) {
    return `[${schema.prefixItems.map((item) => typeWords(item, depth + 1)).join(", ")}]`;
  }
  const item = schema.items === undefined ? "any" : typeWords(schema.items, depth + 1);
  return item.includes(" | ") ? `(${item})[]` : `${item}[]`;
}

/** Writes "1 item", "2 items". */
export const plural = (count: number, word: string): string => `${count} ${word}${count === 1 ? "" : "s"}`;

function range(low: number | undefined, high: number | undefined, unit?: string): string | undefined {
  const words = (count: number) => (unit === undefined ? String(count) : plural(count, unit));
  if (low !== undefined && low === high) return `exactly ${words(low)}`;
  if (low === undefined || (low === 0 && unit !== undefined)) {
    if (high === undefined) return undefined;
    return unit ? `at most ${words(high)}` : `≤ ${high}`;
  }
  if (high === undefined) return unit ? `at least ${words(low)}` : `≥ ${low}`;
  return `${low} to ${words(high)}`;
}

/** Lists the constraints of a schema besides its type, each a few words. */
export function notesOf(schema: Schema): readonly string[] {
  if (isFile(schema)) {
    const type = schema.properties?.["contentType"]?.description ?? schema.contentMediaType;
    return type === undefined ? [] : [type];
  }
  if (tensorOf(schema)) return [];
  const notes = ownNotes(schema);
  if (schema.type !== "array" || schema.items === undefined) return notes;
  const each = notesOf(resolve(schema.items)).join(", ");
  return each === "" ? notes : [...notes, `each ${each}`];
}

function ownNotes(schema: Schema): readonly string[] {
  const { exclusiveMinimum: over, exclusiveMaximum: under, pattern, examples } = schema;
  return [
    schema.format,
    schema.contentEncoding,
    range(bound(schema.minimum), bound(schema.maximum)),
    bound(over) === undefined ? undefined : `> ${over}`,
    bound(under) === undefined ? undefined : `< ${under}`,
    schema.multipleOf === undefined ? undefined : `multiple of ${schema.multipleOf}`,
    range(schema.minLength, schema.maxLength, "character"),
    schema.prefixItems ? undefined : range(schema.minItems, schema.maxItems, "item"),
    schema.uniqueItems ? "no two alike" : undefined,
    pattern !== undefined && schema.format === undefined ? `matches ${pattern}` : undefined,
    "default" in schema ? `default ${JSON.stringify(schema.default)}` : undefined,
    Array.isArray(examples) && examples.length > 0 ? `e.g. ${JSON.stringify(examples[0])}` : undefined,
    schema.deprecated ? "deprecated" : undefined,
  ].filter((note) => note !== undefined);
}
