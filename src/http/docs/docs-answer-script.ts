/** The part of the docs page's script that calls an api and shows what came back; it stands inside `docsScript`. */
export const docsAnswerScript = String.raw`
// Values as text.

/** An integer as the server wrote it, where a double would round it. */
class Exact {
  constructor(text) {
    this.text = text;
  }
}
const keepExact = (_, value, context) =>
  Number.isInteger(value) && !Number.isSafeInteger(value) && context?.source ? new Exact(context.source) : value;

const lineLength = 64;

/** JSON for people: short lists and objects on one line, long lists of numbers filled like a paragraph. */
function print(value, indent = "", isCompact = false) {
  if (value instanceof Exact) return value.text;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "";
  const isList = Array.isArray(value);
  const inner = indent + "  ";
  const parts = isList
    ? value.map((item) => print(item, inner))
    : Object.entries(value).map(([key, item]) => JSON.stringify(key) + ": " + print(item, inner));
  const [open, close] = isList ? ["[", "]"] : ["{", "}"];
  if (parts.length === 0) return open + close;
  const line = parts.join(", ");
  const isShort = line.length + indent.length <= lineLength && !line.includes("\n");
  if (isShort && (isList || isCompact || indent !== "")) return isList ? "[" + line + "]" : "{ " + line + " }";
  const isFilled = isList && value.every((item) => typeof item !== "object" && String(item).length <= 24);
  return open + "\n" + inner + (isFilled ? fill(parts, inner) : parts.join(",\n" + inner)) + "\n" + indent + close;
}

function fill(parts, indent) {
  let text = "";
  let used = 0;
  parts.forEach((item, i) => {
    const isBreak = used > 0 && used + item.length > lineLength - indent.length;
    text += (i === 0 ? "" : isBreak ? ",\n" + indent : ", ") + item;
    used = (isBreak ? 0 : used) + item.length + 2;
  });
  return text;
}

const token = /("(?:\\.|[^"\\])*")(\s*:)?|\b(?:true|false|null)\b|-?\d[\d.eE+-]*/g;
const maxColoured = 60000;

function colour(text) {
  if (text.length > maxColoured) return [text];
  const nodes = [];
  let at = 0;
  for (const match of text.matchAll(token)) {
    const [whole, quoted, colon] = match;
    const kind = quoted ? (colon ? "k" : "s") : /^[tfn]/.test(whole) ? "l" : "n";
    nodes.push(text.slice(at, match.index), el("span", { class: kind }, quoted ?? whole), colon ?? "");
    at = match.index + whole.length;
  }
  return [...nodes, text.slice(at)];
}

function parse(text) {
  try {
    return { value: JSON.parse(text, keepExact) };
  } catch {
    return undefined;
  }
}

const drawText = (text, isCompact) => {
  const parsed = parse(text);
  return el("pre", {}, parsed === undefined ? text : colour(print(parsed.value, "", isCompact)));
};
const formatSize = (bytes) => (bytes < 1000 ? bytes + " B" : bytes < 1e6 ? (bytes / 1000).toFixed(1) + " kB" : (bytes / 1e6).toFixed(1) + " MB");
const formatTime = (ms) => (ms < 10000 ? Math.round(ms) + " ms" : (ms / 1000).toFixed(1) + " s");

// The answer.

const shownHeaders = ["x-request-id", "content-type", "content-disposition", "retry-after", "server-timing"];

async function callApi(url, request, { place, isStream }) {
  const started = performance.now();
  const elapsed = () => performance.now() - started;
  const status = el("p", { class: "status", role: "status" }, el("b", { class: "plain" }, "Waiting …"));
  const more = el("div", {});
  place.hidden = false;
  place.replaceChildren(status, more);
  const tell = (word, kind, ...facts) => status.replaceChildren(el("b", { class: kind }, word), ...facts.map((fact) => el("span", {}, fact)));
  let word = "";
  try {
    const response = await fetch(url, request);
    word = (response.status + " " + response.statusText).trim();
    const headers = shownHeaders.filter((name) => response.headers.has(name));
    more.append(el("div", { class: "headers" }, headers.map((name) => el("div", {}, name + ": " + response.headers.get(name)))));
    tell(word, response.ok ? "" : "bad", formatTime(elapsed()) + " to headers");
    const type = essence(response.headers.get("content-type"));
    if (!response.ok) return await showRefusal(response, more, () => tell(word, "bad", formatTime(elapsed())));
    if (isStream && /^(text\/event-stream|application\/x-ndjson|text\/plain)$/.test(type)) return await showStream(response, type, { status, more, elapsed, tell: (kind, ...facts) => tell(word, kind, ...facts) });
    const blob = await response.blob();
    tell(word, "", formatTime(elapsed()), formatSize(blob.size));
    more.append(await drawBody(blob, type, response.headers.get("content-disposition")));
  } catch (error) {
    if (error.name === "AbortError") tell(word || "Stopped", "plain", word ? "stopped" : "", "after " + formatTime(elapsed()));
    else {
      tell(word || "No answer", "bad", formatTime(elapsed()));
      more.append(drawFailure({ error: word ? "The connection was cut off before the answer was complete." : "The server could not be reached: " + error.message }));
    }
  }
}

async function showRefusal(response, more, tell) {
  const text = await response.text();
  tell();
  const failure = parse(text)?.value;
  more.append(isObject(failure) && typeof failure.error === "string" ? drawFailure(failure) : el("div", { class: "body" }, drawText(text)));
}

function drawFailure({ error, code, id, service, api, details, incident, requestId }) {
  const place = [service, api].filter(Boolean).join(".");
  const trace = [place && "in " + place, incident && "incident " + incident, requestId && "request " + requestId].filter(Boolean);
  return el(
    "div",
    { class: "failure", role: "alert" },
    code ? el("p", { class: "code" }, code + (id && id !== code ? " · " + id : "")) : undefined,
    el("p", { class: "message" }, error),
    trace.length > 0 ? el("p", { class: "trace" }, trace.join(" · ")) : undefined,
    isObject(details) && Object.keys(details).length > 0 ? el("pre", {}, colour(print(details))) : undefined,
  );
}

async function drawBody(blob, type, disposition) {
  const box = el("div", { class: "body", tabindex: "0", role: "region", "aria-label": "Body of the answer" });
  if (blob.size === 0) box.append(el("p", { class: "download quiet" }, "No body."));
  else if (type.startsWith("image/")) box.append(el("img", { src: await readDataUrl(blob), alt: "The image that was answered" }));
  else if (isJson(type)) box.append(drawText(await blob.text()));
  else if (type.startsWith("text/")) box.append(el("pre", {}, await blob.text()));
  else {
    const name = /filename="([^"]*)"/.exec(disposition ?? "")?.[1] ?? (type.includes("npy") ? "answer.npy" : "answer");
    box.append(el("p", { class: "download" }, el("a", { href: URL.createObjectURL(blob), download: name }, "Download " + name), " (" + formatSize(blob.size) + ")"));
  }
  return box;
}

function readDataUrl(blob) {
  return new Promise((done, refuse) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.onerror = () => refuse(reader.error);
    reader.readAsDataURL(blob);
  });
}

const maxShown = 1000;

/** Shows items as they come; what a stream was cut off by is told after them. */
async function showStream(response, type, { status, more, elapsed, tell }) {
  // Read aloud is how a stream ended, not every item on the way.
  status.setAttribute("aria-live", "off");
  const end = (...facts) => {
    status.setAttribute("aria-live", "polite");
    tell(...facts);
  };
  const isText = type === "text/plain";
  const list = isText ? el("pre", {}) : el("ul", { class: "items" });
  const box = el("div", { class: "body", tabindex: "0", role: "region", "aria-label": "Items of the answer" }, list);
  let count = 0;
  let last;
  const facts = () => [isText ? undefined : plural(count, "item"), last === undefined ? undefined : "first after " + formatTime(last.first)].filter(Boolean);
  const add = (text) => {
    if (count++ === 0) more.append(box);
    last ??= { first: elapsed() };
    last.text = text;
    const isAtEnd = box.scrollTop + box.clientHeight > box.scrollHeight - 24;
    list.append(isText ? text : el("li", {}, el("time", {}, formatTime(elapsed())), drawText(text, true)));
    if (list.childNodes.length > maxShown) list.firstChild.remove();
    if (isAtEnd) box.scrollTop = box.scrollHeight;
    tell("", formatTime(elapsed()), ...facts());
  };
  const fail = (failure) => {
    end("bad", "failed after " + formatTime(elapsed()), ...facts());
    more.append(drawFailure(failure));
  };
  try {
    for await (const event of splitStream(response.body, type)) {
      if (event.name === "error") return fail(parse(event.text)?.value ?? { error: event.text });
      add(event.text);
    }
    end("", formatTime(elapsed()), ...facts(), count > maxShown ? "the last " + maxShown + " shown" : "complete");
  } catch (error) {
    if (error.name === "AbortError") return end("plain", "stopped after " + formatTime(elapsed()), ...facts());
    const failure = parse(last?.text ?? "")?.value;
    const isFailure = isObject(failure) && typeof failure.error === "string" && typeof failure.code === "string";
    if (isFailure && count-- > 0) list.lastChild.remove();
    fail(isFailure ? failure : { error: "The stream was cut off before its end." });
  }
}

async function* splitStream(body, type) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  const separator = type === "text/event-stream" ? /\r?\n\r?\n/ : /\r?\n/;
  let rest = "";
  for (let step = await reader.read(); !step.done; step = await reader.read()) {
    if (type === "text/plain") {
      yield { text: step.value };
      continue;
    }
    const parts = (rest + step.value).split(separator);
    rest = parts.pop();
    for (const text of parts) if (text !== "") yield type === "text/event-stream" ? readEvent(text) : { text };
  }
  if (rest.trim() !== "") yield type === "text/event-stream" ? readEvent(rest) : { text: rest };
}

function readEvent(block) {
  const fields = block.split(/\r?\n/).map((line) => /^(\w+):? ?(.*)$/.exec(line) ?? []);
  const all = (name) => fields.filter(([, field]) => field === name).map(([, , text]) => text);
  return { name: all("event").at(-1), text: all("data").join("\n") };
}
`;
