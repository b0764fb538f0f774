import { docsAnswerScript } from "./docs-answer-script.js";
import { docsTryScript } from "./docs-try-script.js";

/**
 * The script of the docs page: reads `openapi.json` and shows every api. Whatever an author or a server wrote is put on the
 * page as text, never as HTML.
 *
 * It is kept as text because the package is built by the TypeScript compiler alone and this part runs in a browser.
 */
export const docsScript = String.raw`(() => {
"use strict";
const base = new URL(location.pathname.replace(/\/?docs\/?$/, "/"), location.origin);
let doc = {};

function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== ""));
  return node;
}

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const plural = (count, word) => count + " " + word + (count === 1 ? "" : "s");
const essence = (type) => (type ?? "").split(";")[0].trim().toLowerCase();
const isJson = (type) => essence(type) === "application/json" || essence(type).endsWith("+json");

// What a JSON Schema says.

function resolve(schema) {
  for (let i = 0; i < 8 && isObject(schema) && typeof schema.$ref === "string"; i++) {
    const { $ref, ...rest } = schema;
    const keys = $ref.split("/").slice(1);
    const find = (node, key) => node?.[decodeURIComponent(key).replaceAll("~1", "/").replaceAll("~0", "~")];
    schema = { ...keys.reduce(find, doc), ...rest };
  }
  if (!isObject(schema)) return {};
  if (!Array.isArray(schema.allOf)) return schema;
  const { allOf, ...own } = schema;
  return [...allOf.map(resolve), own].reduce((all, part) => ({
    ...all,
    ...part,
    ...((all.properties ?? part.properties) && { properties: { ...all.properties, ...part.properties } }),
    ...((all.required ?? part.required) && { required: [...(all.required ?? []), ...(part.required ?? [])] }),
  }));
}

const tensorForm = /^(?:float|int|uint|bool)\d*\[(.*)\]$/;
const tensorOf = (schema) => tensorForm.exec(schema.title ?? "")?.[0];
const isFile = (schema) =>
  (schema.title === "file" && schema.properties?.data !== undefined) ||
  schema.format === "binary" ||
  (schema.type === undefined && schema.contentMediaType !== undefined);
const branchesOf = (schema) => (schema.anyOf ?? schema.oneOf)?.map(resolve);
const refName = (schema) => (/\/\$defs\/([A-Za-z]\w*)$/.exec(schema?.$ref ?? "") ?? [])[1];

function typeWords(given, depth = 0) {
  const schema = resolve(given);
  if (depth > 5) return "…";
  const special = tensorOf(schema) ?? (isFile(schema) ? "file" : undefined);
  if (special !== undefined) return special;
  if ("const" in schema) return JSON.stringify(schema.const);
  if (Array.isArray(schema.enum)) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const branches = schema.anyOf ?? schema.oneOf;
  if (branches) return [...new Set(branches.map((branch) => typeWords(branch, depth + 1)))].join(" | ");
  const types = [schema.type ?? (schema.properties ? "object" : [])].flat();
  if (types.length === 0) return "any";
  return types.map((type) => plainWords(type, schema, depth)).join(" | ");
}

function plainWords(type, schema, depth) {
  if (type === "object") {
    const rest = schema.additionalProperties;
    const isMap = isObject(rest) && Object.keys(schema.properties ?? {}).length === 0;
    return isMap ? "{ [key]: " + typeWords(rest, depth + 1) + " }" : "object";
  }
  if (type !== "array") return type;
  if (Array.isArray(schema.prefixItems)) {
    return "[" + schema.prefixItems.map((item) => typeWords(item, depth + 1)).join(", ") + "]";
  }
  const item = schema.items === undefined ? "any" : typeWords(schema.items, depth + 1);
  return item.includes(" | ") ? "(" + item + ")[]" : item + "[]";
}

function range(low, high, unit) {
  const words = (count) => (unit === undefined ? String(count) : plural(count, unit));
  if (low === undefined && high === undefined) return undefined;
  if (low === high) return "exactly " + words(low);
  if (low === undefined || (low === 0 && unit !== undefined)) return high === undefined ? undefined : unit ? "at most " + words(high) : "≤ " + high;
  if (high === undefined) return unit ? "at least " + words(low) : "≥ " + low;
  return low + " to " + words(high);
}

/** Bounds that only say "an integer that a double holds" are no news. */
const bound = (value) => (Math.abs(value) >= Number.MAX_SAFE_INTEGER ? undefined : value);

function notesOf(schema) {
  if (isFile(schema)) return [schema.properties?.contentType?.description ?? schema.contentMediaType];
  if (tensorOf(schema)) return [];
  const { exclusiveMinimum: over, exclusiveMaximum: under, pattern, examples } = schema;
  const notes = [
    schema.format,
    schema.contentEncoding,
    range(bound(schema.minimum), bound(schema.maximum)),
    bound(over) === undefined ? undefined : "> " + over,
    bound(under) === undefined ? undefined : "< " + under,
    schema.multipleOf === undefined ? undefined : "multiple of " + schema.multipleOf,
    range(schema.minLength, schema.maxLength, "character"),
    schema.prefixItems ? undefined : range(schema.minItems, schema.maxItems, "item"),
    schema.uniqueItems ? "no two alike" : undefined,
    pattern !== undefined && schema.format === undefined ? "matches " + pattern : undefined,
    "default" in schema ? "default " + JSON.stringify(schema.default) : undefined,
    Array.isArray(examples) && examples.length > 0 ? "e.g. " + JSON.stringify(examples[0]) : undefined,
    schema.deprecated ? "deprecated" : undefined,
  ].filter((note) => note !== undefined);
  if (schema.type !== "array" || schema.items === undefined) return notes;
  const each = notesOf(resolve(schema.items)).join(", ");
  return each === "" ? notes : [...notes, "each " + each];
}

// How it is shown.

/** What is inside a schema, as a function that draws it: only when it is opened, since schemas may hold themselves. */
function insideOf(given) {
  const schema = resolve(given);
  if (tensorOf(schema) || isFile(schema)) return undefined;
  const branches = branchesOf(schema)?.filter((branch) => insideOf(branch));
  if (branches?.length === 1) return insideOf(branches[0]);
  if (branches?.length > 1) return () => branches.flatMap(drawVariant);
  if (schema.type === "array" && isObject(schema.items)) return insideOf(schema.items);
  if (Array.isArray(schema.prefixItems)) {
    const items = schema.prefixItems.map((item, i) => [String(i), item]);
    return items.some(([, item]) => insideOf(item)) ? () => [drawFields(items, undefined)] : undefined;
  }
  const fields = Object.entries(schema.properties ?? {});
  if (fields.length > 0) return () => [drawFields(fields, schema.required ?? [])];
  return isObject(schema.additionalProperties) ? insideOf(schema.additionalProperties) : undefined;
}

function drawVariant(branch, i) {
  const tags = Object.entries(branch.properties ?? {}).filter(([, property]) => "const" in resolve(property));
  const tag = tags.map(([name, property]) => name + ": " + JSON.stringify(resolve(property).const)).join(", ");
  return [el("p", { class: "variant" }, (i === 0 ? "either " : "or ") + (tag || branch.title || "")), ...insideOf(branch)()];
}

function drawFields(fields, required) {
  return el("ul", { class: "fields" }, fields.map(([name, schema]) => el("li", {}, drawField(name, schema, required))));
}

function drawType(given) {
  const schema = resolve(given);
  const isSpecial = tensorOf(schema) !== undefined || isFile(schema);
  return el("span", { class: isSpecial ? "type special" : "type" }, typeWords(schema));
}

function drawField(name, given, required) {
  const schema = resolve(given);
  const mark = required?.includes(name) ? el("span", { class: "must" }, "required") : el("span", { class: "may" }, "optional");
  const notes = el("span", { class: "notes" }, notesOf(schema).join(" · "));
  const head = el("div", { class: "field" }, el("span", { class: "name" }, name), drawType(schema), required === undefined ? undefined : mark, notes);
  const about = schema.description ? el("div", { class: "text" }, schema.description) : "";
  const inside = insideOf(schema);
  if (inside === undefined) return [head, about];
  const details = el("details", { ontoggle: () => details.children.length === 1 && details.append(...inside()) }, el("summary", {}, head));
  return [details, about];
}

function drawSchema(given) {
  const schema = resolve(given);
  const inside = insideOf(schema);
  const isPlainObject = inside !== undefined && schema.type === "object" && schema.properties !== undefined;
  const about = schema.description ? [el("p", { class: "text" }, schema.description)] : [];
  if (isPlainObject) return [...about, ...inside()];
  const notes = el("span", { class: "notes" }, notesOf(schema).join(" · "));
  const line = el("div", { class: "field" }, drawType(schema), refName(given) ? el("span", { class: "notes" }, refName(given)) : undefined, notes);
  return [el("ul", { class: "fields" }, el("li", {}, line, about, inside === undefined ? [] : inside()))];
}

const part = (side, title, types, ...children) =>
  el("div", { class: "part " + side }, el("h3", {}, title, types ? el("span", { class: "types" }, types) : undefined), children);

function drawInput(api) {
  const entries = Object.entries(api.operation.requestBody?.content ?? {});
  if (entries.length === 0) return part("input", "Input", "", el("p", { class: "quiet" }, "None."));
  const files = entries.filter(([type]) => !isJson(type) && type !== "multipart/form-data" && type !== "text/plain");
  const [, media] = entries.find(([type]) => isJson(type)) ?? entries[0];
  return part("input", "Input", entries.map(([type]) => type).join(", "), drawSchema(media.schema), files.length > 0 && isFile(resolve(media.schema)) ? el("p", { class: "notes" }, "Sent as the body itself, or as a part of a form.") : undefined);
}

function drawOutput(api) {
  const entries = Object.entries(api.answers);
  const [, media] = entries.find(([, { "x-ekiben-item": item }]) => item) ?? entries.find(([type]) => isJson(type)) ?? entries[0] ?? [];
  const types = entries.map(([type]) => type).join(", ");
  if (media === undefined) return part("output", "Output", "", el("p", { class: "quiet" }, "None."));
  return part("output", api.isStream ? "Output, item by item" : "Output", types, drawSchema(media["x-ekiben-item"] ?? media.schema));
}

function drawFailures(responses) {
  const failed = Object.entries(responses).filter(([status]) => !/^2/.test(status));
  if (failed.length === 0) return undefined;
  const rows = failed.map(([status, given]) => {
    const response = resolve(given);
    const listed = (response["x-ekiben-failures"] ?? []).map((failure) => (isObject(failure) ? failure : { id: failure }));
    const hasTexts = listed.some((failure) => failure.text ?? failure.message ?? failure.description);
    const lines = hasTexts
      ? listed.map((failure) => el("p", {}, el("code", {}, failure.id), " " + (failure.text ?? failure.message ?? failure.description ?? "")))
      : listed.flatMap((failure, i) => [i === 0 ? "" : ", ", el("code", {}, failure.id)]);
    return [el("dt", {}, status === "default" ? "any" : status), el("dd", {}, lines.length > 0 ? lines : response.description ?? "")];
  });
  const title = el("summary", {}, "Failures", el("span", {}, failed.map(([status]) => status).filter((status) => status !== "default").join(" ")));
  return el("div", { class: "part folded" }, el("details", { class: "more" }, title, el("dl", { class: "failures" }, rows)));
}

function drawHeaders(parameters) {
  const headers = (parameters ?? []).map(resolve).filter((parameter) => parameter.in === "header");
  if (headers.length === 0) return undefined;
  const fields = headers.map((header) => [header.name, { ...resolve(header.schema), description: header.description }]);
  const names = headers.map((header) => header.name).join(", ");
  const required = headers.filter((header) => header.required).map((header) => header.name);
  return el("div", { class: "part folded" }, el("details", { class: "more" }, el("summary", {}, "Headers", el("span", {}, names)), drawFields(fields, required)));
}

/** What else may be asked about a task: paths of their own, which are listed here and have no form. */
function drawTaskPaths(api) {
  const found = Object.entries(doc.paths ?? {}).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, operation]) => (operation["x-ekiben-task-of"] === api.name ? [{ path, method, operation }] : [])),
  );
  if (found.length === 0) return undefined;
  const rows = found.map(({ path, method, operation }) => [el("dt", {}, method.toUpperCase()), el("dd", {}, el("p", {}, el("code", {}, path)), el("p", {}, operation.summary ?? ""))]);
  const names = found.map(({ path }) => path.split("/").at(-1)).join(", ");
  return el("div", { class: "part folded" }, el("details", { class: "more" }, el("summary", {}, "As a task", el("span", {}, names)), el("dl", { class: "failures" }, rows)));
}

const kindOf = ({ isStream, isTask }) => (isStream ? "stream" : isTask ? "task" : "");

function drawApi(api) {
  const { operation, path } = api;
  const word = kindOf(api);
  const kind = word === "" ? undefined : el("span", { class: "kind stream" }, word);
  const owner = operation["x-ekiben-service"] ? el("span", { class: "kind" }, operation["x-ekiben-service"] + "." + api.name) : undefined;
  return el(
    "section",
    { class: "api", id: api.id, "aria-labelledby": api.id + "-title" },
    el("div", { class: "route" }, el("span", { class: "method" }, "POST"), el("code", {}, el("a", { href: "#" + api.id }, path)), kind, owner),
    el("h2", { id: api.id + "-title" }, operation.summary || api.name),
    operation.description ? el("p", { class: "about" }, operation.description) : undefined,
    el("div", { class: "columns" }, el("div", {}, drawInput(api), drawOutput(api), drawTaskPaths(api), drawHeaders(operation.parameters), drawFailures(operation.responses ?? {})), drawTry(api)),
  );
}

function readApis() {
  return Object.entries(doc.paths ?? {}).flatMap(([path, { post: operation }]) => {
    if (operation === undefined || operation["x-ekiben-task-of"] !== undefined) return [];
    const name = operation.operationId || path.slice(1);
    const success = resolve(Object.entries(operation.responses ?? {}).find(([status]) => /^2/.test(status))?.[1]);
    const isStream = operation["x-ekiben-kind"] === "stream";
    const isTask = operation["x-ekiben-kind"] === "task";
    return [{ id: "api-" + encodeURIComponent(name), name, path, operation, isStream, isTask, answers: success.content ?? {} }];
  });
}

function markCurrent(links) {
  const seen = new Set();
  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) isIntersecting ? seen.add(target.id) : seen.delete(target.id);
    const current = [...links.keys()].find((id) => seen.has(id));
    for (const [id, link] of links) id === current ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current");
    const link = links.get(current);
    link?.closest("ul").scrollTo({ left: link.offsetLeft - 48, behavior: "smooth" });
  }, { rootMargin: "-12% 0px -55%" });
  for (const id of links.keys()) observer.observe(document.getElementById(id));
}

async function show() {
  const place = document.getElementById("apis");
  try {
    const response = await fetch(new URL("openapi.json", base));
    if (!response.ok) throw new Error("the server answered " + response.status);
    doc = await response.json();
    const apis = readApis();
    place.replaceChildren(...(apis.length > 0 ? apis.map(drawApi) : [el("p", { class: "api quiet" }, "This service has no apis.")]));
    const links = new Map(apis.map((api) => [api.id, el("a", { href: "#" + api.id }, api.path, kindOf(api) ? el("span", { class: "mark" }, kindOf(api)) : undefined)]));
    document.getElementById("contents").replaceChildren(...[...links.values()].map((link) => el("li", {}, link)));
    markCurrent(links);
    if (location.hash.length > 1) document.getElementById(location.hash.slice(1))?.scrollIntoView();
  } catch (error) {
    const again = el("button", { class: "small", onclick: show }, "Try again");
    place.replaceChildren(el("p", { class: "api" }, "openapi.json could not be read: " + error.message + ". ", again));
  }
}
${docsTryScript}${docsAnswerScript}show();
})();
`;
