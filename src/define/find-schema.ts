import { isSchema, type Schema } from "./schema.js";

/** A schema inside another one. */
export interface InnerSchema {
  readonly schema: Schema;
  /** Path of fields to it: `"photos[].scan"`; `""` without any. */
  readonly path: string;
}

/** Most nodes that are visited. Definitions are small; the rest of a larger one is not searched. */
const maxVisited = 5_000;

/** Keys under which zod and valibot store the fields of an object by name. */
const fieldHolders = new Set(["shape", "entries"]);
/** Keys under which they store the schema of an item. */
const itemHolders = new Set(["element", "item", "items", "valueType", "rest"]);

/**
 * Finds the first schema inside `root`, or `root` itself, that `matches`.
 *
 * Reads the definitions of zod and valibot. Lazy schemas are not followed. Only the input side of a pipe is searched.
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

/**
 * Returns the definition: `_zod.def` of zod. A valibot schema is its own definition; a pipe has the fields of its first
 * part.
 */
function definitionOf(schema: Schema): object {
  const { "~standard": _, _zod, pipe: __, ...own } = schema as Schema & { _zod?: { def?: object }; pipe?: unknown };
  return _zod?.def ?? own;
}

function stepInto(path: string, holder: string, key: string): string {
  if (fieldHolders.has(holder)) return path === "" ? key : `${path}.${key}`;
  return itemHolders.has(key) ? `${path}[]` : path;
}

/** Reads a key. Definitions have getters, for shapes that refer to themselves, and a getter may throw. */
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
