// Which keywords of JSON Schema (draft 2020-12, and what older drafts had in their place) hold schemas. Whoever changes all
// schemas of a document asks here, so that an example or a default which only looks like one stays as it is.

/** Keywords whose value is a schema. */
const schemaKeywords = new Set([
  ...["items", "additionalItems", "contains", "additionalProperties", "propertyNames", "not", "if", "then", "else"],
  ...["unevaluatedItems", "unevaluatedProperties", "contentSchema"],
]);
/** Those whose value is a list of schemas. */
const listKeywords = new Set(["anyOf", "oneOf", "allOf", "prefixItems", "items"]);
/** Those whose value is an object of schemas. */
const mapKeywords = new Set(["properties", "patternProperties", "dependentSchemas", "$defs", "definitions"]);

/** The value of a keyword, with each schema in it changed; what is no schema stays. */
export function mapSchemas(keyword: string, value: unknown, change: (schema: unknown) => unknown): unknown {
  if (listKeywords.has(keyword) && Array.isArray(value)) return value.map(change);
  if (mapKeywords.has(keyword) && isObject(value)) {
    return Object.fromEntries(Object.entries(value).map(([key, schema]) => [key, change(schema)]));
  }
  // `true` and `false` are schemas, and as lawful here.
  return schemaKeywords.has(keyword) && isObject(value) ? change(value) : value;
}

/** Whether a keyword of a schema refers to another one. A property may be called the same: then its value is no text. */
export const isReferenceKeyword = (keyword: string, value: unknown): value is string =>
  (keyword === "$ref" || keyword === "$dynamicRef" || keyword === "$recursiveRef") && typeof value === "string";

/** Whether a value is an object, as all schemas but `true` and `false` are. */
export function isObject(value: unknown): value is { [keyword: string]: unknown } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
