import type { CallScope } from "../call/call-scope.js";
import { copyValue } from "../call/copy-value.js";
import type { ReplicaLink } from "../call/link.js";
import { SlotList } from "../call/slot-list.js";
import { fail } from "../failure/fail.js";
import type { ServingError } from "../failure/serving-error.js";
import { toServingError } from "../failure/to-serving-error.js";
import { Replica, type ReplicaParts } from "../replica/replica.js";
import { type Replier, serveCall, serveStream } from "../replica/serve-call.js";
import type { ReplicaHost } from "./placement.js";

/** A replica in this very thread. */
export class InlineHost implements ReplicaHost {
  readonly id: string;
  readonly link: InlineLink;
  readonly #replica: Replica;

  constructor(parts: ReplicaParts) {
    this.id = parts.id;
    this.#replica = new Replica(parts);
    this.link = new InlineLink(this.#replica);
  }

  async start(signal: AbortSignal): Promise<void> {
    try {
      await this.#replica.start(signal);
    } catch (error) {
      await this.#replica.stop();
      throw error;
    }
  }

  isReady(): Promise<boolean> {
    return this.#replica.isReady();
  }

  drain(): Promise<void> {
    return this.#replica.drain();
  }

  async stop(): Promise<void> {
    this.link.cut();
    await this.#replica.stop();
  }
}

/** Calls a replica in this thread. A copy each way keeps what a process border would: nobody shares a value. */
export class InlineLink implements ReplicaLink, Replier {
  readonly #replica: Replica;
  readonly #open = new SlotList<CallScope>();

  constructor(replica: Replica) {
    this.#replica = replica;
  }

  get replica(): string {
    return this.#replica.parts.id;
  }

  get inFlight(): number {
    return this.#open.size;
  }

  send(scope: CallScope): void {
    const { input, outside } = scope.call;
    this.#open.add(scope);
    let own: unknown;
    try {
      own = outside ? input : copyValue(input, "input");
    } catch (error) {
      this.replyFailure(scope, error as ServingError);
      return;
    }
    serveCall(this.#replica, scope, own, this);
  }

  replyOutput(scope: CallScope, output: unknown): void {
    let own: unknown;
    try {
      own = scope.call.outside ? output : copyValue(output, "output");
    } catch (error) {
      this.replyFailure(scope, error as ServingError);
      return;
    }
    this.#open.remove(scope);
    scope.reply(own);
  }

  replyFailure(scope: CallScope, error: ServingError): void {
    const { service, api } = scope.call;
    this.#open.remove(scope);
    scope.replyFailure(toServingError(error, service, api));
  }

  async *open(scope: CallScope): AsyncGenerator<unknown, void, undefined> {
    const { input, outside, service, api } = scope.call;
    this.#open.add(scope);
    try {
      const items = serveStream(this.#replica, scope, outside ? input : copyValue(input, "input"));
      for await (const item of items) yield outside ? item : copyValue(item, "output");
    } catch (error) {
      throw toServingError(error, service, api);
    } finally {
      this.#open.remove(scope);
    }
  }

  /** The replica is gone: whatever is on it fails. */
  cut(): void {
    for (const scope of this.#open.toArray()) {
      const { service, api } = scope.call;
      scope.cancel(fail("replica_lost", { replica: this.replica }, { service, api }));
    }
  }
}
