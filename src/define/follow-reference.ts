import type { JsonSchema } from "./schema.js";

/**
 * Resolves a `$ref` such as `"#/$defs/node"` in a JSON Schema (RFC 6901).
 *
 * @returns `undefined` when the target does not exist or is in another document.
 */
export function followReference(reference: string, root: JsonSchema): unknown {
  const [before, ...steps] = reference.split("/");
  if (before !== "#") return undefined;
  return steps.reduce<unknown>((at, step) => {
    const key = step.replaceAll("~1", "/").replaceAll("~0", "~");
    return typeof at === "object" && at !== null && Object.hasOwn(at, key) ? (at as JsonSchema)[key] : undefined;
  }, root);
}
