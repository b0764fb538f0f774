import type { CallScope } from "../call/call-scope.js";
import { copyValue } from "../call/copy-value.js";
import type { ReplicaLink } from "../call/link.js";
import { fail } from "../failure/fail.js";
import { toServingError } from "../failure/to-serving-error.js";
import { Replica, type ReplicaParts } from "../replica/replica.js";
import { serveCall, serveStream } from "../replica/serve-call.js";
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
export class InlineLink implements ReplicaLink {
  readonly #replica: Replica;
  readonly #open = new Set<CallScope>();

  constructor(replica: Replica) {
    this.#replica = replica;
  }

  get replica(): string {
    return this.#replica.parts.id;
  }

  get inFlight(): number {
    return this.#open.size;
  }

  async send(scope: CallScope): Promise<unknown> {
    const { input, outside, service, api } = scope.call;
    this.#open.add(scope);
    try {
      const output = await serveCall(this.#replica, scope, outside ? input : copyValue(input, "input"));
      return outside ? output : copyValue(output, "output");
    } catch (error) {
      throw toServingError(error, service, api);
    } finally {
      this.#open.delete(scope);
    }
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
      this.#open.delete(scope);
    }
  }

  /** The replica is gone: whatever is on it fails. */
  cut(): void {
    for (const scope of [...this.#open]) {
      const { service, api } = scope.call;
      scope.cancel(fail("replica_lost", { replica: this.replica }, { service, api }));
    }
  }
}
