import type { IncomingMessage } from "node:http";
import type { CallTime } from "../call/call-scope.js";
import { type Expiring, notInWheel } from "../call/deadline-wheel.js";

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
