import { fail } from "../../failure/fail.js";
import type { Edge } from "../edge.js";
import type { Exchange } from "../exchange.js";
import type { WatchedStream } from "./stream-watch.js";

/** A request whose body or answer is a stream: ended when nothing moves on it, and shown to be alive while it is silent. */
export class EdgeStream implements WatchedStream {
  hasMoved = false;
  hasSent = false;
  /** Writes what means nothing, where the form of the answer has room for it. */
  beat: () => void = () => {};
  readonly #exchange: Exchange;

  private constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  /** The stream of an exchange, watched until the exchange ends; one, also where body and answer are both streams. */
  static of(edge: Edge, exchange: Exchange): EdgeStream {
    if (exchange.watched instanceof EdgeStream) return exchange.watched;
    const stream = new EdgeStream(exchange);
    exchange.watched = stream;
    edge.streams.add(stream);
    return stream;
  }

  expire(idleMs: number): void {
    this.#exchange.cancel(fail("stream_idle", { idleMs, waitingFor: this.#exchange.pending }));
  }
}
