import type { IncomingMessage, ServerResponse } from "node:http";
import type { FastifyReply } from "fastify";
import type { RequestContext } from "../call/call.js";
import type { CallScope, CallTime } from "../call/call-scope.js";
import { type Expiring, notInWheel } from "../call/deadline-wheel.js";
import { fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import type { WatchedStream } from "./streams/stream-watch.js";

/** Under this key a response carries its exchange: no closure and no map entry a request. */
const exchangeKey = Symbol("ekiben.exchange");

type ExchangeResponse = ServerResponse & { [exchangeKey]?: Exchange; _lightMyRequest?: object };

/** What an exchange tells when it is over. */
export interface ExchangeObserver {
  /** @param isComplete False when the client went away before its response was written. */
  onEnd(exchange: Exchange, isComplete: boolean): void;
}

/**
 * One request and its response at the edge.
 *
 * Ends once, with the response: a client that goes away before then cancels the call made for it, and everything that
 * call has made below it.
 */
export class Exchange {
  readonly reply: FastifyReply;
  readonly context: RequestContext;
  /** Monotonic milliseconds. */
  readonly startedAt = performance.now();
  readonly #observer: ExchangeObserver;
  /** Bytes of the response's body; of a stream, those of its items. */
  bodyBytes = 0;
  /** Of the failure it was answered with. */
  failureId: string | undefined;
  /** Where its body or its answer is a stream. */
  watched: WatchedStream | undefined;
  /** The route that answers it, where that is an api's. */
  route: string | undefined;
  /** Of an answer that is a stream: writes its head, once the author's `onSend` hooks have run. */
  onHead: (() => void) | undefined;
  #scope: CallScope | undefined;
  #isEnded = false;

  constructor(reply: FastifyReply, context: RequestContext, observer: ExchangeObserver) {
    this.reply = reply;
    this.context = context;
    this.#observer = observer;
    const response = reply.raw as ExchangeResponse;
    response[exchangeKey] = this;
    response.on("close", endExchange);
  }

  /** Whether there is no client left to answer. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** The call that is made for this request; cancelled if the client goes away. */
  follow(scope: CallScope): void {
    if (this.#isEnded) scope.cancel(clientGone());
    else this.#scope = scope;
  }

  /** The calls that it waits for; none before its own is made. */
  get pending(): readonly string[] {
    return this.#scope?.pending ?? [];
  }

  /** Ends the call that is made for this request; its failure is the answer. */
  cancel(reason: ServingError): void {
    this.#scope?.cancel(reason);
  }

  /**
   * Cuts the connection off when the client reads nothing for `stallMs`; 0 takes that back. Node does so by itself once
   * the response is out.
   */
  guardWriting(stallMs: number): void {
    this.reply.raw.socket?.setTimeout(stallMs);
  }

  end(isComplete: boolean): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    if (!isComplete) this.#scope?.cancel(clientGone());
    this.#scope = undefined;
    this.#observer.onEnd(this, isComplete);
  }
}

/** The exchange of a request that passed through `openExchange`. */
export function exchangeOf(reply: FastifyReply): Exchange {
  return (reply.raw as ExchangeResponse)[exchangeKey] as Exchange;
}

const clientGone = () => fail("cancelled", { reason: "the client closed the connection" });

function endExchange(this: ExchangeResponse): void {
  // `inject()` closes its responses a moment before they count as finished.
  this[exchangeKey]?.end(this.writableFinished || (this._lightMyRequest !== undefined && this.writableEnded));
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

  setWheelPlace(place: number): void {
    this.wheelPlace = place;
  }

  expire(): void {
    this.#request.destroy();
  }
}
