import { followReference } from "../../define/follow-reference.js";
import { isObject } from "../../define/json-forms.js";
import { isReferenceKeyword, type JsonSchema, mapSchemas } from "../../define/schema.js";

/** Schemas of a document by name, each below `#/components/schemas/`. */
export type NamedSchemas = Record<string, JsonSchema>;

const componentsPointer = "#/components/schemas/";

/**
 * Keywords that are dropped: definitions get their own places in the document, and an id would change the base of
 * references.
 */
const droppedKeywords = new Set([
  "$defs",
  "definitions",
  "$id",
  "$schema",
  "$anchor",
  "$dynamicAnchor",
  "$recursiveAnchor",
]);

/**
 * Places the schemas of apis in a larger document.
 *
 * A JSON Schema may refer to its own parts: `#`, `#/$defs/node`, `#/properties/left`. Each such part gets its own
 * name, so that no reference leads through another one: that is valid, but most tools can't follow it. A reference to
 * nothing becomes a schema that accepts anything.
 */
export class SchemaPlaces {
  readonly named: NamedSchemas;
  /** Names of the parts, by content. */
  readonly #nameOf = new Map<string, string>();

  constructor(named: NamedSchemas) {
    this.named = named;
  }

  /**
   * Returns a part of a schema that may stand anywhere in the document.
   *
   * @param root Base of the references inside the schema.
   * @param name Prefix for the names of the parts it refers to.
   * @param pointer JSON pointer of the part, with its `#`. Default the whole.
   */
  place(root: JsonSchema, name: string, pointer = "#"): JsonSchema {
    return new Placing(this, root, name).place(follow(pointer, root));
  }

  /** Returns the name of a part. `define` creates its schema, which may refer to the part itself. */
  name(said: string, wanted: string, define: () => JsonSchema): string {
    const known = this.#nameOf.get(said);
    if (known !== undefined) return known;
    const plain = wanted.replaceAll(/[^\w.-]/g, "_");
    let name = plain;
    for (let count = 2; Object.hasOwn(this.named, name); count++) name = `${plain}${count}`;
    this.#nameOf.set(said, name);
    this.named[name] = {};
    this.named[name] = define();
    return name;
  }
}

/** Places one schema. */
class Placing {
  readonly #places: SchemaPlaces;
  readonly #root: JsonSchema;
  readonly #name: string;
  readonly #targets: ReadonlySet<unknown>;

  constructor(places: SchemaPlaces, root: JsonSchema, name: string) {
    this.#places = places;
    this.#root = root;
    this.#name = name;
    this.#targets = new Set(listReferences(root).map((reference) => follow(reference, root)));
  }

  /** Places a part. A part that something refers to stands under its name, and a reference takes its place. */
  place(part: unknown): JsonSchema {
    if (!isObject(part)) return part === false ? { not: {} } : {};
    const reference = readReference(part);
    const target = reference === undefined ? undefined : follow(reference, this.#root);
    // A reference may have siblings, such as a description.
    if (reference !== undefined) return { ...this.#copy(part), ...(target && this.#refer(target, reference)) };
    return this.#targets.has(part) ? this.#refer(part, "") : this.#copy(part);
  }

  #refer(given: JsonSchema, from: string): JsonSchema {
    const { target, reference } = this.#resolve(given, from);
    if (target === undefined) return {};
    const own = /\/(?:\$defs|definitions)\/([^/]+)$/.exec(reference)?.[1] ?? "";
    const wanted = own === "" || own.startsWith("__") ? this.#name : own;
    const name = this.#places.name(formatSchemaPart(target, this.#root), wanted, () => this.#copy(target));
    return { $ref: componentsPointer + name };
  }

  /** Follows a chain of references to its target. References in a circle have no target. */
  #resolve(given: JsonSchema, from: string): { readonly target: JsonSchema | undefined; readonly reference: string } {
    let [target, reference]: [JsonSchema | undefined, string] = [given, from];
    const met = new Set<JsonSchema>();
    while (target !== undefined && !met.has(target)) {
      met.add(target);
      const further = readReference(target);
      if (further === undefined) return { target, reference };
      [target, reference] = [follow(further, this.#root), further];
    }
    return { target: undefined, reference };
  }

  #copy(part: JsonSchema): JsonSchema {
    const copy: JsonSchema = {};
    for (const [keyword, value] of Object.entries(part)) {
      if (droppedKeywords.has(keyword) || isReferenceKeyword(keyword, value)) continue;
      copy[keyword] = mapSchemas(keyword, value, (inner) => this.place(inner));
    }
    return copy;
  }
}

function readReference(part: JsonSchema): string | undefined {
  return Object.entries(part).find(([keyword, value]) => isReferenceKeyword(keyword, value))?.[1] as string | undefined;
}

function follow(reference: string, root: JsonSchema): JsonSchema | undefined {
  const found = reference === "#" ? root : followReference(decodeFragment(reference), root);
  return isObject(found) ? found : undefined;
}

/** Decodes a JSON pointer in a URI, which may be percent-encoded. */
function decodeFragment(reference: string): string {
  try {
    return decodeURIComponent(reference);
  } catch {
    return reference;
  }
}

/** Returns every reference of a schema, including those in its definitions. */
function listReferences(root: JsonSchema): string[] {
  const references: string[] = [];
  const visit = (part: unknown): unknown => {
    if (!isObject(part)) return part;
    for (const [keyword, value] of Object.entries(part)) {
      if (isReferenceKeyword(keyword, value)) references.push(value);
      else mapSchemas(keyword, value, visit);
    }
    return part;
  };
  visit(root);
  return references;
}

/** Writes a part together with the parts it refers to: the same text for equal parts of different schemas. */
function formatSchemaPart(part: JsonSchema, root: JsonSchema): string {
  const parts: JsonSchema[] = [part];
  const texts: string[] = [];
  for (let i = 0; i < parts.length; i++) {
    texts.push(
      JSON.stringify(parts[i], (key, value: unknown) => {
        if (key === "$defs" || key === "definitions") return undefined;
        if (!isReferenceKeyword(key, value)) return value;
        const target = follow(value, root);
        if (target === undefined) return "";
        const at = parts.indexOf(target);
        return at >= 0 ? at : parts.push(target) - 1;
      }),
    );
  }
  return texts.join("\n");
}
