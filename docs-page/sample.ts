import type { Media } from "./documented-api.js";
import { bound, branchesOf, resolve, type Schema, tensorOf } from "./schema.js";

const sampleTexts: Readonly<Record<string, string>> = {
  email: "name@example.com",
  uri: "https://example.com",
  url: "https://example.com",
  date: "2025-01-31",
  time: "12:00:00Z",
  "date-time": "2025-01-31T12:00:00Z",
  uuid: "123e4567-e89b-42d3-a456-426614174000",
  ipv4: "192.0.2.1",
};

/** Nesting from which `null` stands for a value: schemas may contain themselves. */
const maxDepth = 6;
const maxSampleItems = 32;

/** Makes a first value that fits a schema. */
export function sample(given: Schema | undefined, depth = 0): unknown {
  const schema = resolve(given);
  if (depth > maxDepth) return null;
  const tensor = tensorOf(schema);
  if (tensor) return sampleTensor(tensor);
  const known = schema.const ?? schema.default ?? schema.examples?.[0] ?? schema.enum?.[0];
  if (known !== undefined) return known;
  const branches = branchesOf(schema);
  if (branches) return sample(branches.find((branch) => branch.type !== "null") ?? branches[0], depth + 1);
  const type = [schema.type ?? (schema.properties ? "object" : "null")].flat()[0];
  if (type === "integer" || type === "number") return sampleNumber(schema);
  if (type === "boolean") return true;
  if (type === "array") {
    if (schema.prefixItems) return schema.prefixItems.map((item) => sample(item, depth + 1));
    const length = Math.min(schema.minItems ?? 1, maxSampleItems);
    return Array.from({ length }, () => sample(schema.items, depth + 1));
  }
  if (type === "object") {
    const names = schema.required ?? Object.keys(schema.properties ?? {});
    return Object.fromEntries(names.map((name) => [name, sample(schema.properties?.[name], depth + 1)]));
  }
  return type === "string" ? sampleText(schema) : null;
}

function sampleNumber({ minimum, maximum, exclusiveMinimum }: Schema): number {
  const over = bound(exclusiveMinimum);
  return bound(minimum) ?? (over === undefined ? undefined : over + 1) ?? Math.min(1, bound(maximum) ?? 1);
}

function sampleText({ contentEncoding, format, minLength = 0, maxLength }: Schema): string {
  if (contentEncoding) return "";
  return (sampleTexts[format ?? ""] ?? "some text").padEnd(minLength, ".").slice(0, maxLength);
}

/** Elements up to which a tensor is written as nested lists. */
const maxListedElements = 256;
/** Bytes up to which a tensor is written in base64: a person may still send that by hand. */
const maxBase64Bytes = 4096;

/** Makes a tensor of zeros, as nested lists or in base64. */
function sampleTensor(title: string): unknown {
  const dtype = title.slice(0, title.indexOf("["));
  const dims = title.slice(title.indexOf("[") + 1, -1).split(",");
  const shape = dims.filter((dim) => dim.trim() !== "").map((dim) => Number(dim) || 2);
  const count = shape.reduce((all, dim) => all * dim, 1);
  const zero = dtype.startsWith("bool") ? false : 0;
  if (count <= maxListedElements) {
    return shape.reduceRight<unknown>((item, dim) => Array.from({ length: dim }, () => item), zero);
  }
  const bytes = (count * (Number(/\d+/.exec(dtype)?.[0]) || 8)) / 8;
  return { dtype, shape, data: bytes <= maxBase64Bytes ? btoa("\0".repeat(bytes)) : "" };
}

/** An example of an input: its name and its value. */
export type Example = readonly [name: string, value: unknown];

/** Lists the examples that an author gave for an input. */
export function examplesOf(media: Media | undefined): readonly Example[] {
  const named = Object.entries(media?.examples ?? {}).map(([name, given]): Example => {
    const example = resolve<{ readonly summary?: string; readonly value?: unknown }>(given);
    return [example.summary ?? name, example.value];
  });
  if (named.length > 0) return named;
  if (media?.example !== undefined) return [["example", media.example]];
  const listed = resolve(media?.schema).examples;
  return Array.isArray(listed) ? listed.map((value, i): Example => [`example ${i + 1}`, value]) : [];
}

/** Returns the first example of an input, or a value made from its schema. */
export function firstValue(media: Media): unknown {
  const [first] = examplesOf(media);
  return first === undefined ? sample(media.schema) : first[1];
}
