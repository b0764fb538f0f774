import type { Socket } from "node:net";
import type { MessagePort } from "node:worker_threads";
import { within } from "../base/clock.js";
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
import { RemoteCallers, type ReplicaEdge } from "./remote-callers.js";
import { ReplicaListener } from "./replica-listener.js";

/**
 * Longest wait for callers in other apps to leave, in milliseconds. They do so when they hear of the drain; a call that
 * crossed with it is refused and goes elsewhere, as long as its connection is open.
 */
const remoteLeaveMs = 2_000;

/** Host of a replica in this thread. It also listens for callers in other threads, processes and apps. */
export class LocalHost implements ReplicaHost {
  readonly id: string;
  readonly replica: Replica;
  readonly link: LocalLink;
  /** Ignores updates: the runtime of this thread subscribes for all its replicas. */
  readonly caller: Caller = { residence: "main", notify: () => {} };
  readonly memoryBytes = Number.POSITIVE_INFINITY;
  /** Resolves only when the replica is killed. Otherwise it ends with its thread. */
  readonly ended: Promise<string>;
  readonly #address: string | undefined;
  readonly #listener: ReplicaListener;
  /** Callers in other apps; absent where none may come. */
  readonly #remote: RemoteCallers | undefined;
  /** Port lines of callers in other threads. */
  readonly #lines = new Set<MessagePort>();
  #end!: (how: string) => void;

  /**
   * @param address    Unix socket to listen on. Default: only this thread calls the replica.
   * @param slabFolder Folder in memory through which large tensors pass.
   * @param files      Files with the largest values of this thread.
   * @param edge       Set for a replica that other apps call.
   */
  constructor(deps: ReplicaDeps, address?: string, slabFolder?: string, files?: FileStore, edge?: ReplicaEdge) {
    this.id = deps.id;
    this.replica = new Replica(deps);
    this.link = new LocalLink(this.replica);
    this.#address = address;
    this.#listener = new ReplicaListener(this.replica, slabFolder, files);
    this.#remote = edge === undefined ? undefined : new RemoteCallers(this.replica, edge);
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  async load(): Promise<void> {}

  async start(signal: AbortSignal): Promise<void> {
    try {
      await this.replica.start(signal);
      if (this.#address !== undefined) await this.#listener.listen(this.#address);
      await this.#remote?.listen();
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
   * Answers a caller in another thread of this process, over as many links as it opens.
   *
   * @param line Other end of the caller's `PortLine`. It brings one port for each link.
   */
  accept(line: MessagePort): void {
    this.#lines.add(line);
    line.on("close", () => this.#lines.delete(line));
    line.on("message", (port: MessagePort) => this.#listener.accept(port));
  }

  /** Takes the connection of a caller in another app. One that comes too late is closed: its caller tries again. */
  async acceptRemote(socket: Socket): Promise<void> {
    if (this.#remote === undefined) socket.destroy();
    else this.#remote.accept(socket);
  }

  noteSiblings(ready: number): void {
    if (this.#remote !== undefined) this.#remote.siblings = ready;
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
    this.#remote?.announceDrain();
    await this.replica.drain();
    await Promise.all([this.#listener.answered(), this.#remote?.answered()]);
    const { clock } = this.replica.deps.time;
    if (this.#remote !== undefined) await within(clock, remoteLeaveMs, this.#remote.left(), () => {});
  }

  /** Resolves when no caller in another thread or process has a channel to the replica. Call it once, after `drain`. */
  left(): Promise<void> {
    return this.#listener.left();
  }

  /** Cuts callers off before the author's `stop()` disposes what their calls use. */
  async stop(): Promise<void> {
    const closed = this.replica.close();
    this.link.cut();
    await closed;
    for (const line of this.#lines) line.close();
    this.#listener.close();
    this.#remote?.close();
    await this.replica.stop();
  }

  /** Cuts calls off and stops the replica: code that runs in this thread can't be ended from outside. */
  kill(reason = "was killed"): void {
    void this.stop().then(() => this.#end(reason));
  }
}

/**
 * Link to a replica in this thread. It copies values and failures, so that caller and callee share none, as across
 * processes.
 */
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

  /** Fails every open call: the replica is gone. */
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

/** A member of a `SlotList`, which keeps its own index. It may be in one list at a time. */
interface Slotted {
  slot: number;
}

/** A set whose members keep their index, so that adding and removing costs no hashing. Order is not kept. */
export class SlotList<T extends Slotted> {
  readonly #members: T[] = [];

  get size(): number {
    return this.#members.length;
  }

  add(member: T): void {
    member.slot = this.#members.length;
    this.#members.push(member);
  }

  /** Removes a member. Does nothing when it is not in the list. */
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
