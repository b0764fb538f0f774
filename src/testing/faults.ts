import type { CallScope } from "../call/call-scope.js";
import type { ReplicaLink } from "../call/link.js";
import { fail } from "../failure/fail.js";
import { ServingError } from "../failure/serving-error.js";
import type { ReplicaHost } from "../placement/placement.js";

/** Which calls a fault meets. */
interface FaultScope {
  /** Default: every api of the service. */
  readonly api?: string;
  /** How many calls; default: all, until `app.clearFaults()`. */
  readonly times?: number;
}

/** What `app.fail()` takes. */
export interface FailRule extends FaultScope {
  /** Default: a `ServingError` with code `unavailable` and id `injected_failure`. */
  readonly error?: Error;
}

/** What `app.delay()` takes. */
export interface DelayRule extends FaultScope {
  readonly ms: number;
}

interface Rule {
  readonly service: string;
  readonly api: string | undefined;
  left: number;
  readonly apply: (scope: CallScope) => Promise<void>;
}

/** Faults a test asked for; applied where a call leaves its handle, as a failing network would. */
export class Faults {
  readonly #rules: Rule[] = [];

  fail(service: string, rule: FailRule = {}): void {
    const error = rule.error ?? fail("injected_failure", { reason: `${service} was told to fail by a test` });
    this.#add(service, rule, async (scope) => {
      if (error instanceof ServingError) throw error;
      const { service: callee, api } = scope.call;
      throw fail("unhandled_error", { error: error.message }, { service: callee, api, cause: error });
    });
  }

  delay(service: string, rule: DelayRule): void {
    this.#add(service, rule, (scope) => wait(scope, rule.ms));
  }

  clear(): void {
    this.#rules.length = 0;
  }

  /** Puts the faults of `service` in front of a host's link. */
  wrap(host: ReplicaHost, service: string): ReplicaHost {
    const link = new FaultyLink(host.link, (scope) => this.#meet(service, scope));
    return {
      id: host.id,
      link,
      start: (signal) => host.start(signal),
      isReady: () => host.isReady(),
      drain: () => host.drain(),
      stop: () => host.stop(),
    };
  }

  #add(service: string, { api, times }: FaultScope, apply: Rule["apply"]): void {
    this.#rules.push({ service, api, left: times ?? Number.POSITIVE_INFINITY, apply });
  }

  async #meet(service: string, scope: CallScope): Promise<void> {
    for (const rule of this.#rules) {
      const isMet = rule.service === service && (rule.api ?? scope.call.api) === scope.call.api && rule.left > 0;
      if (!isMet) continue;
      rule.left--;
      await rule.apply(scope);
    }
  }
}

class FaultyLink implements ReplicaLink {
  readonly #link: ReplicaLink;
  readonly #meet: (scope: CallScope) => Promise<void>;

  constructor(link: ReplicaLink, meet: (scope: CallScope) => Promise<void>) {
    this.#link = link;
    this.#meet = meet;
  }

  get replica(): string {
    return this.#link.replica;
  }

  get inFlight(): number {
    return this.#link.inFlight;
  }

  send(scope: CallScope): void {
    this.#meet(scope).then(
      () => this.#link.send(scope),
      (error: ServingError) => scope.replyFailure(error),
    );
  }

  async *open(scope: CallScope): AsyncGenerator<unknown, void, undefined> {
    await this.#meet(scope);
    yield* this.#link.open(scope);
  }
}

/** Ends early, by the scope's reason, when the call is cancelled. */
function wait(scope: CallScope, ms: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = scope.time.clock.setTimer(resolve, ms, true);
    scope.onCancel((reason) => {
      timer.clear();
      reject(reason);
    });
  });
}
