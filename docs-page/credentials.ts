import { toAuthorization } from "./curl.js";
import { el } from "./element.js";

let value = "";
const listeners: (() => void)[] = [];

/** Returns the `authorization` header of the page's calls; `undefined` while the reader has given none. */
export const readAuthorization = (): string | undefined => toAuthorization(value);

/** Calls `listener` when the reader changes the header. */
export function onAuthorization(listener: () => void): void {
  listeners.push(listener);
}

/**
 * Draws the field for the header. Its text is kept as long as the page, and nowhere else.
 *
 * @param apiBase Address that it is sent to, which is shown when it is another one than the page's.
 */
export function drawCredentials(apiBase: URL): HTMLElement {
  const target = apiBase.origin === location.origin ? undefined : el("span", {}, `for ${apiBase.origin}`);
  const input = el("input", {
    ...{ type: "password", autocomplete: "off", placeholder: "a key or token, or a scheme and its value" },
    oninput: () => {
      value = input.value;
      for (const listener of listeners) listener();
    },
  });
  return el("label", { class: "credentials" }, el("code", {}, "authorization"), input, target);
}
