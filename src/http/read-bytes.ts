import type { Readable } from "node:stream";
import { fail } from "../failure/fail.js";
import type { ServingError } from "../failure/serving-error.js";
import { bodyFailure } from "./body-failure.js";
import type { BodyWatch, WatchedBody } from "./body-watch.js";
import { ByteGatherer } from "./byte-gatherer.js";

/** Bounds of a body, and who looks after its time. */
export interface BodyLimits {
  readonly maxBodyBytes: number;
  /** To the first byte, and again to the last. */
  readonly bodyTimeoutMs: number;
  readonly watch: BodyWatch;
}

/** Who waits for a body: is told of its bytes or of what went wrong, once. */
export interface BytesReceiver {
  receive(bytes: Uint8Array): void;
  refuse(error: unknown): void;
}

/**
 * Collects a request's body.
 *
 * Refuses with `body_too_large` (at once when the headers already say so), `body_timeout`, or `cancelled` when the client
 * went away. What is left of the body is then unread: see `discardRest`.
 */
export function readBytes(source: Readable, declared: string | undefined, reading: BodyReading): void {
  if (declared !== undefined && Number(declared) > reading.limits.maxBodyBytes) {
    reading.receiver.refuse(tooLarge(reading.limits));
  } else {
    new BodyReader(reading).read(source);
  }
}

/** One body to be read, and for whom. */
export interface BodyReading {
  readonly limits: BodyLimits;
  readonly receiver: BytesReceiver;
}

class BodyReader implements WatchedBody {
  deadline = 0;
  previous: WatchedBody | undefined = undefined;
  next: WatchedBody | undefined = undefined;
  readonly #limits: BodyLimits;
  readonly #receiver: BytesReceiver;
  readonly #bytes = new ByteGatherer();
  #isOver = false;

  constructor({ limits, receiver }: BodyReading) {
    this.#limits = limits;
    this.#receiver = receiver;
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
    source.on("error", (error) => this.#fail(() => bodyFailure(error)));
  }

  expire(): void {
    this.#fail(() => fail("body_timeout", { timeoutMs: this.#limits.bodyTimeoutMs }));
  }

  #take(chunk: Uint8Array): void {
    if (this.#isOver) return;
    if (this.#bytes.size === 0) this.deadline = 0;
    this.#bytes.push(chunk);
    if (this.#bytes.exceeds(this.#limits.maxBodyBytes)) this.#fail(() => tooLarge(this.#limits));
  }

  #finish(): void {
    if (this.#isOver) return;
    this.#end();
    this.#receiver.receive(this.#bytes.take());
  }

  #fail(createReason: () => ServingError): void {
    if (this.#isOver) return;
    this.#end();
    this.#bytes.clear();
    this.#receiver.refuse(createReason());
  }

  #end(): void {
    this.#isOver = true;
    this.#limits.watch.remove(this);
  }
}

const tooLarge = ({ maxBodyBytes }: BodyLimits): ServingError => fail("body_too_large", { maxBodyBytes });
