/** The part of the docs page's script that makes the form of each api; it stands inside `docsScript`. */
export const docsTryScript = String.raw`
// A first input, made from the schema.

const sampleTexts = {
  email: "name@example.com", uri: "https://example.com", url: "https://example.com", date: "2025-01-31", time: "12:00:00Z",
  "date-time": "2025-01-31T12:00:00Z", uuid: "123e4567-e89b-42d3-a456-426614174000", ipv4: "192.0.2.1",
};

function sample(given, depth = 0) {
  const schema = resolve(given);
  if (depth > 6) return null;
  if (tensorOf(schema)) return sampleTensor(tensorOf(schema));
  const known = schema.const ?? schema.default ?? schema.examples?.[0] ?? schema.enum?.[0];
  if (known !== undefined) return known;
  const branches = branchesOf(schema);
  if (branches) return sample(branches.find((branch) => branch.type !== "null") ?? branches[0], depth + 1);
  const type = [schema.type ?? (schema.properties ? "object" : "null")].flat()[0];
  const low = bound(schema.minimum) ?? (bound(schema.exclusiveMinimum) === undefined ? undefined : schema.exclusiveMinimum + 1);
  if (type === "integer" || type === "number") return low ?? Math.min(1, bound(schema.maximum) ?? 1);
  if (type === "boolean") return true;
  if (type === "array") {
    if (schema.prefixItems) return schema.prefixItems.map((item) => sample(item, depth + 1));
    return Array.from({ length: Math.min(schema.minItems ?? 1, 32) }, () => sample(schema.items, depth + 1));
  }
  if (type === "object") {
    const names = schema.required ?? Object.keys(schema.properties ?? {});
    return Object.fromEntries(names.map((name) => [name, sample(schema.properties?.[name], depth + 1)]));
  }
  if (type !== "string") return null;
  if (schema.contentEncoding) return "";
  return (sampleTexts[schema.format] ?? "some text").padEnd(schema.minLength ?? 0, ".").slice(0, schema.maxLength);
}

/** Zeros: as nested lists when few, else in base64, as long as a person would still send that by hand. */
function sampleTensor(title) {
  const dtype = title.slice(0, title.indexOf("["));
  const shape = title.slice(title.indexOf("[") + 1, -1).split(",").filter((dim) => dim.trim() !== "").map((dim) => Number(dim) || 2);
  const count = shape.reduce((all, dim) => all * dim, 1);
  if (count <= 256) return shape.reduceRight((item, dim) => Array.from({ length: dim }, () => item), dtype.startsWith("bool") ? false : 0);
  const bytes = (count * (Number(/\d+/.exec(dtype)?.[0]) || 8)) / 8;
  return { dtype, shape, data: bytes <= 4096 ? btoa("\0".repeat(bytes)) : "" };
}

// The form.

/** In which forms the body may be written; each draws its inputs and reads them into what fetch sends. */
function readModes(api) {
  const entries = Object.entries(api.operation.requestBody?.content ?? {});
  const json = entries.find(([type]) => isJson(type));
  const files = entries.filter(([type]) => !isJson(type) && type !== "multipart/form-data" && type !== "text/plain").map(([type]) => type);
  const modes = new Map();
  for (const [type, media] of entries) {
    const schema = resolve(media.schema);
    if (isJson(type)) modes.set("JSON", () => jsonMode(type, media));
    else if (type === "text/plain") modes.set("Text", () => textMode(json?.[1] ?? media));
    else if (type !== "multipart/form-data") modes.set("File", () => fileMode(files));
    else if (Object.keys(schema.properties ?? {}).length > 0) modes.set("Form", () => formMode(schema, resolve(json?.[1].schema), examplesOf(json?.[1])));
  }
  return modes;
}

function examplesOf(media) {
  const named = Object.entries(media?.examples ?? {}).map(([name, example]) => [resolve(example).summary ?? name, resolve(example).value]);
  if (named.length > 0) return named;
  if (media?.example !== undefined) return [["example", media.example]];
  const listed = resolve(media?.schema).examples;
  return Array.isArray(listed) ? listed.map((value, i) => ["example " + (i + 1), value]) : [];
}

const firstValue = (media) => {
  const [first] = examplesOf(media);
  return first === undefined ? sample(media.schema) : first[1];
};

function choice(label, names, onchange) {
  const select = el("select", { onchange }, names.map((name) => el("option", {}, name)));
  return { select, node: el("label", { class: "choice" }, label, select) };
}

function jsonMode(type, media) {
  const area = el("textarea", { rows: 4, spellcheck: "false", autocapitalize: "off", "aria-label": "Input as JSON" });
  const warning = el("p", { class: "warning", role: "alert" });
  const examples = examplesOf(media);
  const load = (value) => {
    area.value = print(value);
    check();
  };
  const check = () => {
    warning.textContent = "";
    area.removeAttribute("aria-invalid");
  };
  load(firstValue(media));
  area.addEventListener("input", check);
  const picker = choice("Example", examples.map(([name]) => name.replace(/^example (?=\d)/, "")), () => {
    load(examples[picker.select.selectedIndex][1]);
    area.dispatchEvent(new Event("input", { bubbles: true }));
  });
  const read = () => {
    try {
      JSON.parse(area.value);
      return { headers: { "content-type": type }, body: area.value };
    } catch (error) {
      warning.textContent = "This is not JSON: " + error.message;
      area.setAttribute("aria-invalid", "true");
      area.focus();
      return undefined;
    }
  };
  const curl = () => {
    const text = area.value.replace(/("(?:\\.|[^"\\])*")|\s+/g, "$1");
    return ["-H " + quote("content-type: " + type), "-d " + (text.length > 1500 ? "@input.json" : quote(text))];
  };
  return { nodes: [area, warning], extra: examples.length > 1 ? picker.node : undefined, read, curl };
}

function textMode(media) {
  const area = el("textarea", { rows: 4, "aria-label": "Input as text" });
  const value = firstValue(media);
  area.value = typeof value === "string" ? value : "";
  const headers = { "content-type": "text/plain; charset=utf-8" };
  const curl = () => ["-H " + quote("content-type: text/plain"), "--data-raw " + quote(area.value)];
  return { nodes: [area], read: () => ({ headers, body: area.value }), curl };
}

const fits = (type, pattern) => pattern === "*/*" || type === pattern || (pattern.endsWith("/*") && type.startsWith(pattern.slice(0, -1)));

function fileMode(types) {
  const input = el("input", { type: "file", accept: types.includes("*/*") ? undefined : types.map((type) => (type.includes("npy") ? ".npy" : type)).join(","), "aria-label": "File to send" });
  const warning = el("p", { class: "warning", role: "alert" });
  const typeOf = (file) => {
    const npy = types.find((type) => type.includes("npy"));
    if (npy !== undefined && (file === undefined || file.name.endsWith(".npy"))) return npy;
    if (file?.type && types.some((type) => fits(file.type, type))) return file.type;
    return types.find((type) => !type.includes("*")) ?? (file?.type || (types[0].startsWith("image/") ? "image/png" : "application/octet-stream"));
  };
  const read = () => {
    const [file] = input.files;
    warning.textContent = file === undefined ? "Choose a file first." : "";
    if (file === undefined) return undefined;
    const headers = { "content-type": typeOf(file), "content-disposition": "attachment; filename*=UTF-8''" + encodeURIComponent(file.name) };
    return { headers, body: file };
  };
  const curl = () => ["-H " + quote("content-type: " + typeOf(input.files[0])), "--data-binary " + quote("@" + (input.files[0]?.name ?? "input"))];
  return { nodes: [input, warning], read, curl };
}

function formMode(schema, jsonSchema, examples) {
  const required = schema.required ?? [];
  const rows = Object.entries(schema.properties).map(([name, given]) => {
    const asJson = resolve(jsonSchema.properties?.[name]);
    return { name, isRequired: required.includes(name), ...formInput(resolve(given), asJson, examples[0]?.[1]?.[name]) };
  });
  const warning = el("p", { class: "warning", role: "alert" });
  const read = () => {
    const missing = rows.find((row) => row.isRequired && row.isFile && row.input.files.length === 0);
    warning.textContent = missing ? "Choose a file for " + missing.name + " first." : "";
    if (missing) return undefined;
    const body = new FormData();
    for (const { name, isFile, isJson, input } of rows) {
      if (isFile) for (const file of input.files) body.append(name, file);
      else if (input.value !== "") body.append(name, isJson && parses(input.value) ? new Blob([input.value], { type: "application/json" }) : input.value);
    }
    return { headers: {}, body };
  };
  const curl = () => rows.flatMap(({ name, isFile, isJson, input }) => {
    if (isFile) return [...(input.files.length > 0 ? input.files : [{ name }])].map((file) => "-F " + quote(name + "=@" + file.name));
    if (isJson && parses(input.value)) return ["-F " + quote(name + "=\"" + input.value.replace(/["\\]/g, "\\$&") + "\";type=application/json")];
    return input.value === "" ? [] : [(/^[@<]|;/.test(input.value) ? "--form-string " : "-F ") + quote(name + "=" + input.value)];
  });
  const nodes = rows.map(({ name, isRequired, type, input }) => {
    input.id = "field-" + nextId++;
    return el("div", {}, el("label", { for: input.id }, name, el("span", {}, type + (isRequired ? "" : ", optional"))), input);
  });
  return { nodes: [el("div", { class: "inputs" }, nodes), warning], read, curl };
}

const parses = (text) => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

let nextId = 0;

function formInput(schema, asJson, example) {
  const items = resolve(schema.items);
  const type = typeWords(asJson.type || asJson.title ? asJson : schema);
  if (isFile(schema) || isFile(items)) {
    const accept = asJson.properties?.contentType?.description ?? schema.contentMediaType;
    const input = el("input", { type: "file", multiple: isFile(items), accept: accept === "application/octet-stream" ? undefined : accept });
    return { type, input, isFile: true };
  }
  const value = example ?? schema.default;
  const options = schema.enum ?? (schema.type === "boolean" ? [true, false] : undefined);
  if (options !== undefined) {
    const input = el("select", {}, el("option", { value: "" }, "—"), options.map((option) => el("option", { selected: option === value }, String(option))));
    return { type, input };
  }
  const isText = schema.type === "string";
  const isNumber = schema.type === "number" || schema.type === "integer";
  const text = value === undefined ? "" : isText ? String(value) : print(value);
  const input = isText || isNumber ? el("input", { type: "text", inputmode: isNumber ? "decimal" : undefined }) : el("textarea", { rows: 1, spellcheck: "false", placeholder: "JSON" });
  input.value = text;
  return { type, input, isJson: !isText && !isNumber };
}

const quote = (text) => "'" + text.replaceAll("'", "'\\''") + "'";

function drawTry(api) {
  const url = new URL("." + encodeURI(api.path), base).href;
  const modes = readModes(api);
  const place = el("div", {});
  const extra = el("span", {});
  const command = el("pre", { tabindex: "0", "aria-label": "curl command" });
  const result = el("div", { hidden: true });
  const offers = Object.keys(api.answers);
  let mode = { nodes: [], read: () => ({ headers: {} }), curl: () => [] };
  const open = (name) => {
    mode = modes.get(name)?.() ?? mode;
    place.replaceChildren(...mode.nodes);
    extra.replaceChildren(...(mode.extra ? [mode.extra] : []));
    update();
  };
  const body = choice("Body", [...modes.keys()], () => open(body.select.value));
  const accept = choice("Accept", offers, () => update());
  if (api.isStream && offers.includes("text/event-stream")) accept.select.value = "text/event-stream";
  const update = () => {
    const asked = offers.length > 1 ? ["-H " + quote("accept: " + accept.select.value)] : [];
    const sent = mode.curl();
    // Without anything to send, curl would ask with GET.
    const method = sent.length === 0 ? "-X POST " : "";
    const lines = ["curl " + (api.isStream ? "-N " : "") + method + (/^[\w:/.%~-]+$/.test(url) ? url : quote(url)), ...sent, ...asked];
    command.textContent = lines.join(" \\\n  ");
  };
  const button = el("button", { class: "primary", type: "submit" }, "Send");
  let running;
  const send = async () => {
    if (running) return running.abort();
    const request = mode.read();
    if (request === undefined) return;
    running = new AbortController();
    button.textContent = "Stop";
    button.classList.add("running");
    if (accept.select.value) request.headers.accept = accept.select.value;
    await callApi(url, { method: "POST", ...request, signal: running.signal }, { place: result, isStream: api.isStream });
    running = undefined;
    button.textContent = "Send";
    button.classList.remove("running");
  };
  const submit = (event) => {
    event.preventDefault();
    void send();
  };
  const keys = (event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && !running && submit(event);
  const choices = [extra, modes.size > 1 ? body.node : undefined, offers.length > 1 ? accept.node : undefined];
  const form = el("form", { onsubmit: submit, oninput: () => update(), onkeydown: keys }, el("div", { class: "bar" }, el("h3", {}, "Try it"), choices), place, el("div", { class: "send" }, button, modes.size > 0 ? el("kbd", {}, /Mac|iP/.test(navigator.platform) ? "⌘ Enter" : "Ctrl Enter") : undefined));
  const copy = el("button", { class: "small", type: "button", onclick: () => copyText(command.textContent, copy) }, "Copy");
  open(modes.keys().next().value);
  return el("div", { class: "try" }, form, result, el("div", { class: "curl" }, command, copy));
}

async function copyText(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without TLS a page has no clipboard but this one.
    const area = el("textarea", {});
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    button.focus();
  }
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), 1500);
}
`;
