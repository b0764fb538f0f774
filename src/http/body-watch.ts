import type { IncomingMessage } from "node:http";
import type { Clock, Timer } from "../base/clock.js";
import type { CallTime } from "../call/call-scope.js";
import { type Expiring, notInWheel } from "../call/deadline-wheel.js";
import { fail } from "../failure/failures.js";
import { ServingError } from "../failure/serving-error.js";
import { messageOf } from "../failure/to-serving-error.js";

/** A body that is being received. */
export interface WatchedBody {
  /** A reading of the clock; 0 until the watch first looks, and again to give the body its whole time anew. */
  deadline: number;
  /** Neighbours in the list of the `BodyWatch`, which alone changes them. */
  previous: WatchedBody | undefined;
  next: WatchedBody | undefined;
  /** Called once the time has passed; the body is watched no longer then. */
  expire(): void;
}

/**
 * Notices bodies that do not arrive in time.
 *
 * Nearly every body is there before anyone could look at a clock: watching one costs four pointers, no timer and no reading
 * of the time. A body gets at least `timeoutMs`, counted from the first look at it, and at most half as much again.
 */
export class BodyWatch {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #granularityMs: number;
  #first: WatchedBody | undefined;
  #timer: Timer | undefined;

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#granularityMs = Math.min(1000, timeoutMs / 4);
  }

  add(body: WatchedBody): void {
    const next = this.#first;
    body.next = next;
    if (next !== undefined) next.previous = body;
    this.#first = body;
    // Left running when the list empties: taking it back for each request would cost more than one idle look.
    if (this.#timer === undefined) this.#arm();
  }

  remove(body: WatchedBody): void {
    const { previous, next } = body;
    if (previous !== undefined) previous.next = next;
    else if (this.#first === body) this.#first = next;
    if (next !== undefined) next.previous = previous;
    body.previous = undefined;
    body.next = undefined;
  }

  #arm(): void {
    this.#timer = this.#clock.setTimer(() => this.#look(), this.#granularityMs);
  }

  #look(): void {
    this.#timer = undefined;
    const now = this.#clock.now();
    for (let body = this.#first; body !== undefined; ) {
      const { next } = body;
      if (body.deadline === 0) {
        body.deadline = now + this.#timeoutMs;
      } else if (body.deadline <= now) {
        this.remove(body);
        body.expire();
      }
      body = next;
    }
    if (this.#first !== undefined) this.#arm();
  }
}

const goneCodes: readonly unknown[] = ["ECONNRESET", "ERR_STREAM_PREMATURE_CLOSE"];

/** Why a body broke off: its client went away, or what a hook made of it failed. */
export function bodyFailure(error: unknown): ServingError {
  if (error instanceof ServingError) return error;
  const { code } = (error ?? {}) as { code?: unknown };
  if (error === undefined || goneCodes.includes(code)) {
    return fail("cancelled", { reason: "the client closed the connection" });
  }
  return fail("unreadable_body", { problem: messageOf(error) }, { cause: error });
}

/** How long a client may go on sending a body that was already answered, in milliseconds. */
const lingerMs = 2_000;

/**
 * Reads on what is left of a body after its request was answered, and throws it away.
 *
 * A connection that is closed with unread bytes is reset, and the client loses the answer that says what was wrong. One
 * that still sends after `lingerMs` is cut off.
 */
export function discardRest(time: CallTime, request: IncomingMessage): void {
  if (request.destroyed) return;
  const lingering = new Lingering(time, request);
  time.wheel.add(lingering);
  const done = () => time.wheel.remove(lingering);
  request.on("end", done).on("close", done).on("error", done).resume();
}

class Lingering implements Expiring {
  readonly expiresAt: number;
  wheelPlace = notInWheel;
  readonly #request: IncomingMessage;

  constructor(time: CallTime, request: IncomingMessage) {
    this.expiresAt = time.clock.now() + lingerMs;
    this.#request = request;
  }

  expire(): void {
    this.#request.destroy();
  }
}
