import { fail } from "../failure/failures.js";
import { toServingError } from "../failure/to-serving-error.js";
import type { CallLimit, CallPlace } from "./call-limit.js";
import { encodeJson } from "./encode-input.js";

/** An input that is a stream, on its way to a server as the body of a request. */
export interface Upload {
  readonly body: ReadableStream<Uint8Array>;
  readonly headers: Readonly<Record<string, string>>;
  /** Nothing more is wanted: ends the producer, once. */
  stop(): void;
}

/** What an upload is for. */
interface UploadDeps {
  /** What the server takes for this api, as media types. */
  readonly mediaTypes: readonly string[];
  readonly limit: CallLimit;
  readonly place: CallPlace;
}

const linesType = "application/x-ndjson";
const bytesType = "application/octet-stream";

/** Whether a value is sent item by item; a list is sent as one value, and the server takes it for a stream. */
export function isItems(value: unknown): value is AsyncIterable<unknown> | Iterable<unknown> {
  if (typeof value !== "object" || value === null || value instanceof Blob) return false;
  if (Symbol.asyncIterator in value) return true;
  return Symbol.iterator in value && !Array.isArray(value) && !ArrayBuffer.isView(value) && !isCollection(value);
}

const isCollection = (value: object): boolean => value instanceof Map || value instanceof Set;

/**
 * Makes the body of a request out of a stream of items: a line of JSON for each, or their bytes as they are. An item is asked
 * for when the connection takes it.
 *
 * @throws {ServingError} `upload_unsupported` where the runtime sends no streams; whatever the first item fails with, where
 *   that has to tell which of the two forms it is.
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
      // A blank line, which means nothing: Node sends the head of a request with the first of its body, and the answer may
      // come before there is an item.
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

/** Items as they are pulled from the caller; what they fail with ends the call. */
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

  /** Looks at the first item, which `take` gives all the same. */
  async holdsBytes(): Promise<boolean> {
    this.#first = await this.#next();
    return this.#first.value instanceof Uint8Array;
  }

  /** The next item, encoded; `undefined` at the end. */
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
    // Nobody is left to be told what goes wrong while it cleans up.
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
    throw fail("not_transferable", { path, what: "no Uint8Array, as the items before it were" }, this.#place);
  }

  /** The request breaks off, which tells the server no more than that; the caller is told the reason. */
  #fail(error: unknown): unknown {
    const failure = toServingError(error, this.#place.service, this.#place.api);
    this.#limit.fail(failure);
    return failure;
  }
}

let isAble: boolean | undefined;

/** Browsers that can't send a stream send the words "[object ReadableStream]" instead, and ask for no `duplex`. */
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
