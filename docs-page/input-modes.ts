import { jsonArguments, jsonField, quote, textField } from "./curl.js";
import { type DocumentedApi, isJsonType, type Media } from "./documented-api.js";
import { type Child, el } from "./element.js";
import { parseJson, printJson } from "./print-json.js";
import { type Example, examplesOf, firstValue } from "./sample.js";
import { isFile, resolve, type Schema } from "./schema.js";
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
  const json = entries.find(([type]) => isJsonType(type))?.[1];
  const isBytes = (type: string) => !isJsonType(type) && type !== "multipart/form-data" && type !== "text/plain";
  const byteTypes = entries.map(([type]) => type).filter(isBytes);
  const modes = new Map<string, () => InputMode>();
  for (const [type, media] of entries) {
    const schema = resolve(media.schema);
    if (isJsonType(type)) modes.set("JSON", () => jsonMode(type, media));
    else if (type === "text/plain") modes.set("Text", () => textMode(json ?? media));
    else if (isBytes(type)) modes.set("File", () => fileMode(byteTypes));
    else if (Object.keys(schema.properties ?? {}).length > 0) {
      modes.set("Form", () => formMode(schema, resolve(json?.schema), examplesOf(json)));
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
  readonly input: HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;
  /** Set when the field holds files. */
  readonly fileInput?: HTMLInputElement;
  /** True when the text of the field is JSON. */
  readonly isJson?: boolean;
}

interface FormRow extends FieldInput {
  readonly name: string;
  readonly isRequired: boolean;
}

function formMode(schema: Schema, jsonSchema: Schema, examples: readonly Example[]): InputMode {
  const first = examples[0]?.[1] as Record<string, unknown> | undefined;
  const rows = Object.entries(schema.properties ?? {}).map(([name, given]): FormRow => {
    const asJson = resolve(jsonSchema.properties?.[name]);
    const isRequired = schema.required?.includes(name) ?? false;
    return { name, isRequired, ...formInput(resolve(given), asJson, first?.[name]) };
  });
  const warning = warningLine();
  const read = () => {
    const missing = rows.find(({ isRequired, fileInput }) => isRequired && fileInput?.files?.length === 0);
    warning.textContent = missing ? `Choose a file for ${missing.name} first.` : "";
    return missing ? undefined : { headers: {}, body: readForm(rows) };
  };
  const nodes = rows.map(({ name, isRequired, type, input }) => {
    input.id = `field-${nextId++}`;
    const words = el("span", {}, type + (isRequired ? "" : ", optional"));
    return el("div", {}, el("label", { for: input.id }, name, words), input);
  });
  return { nodes: [el("div", { class: "inputs" }, nodes), warning], read, curl: () => rows.flatMap(rowArguments) };
}

let nextId = 0;

function readForm(rows: readonly FormRow[]): FormData {
  const body = new FormData();
  for (const { name, isJson, input, fileInput } of rows) {
    if (fileInput !== undefined) for (const file of fileInput.files ?? []) body.append(name, file);
    else if (input.value !== "" && isJson && parseJson(input.value)) {
      body.append(name, new Blob([input.value], { type: "application/json" }));
    } else if (input.value !== "") body.append(name, input.value);
  }
  return body;
}

function rowArguments({ name, isJson, input, fileInput }: FormRow): readonly string[] {
  if (fileInput !== undefined) {
    const files = [...(fileInput.files ?? [])];
    const names = files.length > 0 ? files.map((file) => file.name) : [name];
    return names.map((file) => `-F ${quote(`${name}=@${file}`)}`);
  }
  if (isJson && parseJson(input.value)) return [jsonField(name, input.value)];
  return input.value === "" ? [] : [textField(name, input.value)];
}

function formInput(schema: Schema, asJson: Schema, example: unknown): FieldInput {
  const items = resolve(schema.items);
  const type = typeWords(asJson.type || asJson.title ? asJson : schema);
  if (isFile(schema) || isFile(items)) {
    const taken = asJson.properties?.["contentType"]?.description ?? schema.contentMediaType;
    const accept = taken === "application/octet-stream" ? undefined : taken;
    const fileInput = el("input", { type: "file", multiple: isFile(items), accept });
    return { type, input: fileInput, fileInput };
  }
  const value = example ?? schema.default;
  const options = schema.enum ?? (schema.type === "boolean" ? [true, false] : undefined);
  if (options !== undefined) {
    const drawn: Child = options.map((option) => el("option", { selected: option === value }, String(option)));
    return { type, input: el("select", {}, el("option", { value: "" }, "—"), drawn) };
  }
  const isText = schema.type === "string";
  const isNumber = schema.type === "number" || schema.type === "integer";
  const input =
    isText || isNumber
      ? el("input", { type: "text", inputmode: isNumber ? "decimal" : undefined })
      : el("textarea", { rows: 1, spellcheck: "false", placeholder: "JSON" });
  input.value = value === undefined ? "" : isText ? String(value) : printJson(value);
  return { type, input, isJson: !isText && !isNumber };
}
