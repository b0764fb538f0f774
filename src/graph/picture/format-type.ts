import { followReference } from "../../define/follow-reference.js";
import type { JsonSchema } from "../../define/schema.js";

/** Members of a union or an enum beyond this many are left out. */
const maxMembers = 4;

/**
 * A JSON Schema as a few words for people, e.g. `float32[n]`, `string[]`, `{ rawInput }`, `file`, `"a" | "b"`.
 *
 * Objects show the names of their fields alone. What can't be said is `any`.
 *
 * @param maxLength Characters; what is longer ends in `…`, with a bracket that was opened closed again.
 */
export function formatType(schema: JsonSchema, maxLength = 60): string {
  return shorten(typeWords(schema, schema, 0), maxLength);
}

/** How deep a `$ref` or a list of lists is followed; deeper is certainly recursive. */
const maxDepth = 4;

function typeWords(schema: JsonSchema, root: JsonSchema, depth: number): string {
  if (typeof schema !== "object" || schema === null || depth > maxDepth) return "any";
  const title = titleWords(schema);
  if (title !== undefined) return title;
  if (typeof schema["$ref"] === "string") return referenceWords(schema["$ref"], root, depth);
  if ("const" in schema) return JSON.stringify(schema["const"]);
  if (Array.isArray(schema["enum"])) return joinMembers(schema["enum"].map((value) => JSON.stringify(value)));
  const members = schema["anyOf"] ?? schema["oneOf"];
  if (Array.isArray(members)) return joinMembers(members.map((member) => typeWords(member, root, depth + 1)));
  if (Array.isArray(schema["allOf"])) {
    return schema["allOf"].map((part) => typeWords(part, root, depth + 1)).join(" & ");
  }
  const types = [schema["type"]].flat().filter((type) => typeof type === "string");
  if (types.length === 0) return "properties" in schema ? objectWords(schema, root, depth) : "any";
  return joinMembers(types.map((type) => plainWords(type, schema, root, depth)));
}

/** A tensor's own title says dtype and shape; that of a file says what it is. Other titles name, they do not describe. */
function titleWords(schema: JsonSchema): string | undefined {
  const { title } = schema;
  if (typeof title !== "string") return undefined;
  return title === "file" || /^(float|int|uint)\d+\[.*\]$/.test(title) ? title : undefined;
}

function referenceWords(reference: string, root: JsonSchema, depth: number): string {
  const target = followReference(reference, root) as JsonSchema | undefined;
  return target === undefined ? "any" : typeWords(target, root, depth + 1);
}

function plainWords(type: string, schema: JsonSchema, root: JsonSchema, depth: number): string {
  if (type === "object") return objectWords(schema, root, depth);
  if (type === "array") return listWords(schema, root, depth);
  return type;
}

function objectWords(schema: JsonSchema, root: JsonSchema, depth: number): string {
  const required = new Set(Array.isArray(schema["required"]) ? schema["required"] : []);
  const names = Object.keys((schema["properties"] ?? {}) as object);
  if (names.length > 0) return `{ ${names.map((name) => (required.has(name) ? name : `${name}?`)).join(", ")} }`;
  const rest = schema["additionalProperties"];
  if (typeof rest === "object" && rest !== null) return `{ [key]: ${typeWords(rest as JsonSchema, root, depth + 1)} }`;
  return rest === false ? "{}" : "object";
}

function listWords(schema: JsonSchema, root: JsonSchema, depth: number): string {
  const { prefixItems, items } = schema;
  if (Array.isArray(prefixItems)) {
    return `[${prefixItems.map((item) => typeWords(item, root, depth + 1)).join(", ")}]`;
  }
  if (typeof items !== "object" || items === null) return "any[]";
  const item = typeWords(items as JsonSchema, root, depth + 1);
  return item.includes(" | ") || item.includes(" & ") ? `(${item})[]` : `${item}[]`;
}

function joinMembers(members: readonly string[]): string {
  const distinct = [...new Set(members)];
  const shown = distinct.slice(0, maxMembers);
  return (distinct.length > maxMembers ? [...shown, "…"] : shown).join(" | ");
}

/** Cuts at the last whole field or member that fits, and closes what it opened. */
function shorten(words: string, maxLength: number): string {
  if (words.length <= maxLength) return words;
  const closing = /^\{ .*( \}(?:\[\])*)$/.exec(words)?.[1] ?? "";
  const room = words.slice(0, maxLength - 1 - closing.length);
  const cut = Math.max(room.lastIndexOf(", "), room.lastIndexOf(" | "));
  const kept = cut > 0 ? room.slice(0, words[cut] === "," ? cut + 2 : cut + 3) : room;
  return `${kept}…${closing}`;
}
