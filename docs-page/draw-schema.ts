import { type Child, el } from "./element.js";
import { branchesOf, isFile, isObject, refName, resolve, type Schema, tensorOf } from "./schema.js";
import { notesOf, typeWords } from "./schema-words.js";

/** Draws a schema: its fields for an object, one line for anything else. */
export function drawSchema(given: Schema | undefined): readonly Child[] {
  const schema = resolve(given);
  const inside = insideOf(schema);
  const isPlainObject = schema.type === "object" && schema.properties !== undefined;
  const about = schema.description ? [el("p", { class: "text" }, schema.description)] : [];
  if (inside !== undefined && isPlainObject) return [...about, ...inside()];
  const name = refName(given);
  const shownName = name ? el("span", { class: "notes" }, name) : undefined;
  const line = el("div", { class: "field" }, drawType(schema), shownName, drawNotes(schema));
  return [el("ul", { class: "fields" }, el("li", {}, line, about, inside?.()))];
}

/**
 * Draws a list of named schemas.
 *
 * @param required Names of the required ones; `undefined` marks none as required or optional.
 */
export function drawFields(
  fields: readonly (readonly [name: string, schema: Schema])[],
  required: readonly string[] | undefined,
): HTMLElement {
  const items = fields.map(([name, schema]) => el("li", {}, drawField(name, schema, required)));
  return el("ul", { class: "fields" }, items);
}

/** Returns a function that draws the inside of a schema when it is opened: schemas may contain themselves. */
function insideOf(given: Schema): (() => readonly HTMLElement[]) | undefined {
  const schema = resolve(given);
  if (tensorOf(schema) || isFile(schema)) return undefined;
  const branches = branchesOf(schema)?.filter((branch) => insideOf(branch)) ?? [];
  if (branches.length === 1) return insideOf(branches[0] as Schema);
  if (branches.length > 1) return () => branches.flatMap(drawVariant);
  if (schema.type === "array" && isObject(schema.items)) return insideOf(schema.items);
  if (Array.isArray(schema.prefixItems)) {
    const items = (schema.prefixItems as readonly Schema[]).map((item, i) => [String(i), item] as const);
    return items.some(([, item]) => insideOf(item)) ? () => [drawFields(items, undefined)] : undefined;
  }
  const fields = Object.entries(schema.properties ?? {});
  if (fields.length > 0) return () => [drawFields(fields, schema.required ?? [])];
  return isObject(schema.additionalProperties) ? insideOf(schema.additionalProperties) : undefined;
}

function drawVariant(branch: Schema, i: number): readonly HTMLElement[] {
  const constants = Object.entries(branch.properties ?? {}).flatMap(([name, property]) => {
    const schema = resolve(property);
    return "const" in schema ? [`${name}: ${JSON.stringify(schema.const)}`] : [];
  });
  const label = constants.join(", ") || branch.title || "";
  return [el("p", { class: "variant" }, (i === 0 ? "either " : "or ") + label), ...(insideOf(branch)?.() ?? [])];
}

function drawType(schema: Schema): HTMLElement {
  const isSpecial = tensorOf(schema) !== undefined || isFile(schema);
  return el("span", { class: isSpecial ? "type special" : "type" }, typeWords(schema));
}

const drawNotes = (schema: Schema) => el("span", { class: "notes" }, notesOf(schema).join(" · "));

function drawMark(name: string, required: readonly string[] | undefined): HTMLElement | undefined {
  if (required === undefined) return undefined;
  return required.includes(name) ? el("span", { class: "must" }, "required") : el("span", { class: "may" }, "optional");
}

function drawField(name: string, given: Schema, required: readonly string[] | undefined): readonly Child[] {
  const schema = resolve(given);
  const shownName = el("span", { class: "name" }, name);
  const mark = drawMark(name, required);
  const head = el("div", { class: "field" }, shownName, drawType(schema), mark, drawNotes(schema));
  const about = schema.description ? el("div", { class: "text" }, schema.description) : "";
  const inside = insideOf(schema);
  if (inside === undefined) return [head, about];
  const drawInside = () => details.children.length === 1 && details.append(...inside());
  const details = el("details", { ontoggle: drawInside }, el("summary", {}, head));
  return [details, about];
}
