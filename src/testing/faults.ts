import type { CallScope } from "../call/call-scope.js";
import type { ReplicaLink } from "../call/link.js";
import { fail } from "../failure/fail.js";
import { toServingError } from "../failure/to-serving-error.js";

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
    this.#add(service, rule, () => Promise.reject(error));
  }

  delay(service: string, rule: DelayRule): void {
    this.#add(service, rule, (scope) => wait(scope, rule.ms));
  }

  clear(): void {
    this.#rules.length = 0;
  }

  /** Puts the faults of `service` in front of a link to it. */
  wrap(link: ReplicaLink, service: string): ReplicaLink {
    return new FaultyLink(link, (scope) => this.#rulesFor(service, scope));
  }

  #add(service: string, { api, times }: FaultScope, apply: Rule["apply"]): void {
    this.#rules.push({ service, api, left: times ?? Number.POSITIVE_INFINITY, apply });
  }

  #rulesFor(service: string, scope: CallScope): Rule[] {
    const { api } = scope.call;
    const met = this.#rules.filter((rule) => rule.service === service && (rule.api ?? api) === api && rule.left > 0);
    for (const rule of met) rule.left--;
    return met;
  }
}

class FaultyLink implements ReplicaLink {
  readonly #link: ReplicaLink;
  readonly #rulesFor: (scope: CallScope) => Rule[];

  constructor(link: ReplicaLink, rulesFor: (scope: CallScope) => Rule[]) {
    this.#link = link;
    this.#rulesFor = rulesFor;
  }

  get replica(): string {
    return this.#link.replica;
  }

  get inFlight(): number {
    return this.#link.inFlight;
  }

  /** A call that meets no rule goes on at once, as it would without a test. */
  send(scope: CallScope): void {
    const rules = this.#rulesFor(scope);
    if (rules.length === 0) {
      this.#link.send(scope);
      return;
    }
    const { service, api } = scope.call;
    applyAll(rules, scope).then(
      () => this.#link.send(scope),
      (error: unknown) => scope.replyFailure(toServingError(error, service, api)),
    );
  }

  async *open(scope: CallScope): AsyncGenerator<unknown, void, undefined> {
    const { service, api } = scope.call;
    try {
      await applyAll(this.#rulesFor(scope), scope);
    } catch (error) {
      throw toServingError(error, service, api);
    }
    yield* this.#link.open(scope);
  }
}

async function applyAll(rules: readonly Rule[], scope: CallScope): Promise<void> {
  for (const rule of rules) await rule.apply(scope);
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
