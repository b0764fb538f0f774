import type { MessagePort } from "node:worker_threads";
import type { CallScope, ReplySink } from "../call/call-scope.js";
import { copyValue } from "../call/copy-value.js";
import type { ReplicaLink } from "../call/link.js";
import type { ItemSink, ItemSource } from "../call/streams/item-source.js";
import { fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import { toServingError } from "../failure/to-serving-error.js";
import type { FileStore } from "../held/file-store.js";
import type { Caller, LinkOffer, ReplicaHost } from "../placement/placement.js";
import { Replica, type ReplicaDeps } from "../replica/replica.js";
import { serveCall } from "../replica/serve-call.js";
import { ServedStream } from "../replica/served-stream.js";
import { crossError } from "../transport/wire-error.js";
import { InlineInput, InlineItems } from "./inline-items.js";
import { ReplicaListener } from "./replica-listener.js";

/** A replica in this very thread. It also listens where callers in other threads or processes are to reach it. */
export class LocalHost implements ReplicaHost {
  readonly id: string;
  readonly replica: Replica;
  readonly link: LocalLink;
  /** What it calls is told to its thread. */
  readonly caller: Caller = { residence: "main", notify: () => {} };
  readonly memoryBytes = Number.POSITIVE_INFINITY;
  /** It ends with its thread, unless it is killed. */
  readonly ended: Promise<string>;
  readonly #address: string | undefined;
  readonly #listener: ReplicaListener;
  /** From callers in other threads. */
  readonly #lines = new Set<MessagePort>();
  #end!: (how: string) => void;

  /**
   * @param address    The Unix socket it listens on; absent: it is called in this thread alone.
   * @param slabFolder Where large tensors cross in memory.
   * @param files      What this process keeps of the largest values.
   */
  constructor(deps: ReplicaDeps, address?: string, slabFolder?: string, files?: FileStore) {
    this.id = deps.id;
    this.replica = new Replica(deps);
    this.link = new LocalLink(this.replica);
    this.#address = address;
    this.#listener = new ReplicaListener(this.replica, slabFolder, files);
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  async load(): Promise<void> {}

  async start(signal: AbortSignal): Promise<void> {
    try {
      await this.replica.start(signal);
      if (this.#address !== undefined) await this.#listener.listen(this.#address);
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  offerTo({ residence }: Caller): LinkOffer {
    if (residence === "main" || this.#address === undefined) return { kind: "local" };
    return { kind: "address", address: this.#address };
  }

  /**
   * Answers a caller in another thread of this process, over as many links as it makes.
   *
   * @param line From its `PortLine`: brings the port of each.
   */
  accept(line: MessagePort): void {
    this.#lines.add(line);
    line.on("close", () => this.#lines.delete(line));
    line.on("message", (port: MessagePort) => this.#listener.accept(port));
  }

  isReady(): Promise<boolean> {
    return this.replica.isReady();
  }

  pulse(): undefined {
    return undefined;
  }

  readStrains(): readonly string[] {
    return this.replica.readStrains();
  }

  async drain(): Promise<void> {
    this.#listener.announceDrain();
    await this.replica.drain();
    await this.#listener.answered();
  }

  /** Callers are cut off before the author's `stop()` takes away what their calls use. */
  async stop(): Promise<void> {
    const closed = this.replica.close();
    this.link.cut();
    await closed;
    for (const line of this.#lines) line.close();
    this.#listener.close();
    await this.replica.stop();
  }

  /** What runs in this thread can't be ended from outside: its calls are cut off and it is stopped. */
  kill(reason = "was killed"): void {
    void this.stop().then(() => this.#end(reason));
  }
}

/** Calls a replica in this thread. Copies of values and failures keep what a process border would: nobody shares them. */
export class LocalLink implements ReplicaLink {
  readonly #replica: Replica;
  readonly #open = new SlotList<LocalCall>();

  constructor(replica: Replica) {
    this.#replica = replica;
  }

  get replica(): string {
    return this.#replica.deps.id;
  }

  get inFlight(): number {
    return this.#open.size;
  }

  send(scope: CallScope): void {
    const call = new LocalCall(scope, this.#open);
    this.#open.add(call);
    let own: unknown;
    try {
      own = takeInput(scope);
    } catch (error) {
      call.failure(error as ServingError);
      return;
    }
    serveCall(this.#replica, scope, own, call);
  }

  open(scope: CallScope, sink: ItemSink): ItemSource {
    const call = new LocalCall(scope, this.#open);
    this.#open.add(call);
    const serve = (own: ItemSink) => new ServedStream(this.#replica, scope, { input: takeInput(scope), sink: own });
    return new InlineItems({ scope, serve, sink, onEnd: () => this.#open.remove(call) });
  }

  /** The replica is gone: whatever is on it fails. */
  cut(): void {
    for (const { scope } of this.#open.toArray()) {
      const { service, api } = scope.call;
      scope.cancel(fail("replica_lost", { replica: this.replica }, { service, api }));
    }
  }
}

/** One call on a link in this thread: takes its answer, and knows its index among the calls in flight. */
class LocalCall implements ReplySink, Slotted {
  slot = -1;
  readonly scope: CallScope;
  readonly #open: SlotList<LocalCall>;

  constructor(scope: CallScope, open: SlotList<LocalCall>) {
    this.scope = scope;
    this.#open = open;
  }

  output(output: unknown): void {
    let own: unknown;
    try {
      own = this.scope.call.outside ? output : copyValue(output, "output");
    } catch (error) {
      this.failure(error as ServingError);
      return;
    }
    this.#open.remove(this);
    this.scope.reply(own);
  }

  failure(error: ServingError): void {
    const { scope } = this;
    const { service, api } = scope.call;
    this.#open.remove(this);
    if (scope.reason === undefined) scope.replyFailure(crossError(toServingError(error, service, api)));
  }
}

/** Returns the callee's own input: a copy, unless the caller gave it away, or the items of a stream. */
function takeInput(scope: CallScope): unknown {
  const { stream, isOwned, value } = scope.input;
  if (stream !== undefined) return new InlineInput(scope, stream).items;
  return isOwned ? value : copyValue(value, "input");
}

/** Something that remembers its own place in a `SlotList`; it may be in one at a time. */
interface Slotted {
  slot: number;
}

/** A set whose members know their place, so that adding and removing one costs no hashing. Order is not kept. */
export class SlotList<T extends Slotted> {
  readonly #members: T[] = [];

  get size(): number {
    return this.#members.length;
  }

  add(member: T): void {
    member.slot = this.#members.length;
    this.#members.push(member);
  }

  /** Does nothing when the member is not in the list. */
  remove(member: T): void {
    const at = member.slot;
    if (this.#members[at] !== member) return;
    const last = this.#members.pop() as T;
    member.slot = -1;
    if (last === member) return;
    this.#members[at] = last;
    last.slot = at;
  }

  toArray(): T[] {
    return [...this.#members];
  }
}
