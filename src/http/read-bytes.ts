import type { IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";
import type { CallTime } from "../call/call-scope.js";
import type { Expiring } from "../call/deadline-wheel.js";
import { fail } from "../failure/fail.js";
import type { ServingError } from "../failure/serving-error.js";

/** Bounds of one body. */
export interface BodyLimits {
  readonly maxBodyBytes: number;
  /** To the first byte, and again to the last. */
  readonly bodyTimeoutMs: number;
}

/**
 * Collects a request's body.
 *
 * @throws {ServingError} `body_too_large` (at once when the headers already say so), `body_timeout`, or `cancelled` when
 *   the client went away. What is left of the body is then unread; `discardRest` sees to it.
 */
export function readBytes(
  source: Readable,
  headers: IncomingHttpHeaders,
  limits: BodyLimits,
  time: CallTime,
): Promise<Uint8Array> {
  const declared = headers["content-length"];
  if (declared !== undefined && Number(declared) > limits.maxBodyBytes) {
    return Promise.reject(fail("body_too_large", { maxBodyBytes: limits.maxBodyBytes }));
  }
  return new Promise((resolve, reject) => new BodyReader(source, limits, time).start(resolve, reject));
}

class BodyReader implements Expiring {
  deadline: number;
  readonly #source: Readable;
  readonly #limits: BodyLimits;
  readonly #time: CallTime;
  readonly #chunks: Uint8Array[] = [];
  #size = 0;
  #resolve!: (bytes: Uint8Array) => void;
  #reject!: (reason: ServingError) => void;

  constructor(source: Readable, limits: BodyLimits, time: CallTime) {
    this.#source = source;
    this.#limits = limits;
    this.#time = time;
    this.deadline = time.clock.now() + limits.bodyTimeoutMs;
  }

  start(resolve: (bytes: Uint8Array) => void, reject: (reason: ServingError) => void): void {
    this.#resolve = resolve;
    this.#reject = reject;
    this.#time.wheel.add(this);
    this.#source.on("data", this.#onData).on("end", this.#onEnd).on("error", this.#onGone).on("close", this.#onGone);
  }

  expire(): void {
    this.#stop();
    this.#reject(fail("body_timeout", { timeoutMs: this.#limits.bodyTimeoutMs }));
  }

  readonly #onData = (chunk: Uint8Array): void => {
    if (this.#size === 0) {
      this.#time.wheel.remove(this);
      this.deadline = this.#time.clock.now() + this.#limits.bodyTimeoutMs;
      this.#time.wheel.add(this);
    }
    this.#size += chunk.length;
    if (this.#size > this.#limits.maxBodyBytes) {
      this.#stop();
      this.#reject(fail("body_too_large", { maxBodyBytes: this.#limits.maxBodyBytes }));
      return;
    }
    this.#chunks.push(chunk);
  };

  readonly #onEnd = (): void => {
    this.#stop();
    this.#resolve(this.#chunks.length === 1 ? (this.#chunks[0] as Uint8Array) : Buffer.concat(this.#chunks));
  };

  readonly #onGone = (): void => {
    this.#stop();
    this.#reject(fail("cancelled", { reason: "the client closed the connection before its body had arrived" }));
  };

  #stop(): void {
    this.#time.wheel.remove(this);
    this.#source
      .off("data", this.#onData)
      .off("end", this.#onEnd)
      .off("error", this.#onGone)
      .off("close", this.#onGone);
    // Without a listener an error of the source would end the process.
    this.#source.on("error", ignore);
  }
}

const ignore = (): void => {};
