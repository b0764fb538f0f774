import { isSchema, type Schema } from "./schema.js";

/** A schema that stands inside another. */
export interface InnerSchema {
  readonly schema: Schema;
  /** Fields that lead to it: `"photos[].scan"`; `""` where no field does. */
  readonly path: string;
}

/** Definitions are small; of one that is larger than this the rest is not searched. */
const maxVisited = 5_000;

/** Keys under which zod and valibot keep an object's fields by name. */
const fieldHolders = new Set(["shape", "entries"]);
/** Keys under which they keep the schema of an item. */
const itemHolders = new Set(["element", "item", "items", "valueType", "rest"]);

/**
 * The first schema inside `root` that `matches`, itself included.
 *
 * Reads what zod and valibot keep of a definition. A schema that is made lazily is not followed, and of a pipe only the side
 * that a caller sends to.
 */
export function findSchema(root: Schema, matches: (schema: Schema) => boolean): InnerSchema | undefined {
  const visited = new Set<unknown>();
  return visit(root, "", "");

  function visit(node: unknown, path: string, holder: string): InnerSchema | undefined {
    if (typeof node !== "object" || node === null || visited.has(node) || visited.size > maxVisited) return undefined;
    visited.add(node);
    if (isSchema(node)) {
      if (matches(node)) return { schema: node, path };
      return visit(definitionOf(node), path, "");
    }
    if (!isPlain(node)) return undefined;
    for (const key of Object.keys(node)) {
      if (key === "out" && "in" in node) continue;
      const found = visit(readKey(node, key), stepInto(path, holder, key), Array.isArray(node) ? holder : key);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

/** zod keeps the definition below `_zod.def`; valibot on the schema itself, which of a pipe has the fields of its first part. */
function definitionOf(schema: Schema): object {
  const { "~standard": _, _zod, pipe: __, ...own } = schema as Schema & { _zod?: { def?: object }; pipe?: unknown };
  return _zod?.def ?? own;
}

function stepInto(path: string, holder: string, key: string): string {
  if (fieldHolders.has(holder)) return path === "" ? key : `${path}.${key}`;
  return itemHolders.has(key) ? `${path}[]` : path;
}

/** A definition has getters, for shapes that refer to themselves. */
function readKey(node: object, key: string): unknown {
  try {
    return (node as Record<string, unknown>)[key];
  } catch {
    return undefined;
  }
}

function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null || Array.isArray(value);
}
