import type { CallScope } from "../call/call-scope.js";
import type { ReplicaLink } from "../call/link.js";
import { ServingError } from "../failure/serving-error.js";
import { pickLink } from "./balancer.js";
import type { CallRoute } from "./call-route.js";
import { holdCall } from "./hold-call.js";
import { isLoss, mayRetry } from "./may-retry.js";

type Step = IteratorResult<unknown, undefined>;

/** The items of one streaming call. Until the first has come the call may move to another replica; then it may not. */
export class RetriedStream implements AsyncIterableIterator<unknown> {
  readonly #route: CallRoute;
  readonly #scope: CallScope;
  readonly #refusal: ServingError | undefined;
  #items: AsyncIterableIterator<unknown> | undefined;

  /** @param refusal Why the call can't be sent at all; whoever reads is told. */
  constructor(route: CallRoute, scope: CallScope, refusal: ServingError | undefined) {
    this.#route = route;
    this.#scope = scope;
    this.#refusal = refusal;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Step> {
    if (this.#items !== undefined) return this.#items.next() as Promise<Step>;
    return this.#begin();
  }

  async return(): Promise<Step> {
    await this.#items?.return?.();
    return { done: true, value: undefined };
  }

  async #begin(): Promise<Step> {
    if (this.#refusal !== undefined) throw this.#refusal;
    for (let losses = 0; ; ) {
      const link = pickLink(this.#route.links) ?? (await this.#hold());
      this.#items = link.open(this.#scope);
      try {
        return (await this.#items.next()) as Step;
      } catch (error) {
        if (this.#scope.isEnded || this.#scope.feed?.isTaken || !(error instanceof ServingError)) throw error;
        if (isLoss(error)) losses++;
        if (!mayRetry(error, this.#route, losses)) throw error;
      }
    }
  }

  #hold(): Promise<ReplicaLink> {
    return new Promise((resolve, reject) => {
      const retry = (): void => {
        const link = pickLink(this.#route.links);
        if (link !== undefined) resolve(link);
        else holdCall(this.#route, this.#scope, { resume: retry, refuse: reject });
      };
      retry();
    });
  }
}
