import { callApi } from "./call-api.js";
import { onAuthorization, readAuthorization } from "./credentials.js";
import { curlCommand } from "./curl.js";
import type { DocumentedApi } from "./documented-api.js";
import { el } from "./element.js";
import { choice, noInput, readModes } from "./input-modes.js";

/** Draws the form that calls an api, the same call as a curl command, and a place for the answer. */
export function drawTry(api: DocumentedApi, base: URL): HTMLElement {
  const url = new URL(`.${encodeURI(api.path)}`, base).href;
  const offers = Object.keys(api.answers);
  const modes = readModes(api);
  const place = el("div", {});
  const extra = el("span", {});
  const command = el("pre", { tabindex: "0", "aria-label": "curl command" });
  const result = el("div", { hidden: true });
  let mode = noInput;
  const update = () => {
    const asked = offers.length > 1 ? accept.select.value : undefined;
    const isKnown = readAuthorization() !== undefined;
    command.textContent = curlCommand(url, { isStream: api.isStream, body: mode.curl(), accept: asked, isKnown });
  };
  onAuthorization(update);
  const open = (name: string | undefined) => {
    mode = modes.get(name ?? "")?.() ?? mode;
    place.replaceChildren(...mode.nodes);
    extra.replaceChildren(...(mode.extra ? [mode.extra] : []));
    update();
  };
  const body = choice("Body", [...modes.keys()], () => open(body.select.value));
  const accept = choice("Accept", offers, update);
  if (api.isStream && offers.includes("text/event-stream")) accept.select.value = "text/event-stream";
  const button = el("button", { class: "primary", type: "submit" }, "Send");
  const send = createSender(button, async (signal) => {
    const request = mode.read();
    if (request === undefined) return;
    if (accept.select.value) request.headers["accept"] = accept.select.value;
    const authorization = readAuthorization();
    if (authorization !== undefined) request.headers["authorization"] = authorization;
    await callApi(url, { method: "POST", ...request, signal }, { place: result, isStream: api.isStream });
  });
  const choices = [extra, modes.size > 1 ? body.node : undefined, offers.length > 1 ? accept.node : undefined];
  const bar = el("div", { class: "bar" }, el("h3", {}, "Try it"), choices);
  const keys = modes.size > 0 ? el("kbd", {}, /Mac|iP/.test(navigator.platform) ? "⌘ Enter" : "Ctrl Enter") : undefined;
  const form = el(
    "form",
    { onsubmit: send.submit, oninput: update, onkeydown: send.keydown },
    bar,
    place,
    el("div", { class: "send" }, button, keys),
  );
  const copy = el("button", { class: "small", type: "button" }, "Copy");
  copy.addEventListener("click", () => copyText(command.textContent ?? "", copy));
  open(modes.keys().next().value);
  return el("div", { class: "try" }, form, result, el("div", { class: "curl" }, command, copy));
}

/** Makes the listeners of a form whose button sends, and stops what is under way. */
function createSender(button: HTMLElement, call: (signal: AbortSignal) => Promise<void>) {
  let running: AbortController | undefined;
  const send = async () => {
    if (running) return running.abort();
    running = new AbortController();
    button.textContent = "Stop";
    button.classList.add("running");
    await call(running.signal);
    running = undefined;
    button.textContent = "Send";
    button.classList.remove("running");
  };
  const submit = (event: Event) => {
    event.preventDefault();
    void send();
  };
  const keydown = (event: KeyboardEvent) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !running) submit(event);
  };
  return { submit, keydown };
}

/** Milliseconds for which the button says "Copied". */
const copiedMs = 1500;

async function copyText(text: string, button: HTMLElement): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // A page without TLS has no other access to the clipboard.
    const area = el("textarea", {});
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    button.focus();
  }
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), copiedMs);
}
