import { fail } from "../failure/client-failures.js";
import { ServingError } from "../failure/serving-error.js";
import type { CallLimit, CallPlace } from "./call-limit.js";
import { encodeJson } from "./encode-input.js";

/** An input that is a stream, sent as the body of a request. */
export interface Upload {
  readonly body: ReadableStream<Uint8Array>;
  readonly headers: Readonly<Record<string, string>>;
  /** Ends the producer, once: nothing more is wanted. */
  stop(): void;
}

/** Dependencies of an upload. */
interface UploadDeps {
  /** Content types that the server takes for this api. */
  readonly mediaTypes: readonly string[];
  readonly limit: CallLimit;
  readonly place: CallPlace;
}

const linesType = "application/x-ndjson";
const bytesType = "application/octet-stream";

/** True for a value that is sent item by item. A list is sent as one value, which the server accepts as a stream. */
export function isItems(value: unknown): value is AsyncIterable<unknown> | Iterable<unknown> {
  if (typeof value !== "object" || value === null || value instanceof Blob) return false;
  if (Symbol.asyncIterator in value) return true;
  return Symbol.iterator in value && !Array.isArray(value) && !ArrayBuffer.isView(value) && !isCollection(value);
}

const isCollection = (value: object): boolean => value instanceof Map || value instanceof Set;

/**
 * Turns a stream of items into the body of a request: a line of JSON for each item, or its bytes as they are. An item
 * is asked for when the connection accepts it.
 *
 * @throws {ServingError} `upload_unsupported` where the runtime can't send streams; the error of the first item, when
 *   that item has to decide between the two forms.
 */
export async function createUpload(
  source: AsyncIterable<unknown> | Iterable<unknown>,
  { mediaTypes, limit, place }: UploadDeps,
): Promise<Upload> {
  if (!canUpload()) throw fail("upload_unsupported", {}, place);
  const items = new UploadItems(source, limit, place);
  const isBytes = mediaTypes.includes(bytesType) && (!mediaTypes.includes(linesType) || (await items.holdsBytes()));
  const body = new ReadableStream<Uint8Array>(
    {
      // Sends a blank line, which the server skips. Node sends the head of a request together with the first bytes of
      // its body, and the answer may come before there is an item.
      start: (controller) => {
        if (!isBytes) controller.enqueue(encoder.encode("\n"));
      },
      pull: async (controller) => {
        const chunk = await items.take(isBytes);
        if (chunk === undefined) controller.close();
        else controller.enqueue(chunk);
      },
      cancel: () => items.stop(),
    },
    { highWaterMark: 0 },
  );
  return { body, headers: { "content-type": isBytes ? bytesType : linesType }, stop: () => items.stop() };
}

const encoder = new TextEncoder();

/** Pulls items from the caller. An error of the caller's stream ends the call. */
class UploadItems {
  readonly #items: AsyncIterator<unknown> | Iterator<unknown>;
  readonly #limit: CallLimit;
  readonly #place: CallPlace;
  #first: IteratorResult<unknown> | undefined;
  #index = 0;
  #isEnded = false;

  constructor(source: AsyncIterable<unknown> | Iterable<unknown>, limit: CallLimit, place: CallPlace) {
    this.#items = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
    this.#limit = limit;
    this.#place = place;
  }

  /** Looks at the first item, which `take` still returns. */
  async holdsBytes(): Promise<boolean> {
    this.#first = await this.#next();
    return this.#first.value instanceof Uint8Array;
  }

  /** Returns the next item, encoded; `undefined` at the end. */
  async take(isBytes: boolean): Promise<Uint8Array | undefined> {
    const step = this.#first ?? (await this.#next());
    this.#first = undefined;
    if (step.done === true) return undefined;
    try {
      return await this.#encode(step.value, isBytes);
    } catch (error) {
      this.stop();
      throw this.#fail(error);
    }
  }

  stop(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    // No caller is left to receive an error of its cleanup.
    try {
      Promise.resolve(this.#items.return?.()).catch(() => {});
    } catch {}
  }

  async #next(): Promise<IteratorResult<unknown>> {
    if (this.#isEnded) return { done: true, value: undefined };
    try {
      const step = await this.#items.next();
      if (step.done === true) this.#isEnded = true;
      return step;
    } catch (error) {
      this.#isEnded = true;
      throw this.#fail(error);
    }
  }

  async #encode(item: unknown, isBytes: boolean): Promise<Uint8Array> {
    const path = `input[${this.#index++}]`;
    if (!isBytes) return encoder.encode(`${await encodeJson(item, path)}\n`);
    if (item instanceof Uint8Array) return item;
    throw fail("not_transferable", { path, what: "not a Uint8Array, unlike the items before it" }, this.#place);
  }

  /** Ends the call with an error. The server only sees the request break off; the caller gets the reason. */
  #fail(error: unknown): unknown {
    const message = error instanceof Error ? error.message : String(error);
    const failure =
      error instanceof ServingError
        ? error
        : fail("unhandled_error", { error: message }, { ...this.#place, cause: error });
    this.#limit.fail(failure);
    return failure;
  }
}

let isAble: boolean | undefined;

/** Browsers that can't send a stream send the text "[object ReadableStream]" instead, and never read `duplex`. */
function canUpload(): boolean {
  if (isAble !== undefined) return isAble;
  let isAsked = false;
  const init = {
    method: "POST",
    body: new ReadableStream(),
    get duplex() {
      isAsked = true;
      return "half" as const;
    },
  };
  try {
    isAble = !new Request("http://localhost", init).headers.has("content-type") && isAsked;
  } catch {
    isAble = false;
  }
  return isAble;
}
