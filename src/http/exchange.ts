import type { IncomingMessage, ServerResponse } from "node:http";
import type { FastifyReply } from "fastify";
import type { RequestContext } from "../call/call.js";
import type { CallTime } from "../call/call-scope.js";
import { type Expiring, notInWheel } from "../call/deadline-wheel.js";
import { fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import { type Connection, connectionOf, guardWriting, isWritten } from "./connection.js";
import type { WatchedStream } from "./streams/stream-watch.js";

/** Property of a response that holds its exchange. It saves a closure and a map entry per request. */
const exchangeKey = Symbol("ekiben.exchange");

type ExchangeResponse = ServerResponse & { [exchangeKey]?: Exchange; _lightMyRequest?: object };

/** Work that is done for an exchange: a call, or the question who is asking. */
export interface Followed {
  /** Names what the work waits for. */
  readonly pending: readonly string[];
  /** Ends the work: nobody waits for it any more. */
  cancel(reason: ServingError): void;
}

/** Observes the end of exchanges. */
export interface ExchangeObserver {
  /** @param isComplete False when the client left before its response was written. */
  onEnd(exchange: Exchange, isComplete: boolean): void;
}

/**
 * One HTTP request and its response.
 *
 * It ends once, with the response. A client that leaves earlier cancels the call made for the request, and with it
 * every call below.
 */
export class Exchange {
  readonly reply: FastifyReply;
  readonly context: RequestContext;
  readonly connection: Connection;
  /** Monotonic milliseconds. */
  readonly startedAt = performance.now();
  readonly #observer: ExchangeObserver;
  /** Bytes of the response's body; for a stream, the bytes of its items. */
  bodyBytes = 0;
  /** Id of the failure that was the answer. */
  failureId: string | undefined;
  /** Set when the body or the answer is a stream. */
  watched: WatchedStream | undefined;
  /** Path of the api that answers the request, if an api does. */
  route: string | undefined;
  /** Writes the head of a streamed answer, after the author's `onSend` hooks have run. */
  onHead: (() => void) | undefined;
  /** True once a call was made for it: what follows is counted with that call. */
  hasCalled = false;
  #scope: Followed | undefined;
  #isEnded = false;

  constructor(reply: FastifyReply, context: RequestContext, observer: ExchangeObserver) {
    this.reply = reply;
    this.context = context;
    this.connection = connectionOf(reply.request.raw);
    this.#observer = observer;
    const response = reply.raw as ExchangeResponse;
    response[exchangeKey] = this;
    response.on("close", endExchange);
  }

  /** True when no client is left to answer. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Links the exchange to the call made for it, or to other work. That is cancelled if the client leaves. */
  follow(scope: Followed): void {
    if (this.#isEnded) scope.cancel(clientGone());
    else this.#scope = scope;
  }

  /** Calls that the request waits for; empty before its own call is made. */
  get pending(): readonly string[] {
    return this.#scope?.pending ?? [];
  }

  /** Ends the call made for this request. Its failure becomes the answer. */
  cancel(reason: ServingError): void {
    this.#scope?.cancel(reason);
  }

  /** Adds what the api has set of its response: status, headers, cookies. */
  addResponse(): void {
    const { response } = this.context;
    if (response === undefined) return;
    const { reply } = this;
    if (response.status !== undefined) reply.code(response.status);
    for (const [name, value] of response.headers) {
      // A plugin such as that for CORS has its own part of it.
      const given = name === "vary" ? reply.getHeader(name) : undefined;
      reply.header(name, given === undefined ? value : `${String(given)}, ${value}`);
    }
  }

  /** Cuts the response when the client reads nothing for `stallMs`; 0 removes the limit. It ends with the response. */
  guardWriting(stallMs: number): void {
    guardWriting(this.reply.raw, stallMs);
  }

  end(isComplete: boolean): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    if (!isComplete) this.#scope?.cancel(clientGone());
    this.#scope = undefined;
    this.#observer.onEnd(this, isComplete);
  }
}

/** Returns the exchange of a request that passed `openExchange`. */
export function exchangeOf(reply: FastifyReply): Exchange {
  return (reply.raw as ExchangeResponse)[exchangeKey] as Exchange;
}

const clientGone = () => fail("cancelled", { reason: "the client closed the connection" });

function endExchange(this: ExchangeResponse): void {
  // `inject()` closes its responses a moment before they count as finished.
  this[exchangeKey]?.end(isWritten(this) || (this._lightMyRequest !== undefined && this.writableEnded));
}

/** Milliseconds for which a client may go on sending a body that was already answered. */
const lingerMs = 2_000;

/**
 * Reads the rest of a body after its request was answered, and discards it.
 *
 * Closing a connection with unread bytes resets it, and the client loses the answer that explains the error. A client
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

// Decides which connections a server keeps when there are more than its bound.
//
// HC1  A connection is idle while none of its requests is being answered. When there is one connection too many, the
//      one that has been idle longest is closed.
// HC2  When none is idle, a few more are accepted, and only probes are answered on these: an app under load must not
//      look dead. Each of them closes with its answer. One that sends no request makes room for the next.

/** Connections beyond the bound, for probes. */
const spare = 16;

export class ConnectionRoom {
  readonly #max: number;
  /** All open connections. */
  readonly #open = new Set<Connection>();
  /** Idle connections, longest idle first (HC1). */
  readonly #idle = new Set<Connection>();
  readonly #spare = new Set<Connection>();
  /** Requests in flight, for connections that have several. */
  readonly #pipelined = new Map<Connection, number>();

  constructor(max: number) {
    this.#max = max;
  }

  /** Number of connections that the server may have in total. */
  get limit(): number {
    return this.#max + spare + 1;
  }

  /** Counts a connection that was opened. */
  enter(connection: Connection): void {
    if (this.#open.size - this.#spare.size >= this.#max) this.#makeRoom(connection);
    this.#open.add(connection);
    this.#idle.add(connection);
    connection.on("close", () => this.#leave(connection));
  }

  /** True when only probes are answered on the connection (HC2). */
  isSpare(connection: Connection): boolean {
    return this.#spare.size > 0 && this.#spare.has(connection);
  }

  /** Counts a request that arrived. */
  begin(connection: Connection): void {
    if (this.#idle.delete(connection) || !this.#open.has(connection)) return;
    this.#pipelined.set(connection, (this.#pipelined.get(connection) ?? 1) + 1);
  }

  /** Counts a request that was answered. */
  end(connection: Connection): void {
    const count = this.#pipelined.size === 0 ? undefined : this.#pipelined.get(connection);
    if (count === undefined) {
      if (this.#open.has(connection)) this.#idle.add(connection);
    } else if (count > 2) this.#pipelined.set(connection, count - 1);
    else this.#pipelined.delete(connection);
  }

  #makeRoom(connection: Connection): void {
    let oldestSpare: Connection | undefined;
    for (const idle of this.#idle) {
      if (!this.#spare.has(idle)) {
        this.#drop(idle);
        return;
      }
      oldestSpare ??= idle;
    }
    if (this.#spare.size >= spare && oldestSpare !== undefined) this.#drop(oldestSpare);
    this.#spare.add(connection);
  }

  #drop(connection: Connection): void {
    this.#leave(connection);
    connection.destroySoon();
  }

  #leave(connection: Connection): void {
    this.#open.delete(connection);
    this.#idle.delete(connection);
    this.#spare.delete(connection);
    this.#pipelined.delete(connection);
  }
}
