import type { CallScope } from "../call/call-scope.js";
import type { EncodedItems, ItemFlow, ItemSink } from "../call/streams/item-flow.js";
import { ServingError } from "../failure/serving-error.js";
import { pickLink } from "./balancer.js";
import type { CallRoute } from "./call-route.js";
import { holdCall } from "./hold-call.js";
import { isLoss, mayRetry } from "./may-retry.js";

/** What a streaming call asks for. */
export interface StreamCall {
  readonly route: CallRoute;
  readonly scope: CallScope;
  /** Why the call can't be sent at all; whoever reads is told. */
  readonly refusal: ServingError | undefined;
}

/** The items of one streaming call. Until the first has come the call may move to another replica; then it may not. */
export class RetriedStream implements ItemFlow, ItemSink {
  readonly #call: StreamCall;
  readonly #sink: ItemSink;
  #flow: ItemFlow | undefined;
  #hasItem = false;
  #isStopped = false;
  #losses = 0;

  constructor(call: StreamCall, sink: ItemSink) {
    this.#call = call;
    this.#sink = sink;
  }

  get takesEncoded(): boolean {
    return this.#sink.takesEncoded;
  }

  pull(): void {
    if (this.#flow === undefined) this.#begin();
    else this.#flow.pull();
  }

  stop(): void {
    this.#isStopped = true;
    if (this.#flow === undefined) this.#sink.end();
    else this.#flow.stop();
  }

  item(value: unknown, isFresh: boolean): void {
    this.#hasItem = true;
    this.#sink.item(value, isFresh);
  }

  encoded(items: EncodedItems): void {
    this.#hasItem = true;
    this.#sink.encoded(items);
  }

  end(): void {
    this.#sink.end();
  }

  fail(error: unknown): void {
    if (this.#mayMove(error)) this.#begin();
    else this.#sink.fail(error);
  }

  #begin(): void {
    const { route, scope, refusal } = this.#call;
    if (refusal !== undefined) {
      this.#sink.fail(refusal);
      return;
    }
    const link = pickLink(route.links);
    if (link === undefined) {
      holdCall(route, scope, { resume: () => this.#begin(), refuse: (error) => this.#sink.fail(error) });
      return;
    }
    if (this.#isStopped) return;
    this.#flow = link.open(scope, this);
    this.#flow.pull();
  }

  #mayMove(error: unknown): boolean {
    const { route, scope } = this.#call;
    if (this.#hasItem || this.#isStopped || !(error instanceof ServingError)) return false;
    if (isLoss(error)) this.#losses++;
    return !scope.isEnded && !scope.feed?.isTaken && mayRetry(error, route, this.#losses);
  }
}
