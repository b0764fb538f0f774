import { changesValue, type Form, formOf } from "./schema-form.js";

/** Step from a schema to one inside it: a field, an item of a list or set, or a value of a record or map. */
type SchemaStep = { readonly field: string } | "item" | "value";

/** A schema inside another one. */
export interface InnerSchema {
  readonly schema: unknown;
  /** Never of kind `loose`. */
  readonly form: Form | undefined;
  readonly steps: readonly SchemaStep[];
  /** Members of the unions around it, from outside inwards. */
  readonly unions: readonly (readonly unknown[])[];
  /** True inside a pipe that returns another value than it was given. */
  readonly isChanged: boolean;
}

type Place = Pick<InnerSchema, "steps" | "unions" | "isChanged">;

/** Most schemas that are visited. Definitions are small; the rest of a larger one is not searched. */
const maxVisited = 5_000;

/**
 * Visits `root` and every schema inside it, the input side of pipes. A schema inside itself is visited once a path.
 *
 * @param visit Ends the walk by returning true.
 */
export function walkSchema(root: unknown, visit: (inner: InnerSchema) => boolean): void {
  const above = new Set<unknown>();
  let visited = 0;
  enter(root, { steps: [], unions: [], isChanged: false });

  /** Returns true when the walk has ended. */
  function enter(schema: unknown, place: Place): boolean {
    if (schema === undefined || schema === null || above.has(schema)) return false;
    if (++visited > maxVisited) return true;
    let form = formOf(schema);
    while (form?.kind === "loose") form = form.form;
    const at = { ...place, isChanged: place.isChanged || changesValue(schema) };
    if (visit({ ...at, schema, form })) return true;
    above.add(schema);
    const hasEnded = form !== undefined && enterForm(form, at);
    above.delete(schema);
    return hasEnded;
  }

  function enterForm(form: Form, at: Place): boolean {
    const step = (next: SchemaStep) => ({ ...at, steps: [...at.steps, next] });
    switch (form.kind) {
      case "list":
        return [...form.items, form.rest].some((item) => enter(item, step("item")));
      case "fields":
        return (
          Object.entries(form.fields).some(([field, inner]) => enter(inner, step({ field }))) ||
          enter(form.rest, step("value"))
        );
      case "wrapped":
        return form.inner.some((inner) => enter(inner, at));
      case "union":
        return form.members.some((member) => enter(member, { ...at, unions: [...at.unions, form.members] }));
      case "map":
        return enter(form.value, step("value"));
      case "set":
        return enter(form.item, step("item"));
      default:
        return false;
    }
  }
}

/** Finds the first schema inside `root`, or `root` itself, that `matches`. */
export function findSchema(root: unknown, matches: (inner: InnerSchema) => boolean): InnerSchema | undefined {
  let found: InnerSchema | undefined;
  walkSchema(root, (inner) => {
    if (!matches(inner)) return false;
    found = inner;
    return true;
  });
  return found;
}

/**
 * Formats steps as a path: `"photos[].scan"`; `""` without any.
 *
 * @param value Text for a step to a value of a record or map.
 */
export function formatSteps(steps: readonly SchemaStep[], value = "[]"): string {
  return steps.reduce<string>((path, step) => {
    if (typeof step === "string") return path + (step === "item" ? "[]" : value);
    return path === "" ? step.field : `${path}.${step.field}`;
  }, "");
}

/** Puts a path of `formatSteps` behind the name of what it begins in. */
export const joinPath = (start: string, path: string): string =>
  path === "" || path.startsWith("[") || start === "" ? start + path : `${start}.${path}`;
