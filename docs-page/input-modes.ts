import { fileField, jsonArguments, jsonField, quote, textField } from "./curl.js";
import { type DocumentedApi, isJsonType, type Media } from "./documented-api.js";
import { type Child, el } from "./element.js";
import { parseJson, printJson } from "./print-json.js";
import { type Example, examplesOf, firstValue } from "./sample.js";
import { branchesOf, isFile, resolve, type Schema } from "./schema.js";
import { typeWords } from "./schema-words.js";

/** Headers and body of a request, as `fetch` takes them. */
interface InputRequest {
  readonly headers: Record<string, string>;
  readonly body?: BodyInit;
}

/** One way to write the input of an api: as JSON, text, a file or a form. */
interface InputMode {
  readonly nodes: readonly HTMLElement[];
  /** Shown above the inputs. */
  readonly extra?: HTMLElement | undefined;
  /** Reads the inputs. Shows a warning and returns `undefined` when they cannot be sent. */
  read(): InputRequest | undefined;
  /** Returns curl's arguments for the same input. */
  curl(): readonly string[];
}

/** The mode of an api without an input. */
export const noInput: InputMode = { nodes: [], read: () => ({ headers: {} }), curl: () => [] };

/** Returns the modes that the content types of an api allow, by their names. */
export function readModes(api: DocumentedApi): ReadonlyMap<string, () => InputMode> {
  const entries = Object.entries(api.operation.requestBody?.content ?? {});
  const [jsonType, json] = entries.find(([type]) => isJsonType(type)) ?? [];
  const isBytes = (type: string) => !isJsonType(type) && type !== "multipart/form-data" && type !== "text/plain";
  const byteTypes = entries.map(([type]) => type).filter(isBytes);
  const modes = new Map<string, () => InputMode>();
  for (const [type, media] of entries) {
    const schema = resolve(media.schema);
    if (isJsonType(type)) modes.set("JSON", () => jsonMode(type, media));
    else if (type === "text/plain") modes.set("Text", () => textMode(json ?? media));
    else if (isBytes(type)) modes.set("File", () => fileMode(byteTypes));
    else if (Object.keys(schema.properties ?? {}).length > 0) {
      const schemas = { form: schema, json: resolve(json?.schema), jsonType };
      modes.set("Form", () => formMode(schemas, examplesOf(json)));
    }
  }
  return modes;
}

/** Makes a labelled list of choices. */
export function choice(
  label: string,
  names: readonly string[],
  onchange: () => void,
): { readonly select: HTMLSelectElement; readonly node: HTMLElement } {
  const options = names.map((name) => el("option", {}, name));
  const select = el("select", { onchange }, options);
  return { select, node: el("label", { class: "choice" }, label, select) };
}

const warningLine = () => el("p", { class: "warning", role: "alert" });

function jsonMode(type: string, media: Media): InputMode {
  const typing = { spellcheck: "false", autocapitalize: "off" };
  const area = el("textarea", { rows: 4, ...typing, "aria-label": "Input as JSON" });
  const warning = warningLine();
  const examples = examplesOf(media);
  const clearWarning = () => {
    warning.textContent = "";
    area.removeAttribute("aria-invalid");
  };
  const load = (value: unknown) => {
    area.value = printJson(value);
    clearWarning();
  };
  load(firstValue(media));
  area.addEventListener("input", clearWarning);
  const names = examples.map(([name]) => name.replace(/^example (?=\d)/, ""));
  const picker = choice("Example", names, () => {
    load(examples[picker.select.selectedIndex]?.[1]);
    area.dispatchEvent(new Event("input", { bubbles: true }));
  });
  const read = () => {
    try {
      JSON.parse(area.value);
      return { headers: { "content-type": type }, body: area.value };
    } catch (error) {
      warning.textContent = `This is not JSON: ${(error as Error).message}`;
      area.setAttribute("aria-invalid", "true");
      area.focus();
      return undefined;
    }
  };
  const extra = examples.length > 1 ? picker.node : undefined;
  return { nodes: [area, warning], extra, read, curl: () => jsonArguments(type, area.value) };
}

function textMode(media: Media): InputMode {
  const area = el("textarea", { rows: 4, "aria-label": "Input as text" });
  const value = firstValue(media);
  area.value = typeof value === "string" ? value : "";
  const headers = { "content-type": "text/plain; charset=utf-8" };
  const curl = () => [`-H ${quote("content-type: text/plain")}`, `--data-raw ${quote(area.value)}`];
  return { nodes: [area], read: () => ({ headers, body: area.value }), curl };
}

const fits = (type: string, pattern: string): boolean =>
  pattern === "*/*" || type === pattern || (pattern.endsWith("/*") && type.startsWith(pattern.slice(0, -1)));

/** Returns the content type to send a file with: its own where the api takes it. */
function fileType(types: readonly string[], file: { readonly name: string; readonly type: string } | undefined) {
  const npy = types.find((type) => type.includes("npy"));
  if (npy !== undefined && (file === undefined || file.name.endsWith(".npy"))) return npy;
  if (file?.type && types.some((type) => fits(file.type, type))) return file.type;
  const exact = types.find((type) => !type.includes("*"));
  if (exact !== undefined) return exact;
  return file?.type || (types[0]?.startsWith("image/") ? "image/png" : "application/octet-stream");
}

function fileMode(types: readonly string[]): InputMode {
  const extensions = types.map((type) => (type.includes("npy") ? ".npy" : type)).join(",");
  const accept = types.includes("*/*") ? undefined : extensions;
  const input = el("input", { type: "file", accept, "aria-label": "File to send" });
  const warning = warningLine();
  const read = () => {
    const file = input.files?.[0];
    warning.textContent = file === undefined ? "Choose a file first." : "";
    if (file === undefined) return undefined;
    const name = encodeURIComponent(file.name);
    const headers = {
      "content-type": fileType(types, file),
      "content-disposition": `attachment; filename*=UTF-8''${name}`,
    };
    return { headers, body: file };
  };
  const curl = () => {
    const file = input.files?.[0];
    const type = quote(`content-type: ${fileType(types, file)}`);
    return [`-H ${type}`, `--data-binary ${quote(`@${file?.name ?? "input"}`)}`];
  };
  return { nodes: [input, warning], read, curl };
}

/** The input of one field of a form. */
interface FieldInput {
  /** Its type, in words. */
  readonly type: string;
  readonly node: HTMLElement;
  /** Control that the label names. */
  readonly control: HTMLElement;
  /** Set when the field holds text. */
  readonly text?: () => string;
  /** Set when the field holds files. */
  readonly files?: () => readonly File[];
  /** True when the text of the field is JSON. */
  readonly isJson?: boolean;
  /** True when the field takes any text, also an empty one. */
  readonly isText?: boolean;
}

interface FormRow extends FieldInput {
  readonly name: string;
  readonly isRequired: boolean;
}

/** Schemas of one input, as a form and as JSON; JSON is sent when no field of the form is filled in. */
interface FormSchemas {
  readonly form: Schema;
  readonly json: Schema;
  /** Content type of JSON; `undefined` for an api that takes none. */
  readonly jsonType: string | undefined;
}

function formMode({ form, json, jsonType }: FormSchemas, examples: readonly Example[]): InputMode {
  const first = examples[0]?.[1] as Record<string, unknown> | undefined;
  const rows = Object.entries(form.properties ?? {}).map(([name, given]): FormRow => {
    const asJson = resolve(json.properties?.[name]);
    const isRequired = form.required?.includes(name) ?? false;
    return { name, isRequired, ...formInput(resolve(given), asJson, first?.[name]) };
  });
  const warning = warningLine();
  const read = (): InputRequest | undefined => {
    const missing = rows.find(({ isRequired, files }) => isRequired && files?.().length === 0);
    warning.textContent = missing ? `Choose a file for ${missing.name} first.` : "";
    if (missing) return undefined;
    const body = readForm(rows);
    // A form without a part is refused by many parsers, and curl can't send one.
    const isEmpty = body.keys().next().done === true;
    return isEmpty && jsonType ? { headers: { "content-type": jsonType }, body: "{}" } : { headers: {}, body };
  };
  const curl = () => {
    const args = rows.flatMap(rowArguments);
    return args.length === 0 && jsonType ? jsonArguments(jsonType, "{}") : args;
  };
  const nodes = rows.map(({ name, isRequired, type, node, control }) => {
    control.id = `field-${nextId++}`;
    const words = el("span", {}, type + (isRequired ? "" : ", optional"));
    return el("div", {}, el("label", { for: control.id }, name, words), node);
  });
  return { nodes: [el("div", { class: "inputs" }, nodes), warning], read, curl };
}

let nextId = 0;

/** True for a text that is sent: an empty one only where the field is required and any text will do. */
const isSent = ({ isRequired, isText }: FormRow, text: string): boolean =>
  text !== "" || (isRequired && isText === true);

function readForm(rows: readonly FormRow[]): FormData {
  const body = new FormData();
  for (const row of rows) {
    const { name, isJson, files, text = () => "" } = row;
    for (const file of files?.() ?? []) body.append(name, file);
    if (files !== undefined || !isSent(row, text())) continue;
    if (isJson && parseJson(text())) body.append(name, new Blob([text()], { type: "application/json" }));
    else body.append(name, text());
  }
  return body;
}

function rowArguments(row: FormRow): readonly string[] {
  const { name, isRequired, isJson, files, text = () => "" } = row;
  if (files !== undefined) {
    const names = files().map((file) => file.name);
    // A required file stands in the command before it is chosen.
    const shown = names.length === 0 && isRequired ? [name] : names;
    return shown.map((file) => fileField(name, file));
  }
  if (isJson && parseJson(text())) return [jsonField(name, text())];
  return isSent(row, text()) ? [textField(name, text())] : [];
}

/** Returns whether a field takes one file or a list of them; `undefined` for other fields. */
function filesOf(schema: Schema): "one" | "list" | undefined {
  if (isFile(schema)) return "one";
  if (isFile(resolve(schema.items))) return "list";
  return branchesOf(schema)
    ?.map(filesOf)
    .find((found) => found !== undefined);
}

/** Media types of the files that a field takes, as the JSON form of a file names them; `undefined` for any. */
function acceptOf(schema: Schema): string | undefined {
  const types = schema.properties?.["contentType"]?.description ?? schema.contentMediaType;
  if (types !== undefined) return types === "application/octet-stream" ? undefined : types;
  const inner = [...(branchesOf(schema) ?? []), ...(schema.items ? [resolve(schema.items)] : [])];
  return inner.map(acceptOf).find((found) => found !== undefined);
}

function formInput(schema: Schema, asJson: Schema, example: unknown): FieldInput {
  const type = typeWords(asJson.type || asJson.title || asJson.anyOf ? asJson : schema);
  const taken = filesOf(schema) ?? filesOf(asJson);
  if (taken !== undefined) return { type, ...filesInput(acceptOf(asJson) ?? acceptOf(schema), taken === "list") };
  const value = example ?? schema.default;
  const options = schema.enum ?? (schema.type === "boolean" ? [true, false] : undefined);
  if (options !== undefined) {
    const drawn: Child = options.map((option) => el("option", { selected: option === value }, String(option)));
    const select = el("select", {}, el("option", { value: "" }, "—"), drawn);
    return { type, node: select, control: select, text: () => select.value };
  }
  const isText = schema.type === "string";
  const isNumber = schema.type === "number" || schema.type === "integer";
  const input =
    isText || isNumber
      ? el("input", { type: "text", inputmode: isNumber ? "decimal" : undefined })
      : el("textarea", { rows: 1, spellcheck: "false", placeholder: "JSON" });
  input.value = value === undefined ? "" : isText ? String(value) : printJson(value);
  return { type, node: input, control: input, text: () => input.value, isJson: !isText && !isNumber, isText };
}

/** Makes the inputs of a field of files: one, or a list that the reader makes longer and shorter. */
function filesInput(accept: string | undefined, isList: boolean): Omit<FieldInput, "type"> {
  const list = el("div", { class: "files" });
  const changed = () => list.dispatchEvent(new Event("input", { bubbles: true }));
  const inputs = () => [...list.querySelectorAll("input")];
  const addInput = () => {
    const label = isList ? `File ${inputs().length + 1}` : undefined;
    const input = el("input", { type: "file", accept, multiple: isList, "aria-label": label });
    const remove = el("button", { class: "small", type: "button" }, "Remove");
    const row = el("div", { class: "file" }, input, remove);
    const showButton = () => (remove.hidden = input.value === "" && inputs().length < 2);
    remove.addEventListener("click", () => {
      if (inputs().length > 1) row.remove();
      else input.value = "";
      showButton();
      changed();
    });
    input.addEventListener("input", showButton);
    list.append(row);
    showButton();
    return input;
  };
  const control = addInput();
  const more = el("button", { class: "small", type: "button", onclick: () => addInput().focus() }, "Add a file");
  const node = isList ? el("div", {}, list, more) : list;
  return { node, control, files: () => inputs().flatMap((input) => [...(input.files ?? [])]) };
}
