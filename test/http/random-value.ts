import type { Random } from "./random.js";

type JsonSchema = { readonly [keyword: string]: any };

/** Creates a value that fits a JSON Schema of an OpenAPI document; good enough for the schemas of `FuzzService`. */
export function createValue(random: Random, schema: JsonSchema, document: JsonSchema, depth = 0): unknown {
  if (schema["$ref"] !== undefined) return createValue(random, follow(schema["$ref"], document), document, depth + 1);
  if (schema["const"] !== undefined) return schema["const"];
  if (schema["enum"] !== undefined) return random.pick(schema["enum"]);
  const branches = schema["anyOf"] ?? schema["oneOf"];
  if (branches !== undefined) {
    // A tensor in base64 has a length that its schema can't express.
    const fitting = branches.filter((branch: JsonSchema) => branch["properties"]?.["data"] === undefined);
    return createValue(random, depth > 4 ? fitting.at(-1) : random.pick(fitting), document, depth + 1);
  }
  switch (schema["type"]) {
    case "string":
      return createText(random, schema);
    case "integer":
      return random.between(Math.max(schema["minimum"] ?? -100, -1e6), Math.min(schema["maximum"] ?? 100, 1e6));
    case "number":
      return (random.next() - 0.5) * 10 ** random.between(-3, 6);
    case "boolean":
      return random.chance(0.5);
    case "null":
      return null;
    case "array": {
      const length = random.between(schema["minItems"] ?? 0, schema["maxItems"] ?? (depth > 3 ? 0 : 4));
      return Array.from({ length }, () => createValue(random, schema["items"] ?? {}, document, depth + 1));
    }
    case "object":
      return createObject(random, schema, document, depth);
    default:
      return createAnything(random, depth);
  }
}

function follow(reference: string, document: JsonSchema): JsonSchema {
  const steps = reference.split("/").slice(1);
  return steps.reduce<any>((at, step) => at[step.replaceAll("~1", "/").replaceAll("~0", "~")], document);
}

function createText(random: Random, schema: JsonSchema): string {
  if (schema["contentEncoding"] === "base64") return random.bytes(random.between(0, 12)).toString("base64");
  const least = schema["minLength"] ?? 0;
  return random.text(random.between(least, Math.min(schema["maxLength"] ?? 20, 40)));
}

function createObject(random: Random, schema: JsonSchema, document: JsonSchema, depth: number): object {
  const required: readonly string[] = schema["required"] ?? [];
  const fields = Object.entries((schema["properties"] ?? {}) as Record<string, JsonSchema>).filter(
    ([name]) => required.includes(name) || random.chance(0.7),
  );
  return Object.fromEntries(fields.map(([name, field]) => [name, createValue(random, field, document, depth + 1)]));
}

/** Creates any JSON value, more often small than large. */
export function createAnything(random: Random, depth = 0): unknown {
  const kind = random.between(0, depth > 3 ? 5 : 7);
  if (kind === 0) return null;
  if (kind === 1) return random.chance(0.5);
  if (kind === 2) return random.between(-1e9, 1e9);
  if (kind === 3) return random.next() * 10 ** random.between(-300, 300);
  if (kind <= 5) return random.text(random.between(0, 12));
  const items = Array.from({ length: random.between(0, 4) }, () => createAnything(random, depth + 1));
  if (kind === 6) return items;
  return Object.fromEntries(items.map((item) => [random.text(3), item]));
}
