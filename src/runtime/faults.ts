import type { CallScope } from "../call/call-scope.js";
import type { ReplicaLink } from "../call/link.js";
import type { ItemSink, ItemSource } from "../call/streams/item-source.js";
import { fail } from "../failure/failures.js";
import { toServingError } from "../failure/to-serving-error.js";
import { decodeError, encodeError } from "../transport/wire-error.js";

/** Selects the calls that meet a fault. */
interface FaultScope {
  /** Default: every api of the service. */
  readonly api?: string;
  /** Number of calls, counted by each calling process. Default: all, until `app.clearFaults()`. */
  readonly times?: number;
}

/** Argument of `app.fail()`. */
export interface FailRule extends FaultScope {
  /** Default: a `ServingError` with code `unavailable` and id `injected_failure`. */
  readonly error?: Error;
}

/** Argument of `app.delay()`. */
export interface DelayRule extends FaultScope {
  readonly ms: number;
}

/** One fault as plain data, which other threads and processes receive. */
export interface FaultNotice {
  readonly service: string;
  readonly api: string | undefined;
  /** `undefined` for every call. */
  readonly times: number | undefined;
  /** A failure in its wire form, or a delay. */
  readonly effect: { readonly kind: "fail"; readonly error: string } | { readonly kind: "delay"; readonly ms: number };
}

interface Rule {
  readonly notice: FaultNotice;
  left: number;
}

const createRule = (notice: FaultNotice): Rule => ({ notice, left: notice.times ?? Number.POSITIVE_INFINITY });

const none: readonly FaultNotice[] = [];

/** Faults that a test asked for. They apply where a call leaves its handle, as those of a network would. */
export class Faults {
  #rules: Rule[] = [];

  get notices(): readonly FaultNotice[] {
    return this.#rules.map(({ notice }) => notice);
  }

  fail(service: string, { api, times, error }: FailRule = {}): void {
    const thrown = error ?? fail("injected_failure", { reason: `${service} was told to fail by a test` });
    const effect = { kind: "fail", error: encodeError(toServingError(thrown, service, api ?? "")) } as const;
    this.add({ service, api, times, effect });
  }

  delay(service: string, { api, times, ms }: DelayRule): void {
    this.add({ service, api, times, effect: { kind: "delay", ms } });
  }

  add(notice: FaultNotice): void {
    this.#rules.push(createRule(notice));
  }

  /** Replaces all rules by those of the test's process. A rule that stays keeps its count. */
  replaceAll(notices: readonly FaultNotice[]): void {
    const known = [...this.#rules];
    this.#rules = notices.map((notice) => {
      const at = known.findIndex((rule) => JSON.stringify(rule.notice) === JSON.stringify(notice));
      const [rule = createRule(notice)] = at < 0 ? [] : known.splice(at, 1);
      return rule;
    });
  }

  clear(): void {
    this.#rules = [];
  }

  /** Returns a link that applies the faults of `service` before it sends a call. */
  wrap(link: ReplicaLink, service: string): ReplicaLink {
    return new FaultyLink(link, (scope) => this.#rulesFor(service, scope));
  }

  #rulesFor(service: string, scope: CallScope): readonly FaultNotice[] {
    if (this.#rules.length === 0) return none;
    const { api } = scope.call;
    const met = this.#rules.filter(
      ({ notice, left }) => notice.service === service && (notice.api ?? api) === api && left > 0,
    );
    for (const rule of met) rule.left--;
    return met.map(({ notice }) => notice);
  }
}

class FaultyLink implements ReplicaLink {
  readonly #link: ReplicaLink;
  readonly #rulesFor: (scope: CallScope) => readonly FaultNotice[];

  constructor(link: ReplicaLink, rulesFor: (scope: CallScope) => readonly FaultNotice[]) {
    this.#link = link;
    this.#rulesFor = rulesFor;
  }

  get replica(): string {
    return this.#link.replica;
  }

  get inFlight(): number {
    return this.#link.inFlight;
  }

  /** Sends a call that meets no rule at once, as without a test. */
  send(scope: CallScope): void {
    const rules = this.#rulesFor(scope);
    if (rules.length === 0) {
      this.#link.send(scope);
      return;
    }
    const { service, api } = scope.call;
    applyAll(rules, scope).then(
      () => {
        scope.markSent();
        this.#link.send(scope);
      },
      (error: unknown) => scope.replyFailure(toServingError(error, service, api)),
    );
  }

  open(scope: CallScope, sink: ItemSink): ItemSource {
    const rules = this.#rulesFor(scope);
    return rules.length === 0 ? this.#link.open(scope, sink) : new FaultySource(this.#link, scope, { rules, sink });
  }
}

/** A streaming call that opens its stream after its faults. */
class FaultySource implements ItemSource {
  readonly #link: ReplicaLink;
  readonly #scope: CallScope;
  readonly #rules: readonly FaultNotice[];
  readonly #sink: ItemSink;
  #source: ItemSource | undefined;
  #isStopped = false;

  constructor(link: ReplicaLink, scope: CallScope, { rules, sink }: { rules: readonly FaultNotice[]; sink: ItemSink }) {
    this.#link = link;
    this.#scope = scope;
    this.#rules = rules;
    this.#sink = sink;
  }

  pull(): void {
    if (this.#source !== undefined) {
      this.#source.pull();
      return;
    }
    const { service, api } = this.#scope.call;
    applyAll(this.#rules, this.#scope).then(
      () => {
        if (this.#isStopped) return;
        this.#source = this.#link.open(this.#scope, this.#sink);
        this.#source.pull();
      },
      (error: unknown) => {
        if (!this.#isStopped) this.#sink.fail(toServingError(error, service, api));
      },
    );
  }

  stop(): void {
    this.#isStopped = true;
    if (this.#source === undefined) this.#sink.end();
    else this.#source.stop();
  }
}

async function applyAll(faults: readonly FaultNotice[], scope: CallScope): Promise<void> {
  scope.input.keep();
  for (const { effect } of faults) {
    if (effect.kind === "fail") throw decodeError(effect.error);
    await wait(scope, effect.ms);
  }
}

/** Waits. @throws The scope's reason as soon as the call is cancelled. */
function wait(scope: CallScope, ms: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = scope.time.clock.setTimer(resolve, ms, true);
    scope.onCancel((reason) => {
      timer.clear();
      reject(reason);
    });
  });
}
