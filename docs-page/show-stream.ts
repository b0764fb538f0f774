import { type Answer, drawFailure, drawText, type Failure, formatTime, toFailure } from "./answer.js";
import { el } from "./element.js";
import { parseJson } from "./print-json.js";
import { plural } from "./schema-words.js";
import { splitStream } from "./split-stream.js";

/** Items that stay on the page; older ones are removed. */
const maxShown = 1000;

/** Shows the items of a stream as they come, and after them the failure that ended it, if any. */
export async function showStream(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  type: string,
  answer: Answer,
): Promise<void> {
  const { status, more } = answer;
  // A screen reader reads the end of the stream aloud, not every item.
  status.setAttribute("aria-live", "off");
  const end = (kind: string, ...facts: readonly (string | undefined)[]) => {
    status.setAttribute("aria-live", "polite");
    answer.tell(kind, ...facts);
  };
  const items = new ItemList(type === "text/plain", answer);
  const fail = (failure: Failure) => {
    end("bad", `failed after ${formatTime(answer.elapsedMs)}`, ...items.facts);
    more.append(drawFailure(failure));
  };
  try {
    for await (const event of splitStream(body, type)) {
      if (event.name === "error") return fail(toFailure(parseJson(event.text)?.value) ?? { error: event.text });
      items.add(event.text);
    }
    const word = items.count > maxShown ? `the last ${maxShown} shown` : "complete";
    end("", formatTime(answer.elapsedMs), ...items.facts, word);
  } catch (error) {
    if ((error as Error).name === "AbortError") {
      return end("plain", `stopped after ${formatTime(answer.elapsedMs)}`, ...items.facts);
    }
    fail(items.takeFailure() ?? { error: "The stream was cut off before its end." });
  }
}

/** The items of one stream on the page. */
class ItemList {
  count = 0;
  readonly #isText: boolean;
  readonly #answer: Answer;
  readonly #list: HTMLElement;
  readonly #box: HTMLElement;
  #firstMs: number | undefined;
  #lastText = "";

  constructor(isText: boolean, answer: Answer) {
    this.#isText = isText;
    this.#answer = answer;
    this.#list = isText ? el("pre", {}) : el("ul", { class: "items" });
    const label = "Items of the answer";
    this.#box = el("div", { class: "body", tabindex: "0", role: "region", "aria-label": label }, this.#list);
  }

  /** Facts for the status line. */
  get facts(): readonly string[] {
    const counted = this.#isText ? [] : [plural(this.count, "item")];
    return this.#firstMs === undefined ? counted : [...counted, `first after ${formatTime(this.#firstMs)}`];
  }

  add(text: string): void {
    const { elapsedMs } = this.#answer;
    if (this.count++ === 0) this.#answer.more.append(this.#box);
    this.#firstMs ??= elapsedMs;
    this.#lastText = text;
    const isAtEnd = this.#box.scrollTop + this.#box.clientHeight > this.#box.scrollHeight - 24;
    this.#list.append(this.#isText ? text : el("li", {}, el("time", {}, formatTime(elapsedMs)), drawText(text, true)));
    if (this.#list.childNodes.length > maxShown) this.#list.firstChild?.remove();
    if (isAtEnd) this.#box.scrollTop = this.#box.scrollHeight;
    this.#answer.tell("", formatTime(elapsedMs), ...this.facts);
  }

  /** Removes the last item and returns it when it is a failure: a server that cuts a stream off says why in it. */
  takeFailure(): Failure | undefined {
    const failure = toFailure(parseJson(this.#lastText)?.value);
    if (failure === undefined || typeof failure.code !== "string" || this.count === 0) return undefined;
    this.count--;
    this.#list.lastChild?.remove();
    return failure;
  }
}
