import {
  type Alternative,
  alternativesOf,
  type FieldsAlternative,
  type NumberAlternative,
  type StringAlternative,
} from "./alternatives.js";
import type { Type } from "./fold-type.js";

// Types and values in a few words, for one line of a report.

/** Longest text of a type or a value. */
const maxLength = 90;
/** Most members of a union or fields of an object that are named. */
const maxNamed = 6;

/** Formats a type: `"small" | "large"`, `integer from 1 to 10`, `list of string`. */
export const formatType = (type: Type): string => formatAlternatives(alternativesOf(type));

/** Formats the members of a union; `"nothing"` for none. */
export function formatAlternatives(all: readonly Alternative[], depth = 0): string {
  const texts = all.flatMap((own) => formatAlternative(own, depth));
  const shown = texts.length > maxNamed ? [...texts.slice(0, maxNamed), `${texts.length - maxNamed} more`] : texts;
  return cut(shown.length === 0 ? "no value" : shown.join(" | "));
}

const cut = (text: string, length = maxLength): string =>
  text.length > length ? `${text.slice(0, length - 1)}…` : text;

function formatAlternative(own: Alternative, depth: number): string[] {
  const inner = (type: Type) => (depth > 1 ? "…" : formatAlternatives(alternativesOf(type), depth + 1));
  const isChecked = own.checks.length > 0 && own.kind !== "opaque";
  const checked = isChecked ? ` checked by ${cut(own.checks.join(", "), 40)}` : "";
  switch (own.kind) {
    case "values":
      return formatValues([...own.values.keys()]);
    case "number":
      return [formatNumber(own) + checked];
    case "string":
      return [formatString(own) + checked];
    case "list": {
      if (own.first.length > 0) return [`[${own.first.map(inner).join(", ")}]${checked}`];
      const bounds = formatBounds(own.minItems, own.maxItems);
      return [`list of ${inner(own.rest)}${bounds === "" ? "" : `, ${bounds} items`}${checked}`];
    }
    case "fields":
      return [formatFields(own, inner) + checked];
    case "tensor":
      return [`tensor ${own.dtype}[${own.shape.join(", ")}]${own.onlyFinite ? ", finite" : ""}${checked}`];
    case "file": {
      const types = own.contentTypes.length === 0 ? "" : ` of ${own.contentTypes.join(" or ")}`;
      return [`file${types}${Number.isFinite(own.maxBytes) ? `, at most ${own.maxBytes} bytes` : ""}${checked}`];
    }
    case "map":
      return [`map of ${inner(own.keys)} to ${inner(own.values)}${checked}`];
    case "set":
      return [`set of ${inner(own.item)}${checked}`];
    case "nothing":
      return ["undefined"];
    case "opaque":
      return [`a type that only its library knows (${cut(own.text, 40)})`];
    default:
      return [own.kind + checked];
  }
}

function formatValues(texts: readonly string[]): string[] {
  const isBoolean = texts.includes("true") && texts.includes("false");
  return isBoolean ? ["boolean", ...texts.filter((text) => text !== "true" && text !== "false")] : [...texts];
}

const formatBounds = (min: number, max: number): string => {
  if (min === max) return `exactly ${min}`;
  if (max === Number.POSITIVE_INFINITY) return min === 0 ? "" : `at least ${min}`;
  return min === 0 ? `at most ${max}` : `${min} to ${max}`;
};

function formatNumber({ isInteger, min, max, isMinOpen, isMaxOpen, multiples }: NumberAlternative): string {
  const isSafe = (bound: number) => !Number.isFinite(bound) || Math.abs(bound) >= Number.MAX_SAFE_INTEGER;
  const bounds = [
    ...(isSafe(min) ? [] : [`${isMinOpen ? ">" : ">="} ${min}`]),
    ...(isSafe(max) ? [] : [`${isMaxOpen ? "<" : "<="} ${max}`]),
    ...multiples.map((step) => `multiple of ${step}`),
  ];
  return [
    isInteger ? "integer" : "number",
    ...bounds.slice(0, 1),
    ...bounds.slice(1).map((bound) => `and ${bound}`),
  ].join(" ");
}

function formatString({ minLength, maxLength, patterns, formats }: StringAlternative): string {
  const length = formatBounds(minLength, maxLength);
  const texts = formats.length > 0 ? formats : patterns.map((pattern) => `matching /${pattern}/`);
  return cut(["string", ...texts.slice(0, 2), ...(length === "" ? [] : [`of ${length} characters`])].join(" "));
}

function formatFields({ fields, required, rest }: FieldsAlternative, inner: (type: Type) => string): string {
  const names = [...fields.keys()].map((name) => (required.has(name) ? name : `${name}?`));
  if (names.length === 0 && typeof rest !== "string") return `record of ${inner(rest)}`;
  const shown = names.length > maxNamed ? [...names.slice(0, maxNamed), "…"] : names;
  return `{ ${shown.join(", ")} }`;
}

/** Formats an example of a value. */
export function formatExample(value: unknown): string {
  const text = JSON.stringify(value, (_, part: unknown) => {
    if (typeof part === "bigint") return `${part}n`;
    if (part instanceof Map) return { Map: [...part] };
    if (part instanceof Set) return { Set: [...part] };
    if (part instanceof Blob) return `file of ${part.type || "no type"}, ${part.size} bytes`;
    if (part instanceof Uint8Array) return `${part.length} bytes`;
    if (part === undefined) return "undefined";
    return isTensorLike(part) ? `tensor ${part.dtype}[${part.shape.join(", ")}]` : part;
  });
  return cut(text ?? "undefined", 160);
}

const isTensorLike = (value: unknown): value is { dtype: string; shape: readonly number[] } =>
  typeof value === "object" && value !== null && "dtype" in value && "shape" in value && "data" in value;
