import type { CallScope } from "../call/call-scope.js";
import { InvokedStream } from "../call/streams/invoked-stream.js";
import type { EncodedItems, ItemSink, ItemSource } from "../call/streams/item-source.js";
import type { ServingError } from "../failure/serving-error.js";
import { type CallHost, type ReplicaApi, reportFailure } from "./call-host.js";
import type { QueueWait } from "./gate.js";
import type { LaneCall } from "./lane.js";
import { endCall, findApi, leaveLane } from "./serve-call.js";

/**
 * Answers one streaming call. Finds the api and enters its lane with the first pull. Holds its lane slot until the
 * stream has ended; if its reader stops early, until the author's code has ended.
 */
export class ServedStream implements LaneCall, ItemSource, ItemSink {
  readonly scope: CallScope;
  readonly input: unknown;
  slot = -1;
  waited: QueueWait | undefined = undefined;
  readonly #replica: CallHost;
  readonly #sink: ItemSink;
  #stream: InvokedStream | undefined;
  /** The api that is called; `#api` is the same once the call holds a lane slot. */
  #asked: ReplicaApi | undefined;
  #api: ReplicaApi | undefined;
  #startedAt = 0;
  #hasBegun = false;
  #hasItem = false;
  #isStopped = false;

  /** @param sink Gets a failure in the form that may reach the caller; the rest of it is logged. */
  constructor(
    replica: CallHost,
    scope: CallScope,
    { input, sink }: { readonly input: unknown; readonly sink: ItemSink },
  ) {
    this.scope = scope;
    this.input = input;
    this.#replica = replica;
    this.#sink = sink;
  }

  get takesEncoded(): boolean {
    return this.#sink.takesEncoded;
  }

  pull(): void {
    if (this.#stream !== undefined) this.#pullInTurn(this.#stream);
    else if (!this.#hasBegun) this.#begin();
  }

  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    if (this.#stream !== undefined) this.#stream.stop();
    else if (!this.#hasBegun) this.#sink.end();
  }

  item(value: unknown, isFresh: boolean): void {
    if (!this.#hasItem) this.#beginItems();
    this.#api?.lane.noteResult();
    this.#sink.item(value, isFresh);
  }

  encoded(items: EncodedItems): void {
    if (!this.#hasItem) this.#beginItems();
    this.#api?.lane.noteResult();
    this.#sink.encoded(items);
  }

  end(): void {
    this.#api?.lane.noteResult();
    this.#leave();
    this.#sink.end();
  }

  fail(thrown: unknown): void {
    const error = reportFailure(thrown, this.scope);
    this.#leave();
    this.#sink.fail(error);
  }

  refuse(error: ServingError): void {
    this.fail(error);
  }

  #beginItems(): void {
    this.#hasItem = true;
    this.scope.endResponse("the first item of the stream was sent");
  }

  #begin(): void {
    this.#hasBegun = true;
    this.#replica.beginCall();
    this.scope.runBy(this.#replica.deps);
    let api: ReplicaApi;
    try {
      api = findApi(this.#replica, this.scope);
    } catch (error) {
      this.fail(error);
      return;
    }
    this.#asked = api;
    if (api.lane.tryEnter(this)) this.enter();
    else api.lane.wait(this);
  }

  enter(): void {
    const api = this.#asked as ReplicaApi;
    this.#api = api;
    this.#startedAt = this.scope.time.clock.now();
    if (this.#isStopped) {
      this.end();
      return;
    }
    const isChecked = this.#replica.deps.checksInside || this.scope.call.outside;
    const invocation = { target: api.target, input: this.input, scope: this.scope, isChecked };
    this.#stream = new InvokedStream(invocation, this);
    this.#pullNow(this.#stream);
  }

  /**
   * Pulls the next item; in a later turn if this one is long, since one item may take as long as a call and other input
   * waits.
   */
  #pullInTurn(stream: InvokedStream): void {
    const { turns } = this.scope.time;
    if (!turns.isLong) this.#pullNow(stream);
    else this.#api?.lane.goOnLater(() => this.#pullNow(stream));
  }

  #pullNow(stream: InvokedStream): void {
    if (this.#isStopped) return;
    const { turns, clock } = this.scope.time;
    const before = turns.spentMs;
    const from = clock.now();
    stream.pull();
    turns.count(before, clock.now() - from, this.#api?.lane);
  }

  #leave(): void {
    if (this.#api !== undefined) leaveLane(this.#api, this, this.#startedAt);
    endCall(this.#replica, this.scope);
  }
}
