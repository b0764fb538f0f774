import type { IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";
import { fail } from "../failure/fail.js";
import type { ServingError } from "../failure/serving-error.js";
import type { BodyWatch, WatchedBody } from "./body-watch.js";

/** Bounds of a body, and who looks after its time. */
export interface BodyLimits {
  readonly maxBodyBytes: number;
  /** To the first byte, and again to the last. */
  readonly bodyTimeoutMs: number;
  readonly watch: BodyWatch;
}

/**
 * Collects a request's body and decodes it.
 *
 * @param decode May throw, and may give a promise.
 * @throws {ServingError} `body_too_large` (at once when the headers already say so), `body_timeout`, or `cancelled` when
 *   the client went away; and what `decode` throws. What is left of the body is then unread: see `discardRest`.
 */
export function readBytes<T>(
  source: Readable,
  headers: IncomingHttpHeaders,
  limits: BodyLimits,
  decode: (bytes: Uint8Array) => T | Promise<T>,
): Promise<T> {
  const declared = headers["content-length"];
  if (declared !== undefined && Number(declared) > limits.maxBodyBytes) return Promise.reject(tooLarge(limits));
  return new Promise((resolve, reject) => new BodyReader(limits, { decode, resolve, reject }).read(source));
}

/** Where a body goes. */
interface BodySink<T> {
  readonly decode: (bytes: Uint8Array) => T | Promise<T>;
  readonly resolve: (value: T | Promise<T>) => void;
  readonly reject: (reason: unknown) => void;
}

class BodyReader<T> implements WatchedBody {
  deadline: number;
  previous: WatchedBody | undefined = undefined;
  next: WatchedBody | undefined = undefined;
  readonly #limits: BodyLimits;
  readonly #sink: BodySink<T>;
  #chunks: Uint8Array[] = [];
  #size = 0;
  #isOver = false;

  constructor(limits: BodyLimits, sink: BodySink<T>) {
    this.#limits = limits;
    this.#sink = sink;
    this.deadline = limits.watch.clock.now() + limits.bodyTimeoutMs;
  }

  /** Listeners stay to the end of the request: an error must find one even when nobody reads any more. */
  read(source: Readable): void {
    this.#limits.watch.add(this);
    const take = (chunk: Uint8Array) => this.#take(chunk);
    source.on("data", take);
    source.on("end", () => {
      // Left to itself Node takes this one off in a slower way.
      source.off("data", take);
      this.#finish();
    });
    source.on("error", () => this.#fail(() => fail("cancelled", { reason: "the client closed the connection" })));
  }

  expire(): void {
    this.#fail(() => fail("body_timeout", { timeoutMs: this.#limits.bodyTimeoutMs }));
  }

  #take(chunk: Uint8Array): void {
    if (this.#isOver) return;
    if (this.#size === 0) this.deadline = this.#limits.watch.clock.now() + this.#limits.bodyTimeoutMs;
    this.#size += chunk.length;
    if (this.#size > this.#limits.maxBodyBytes) this.#fail(() => tooLarge(this.#limits));
    else this.#chunks.push(chunk);
  }

  #finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#limits.watch.remove(this);
    const { decode, resolve, reject } = this.#sink;
    try {
      resolve(decode(joinChunks(this.#chunks, this.#size)));
    } catch (error) {
      reject(error);
    }
  }

  #fail(createReason: () => ServingError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#limits.watch.remove(this);
    this.#chunks = [];
    this.#sink.reject(createReason());
  }
}

const tooLarge = ({ maxBodyBytes }: BodyLimits): ServingError => fail("body_too_large", { maxBodyBytes });

/** Memory of their own, not a piece of Node's pool: the bytes may become a tensor or reach an author's code. */
function joinChunks(chunks: readonly Uint8Array[], size: number): Uint8Array {
  if (chunks.length === 1) return chunks[0] as Uint8Array;
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
