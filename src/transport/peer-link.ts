import { IdTable } from "../base/id-table.js";
import { ResponseDraft } from "../call/call-response.js";
import type { CallScope } from "../call/call-scope.js";
import type { ReplicaLink } from "../call/link.js";
import { nameDeadline } from "../call/passed-deadline.js";
import { type ItemSink, type ItemSource, readerGone } from "../call/streams/item-source.js";
import { fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import { toServingError } from "../failure/to-serving-error.js";
import { type Channel, type ChannelReader, createHello, readHello } from "./channel.js";
import { decodeValue } from "./decode-value.js";
import { type EncodedValue, encodeValue } from "./encode-value.js";
import { type Frame, frameFlags, frameKinds, malformed, noTails } from "./frame.js";
import { PeerStream, readCredit, type StreamSource } from "./peer-stream.js";
import { InputSender } from "./stream-sender.js";
import { decodeError, encodeError } from "./wire-error.js";

// The caller's side of a channel to one replica.
//
// TP1  A call has one number from the frame that sends it to its last answer; numbers in use are not given again.
// TP2  The other side hears of a cancelled call at once. The call counts as in flight until that side has ended it.
// TP3  When the channel ends, every call on it fails before control returns; each call gets an answer.
// TP4  Frames for a call without a waiting caller are dropped.
// TP5  A retired link ends when its last call has ended, so that a replica that is stopped leaves no link behind.
// TP6  A call that a draining replica refuses has the input that it was sent with, whatever its caller did to it
//      meanwhile.

/** Buffered bytes beyond which a reader that is too slow gets no more calls. */
const maxBufferedBytes = 256 * 1024 ** 2;

/** Owner of the link, which hears when it can be used. */
interface LinkWatcher {
  /** The other side has said hello. */
  opened(): void;
  /** The other side takes no new calls. */
  draining(): void;
  closed(reason: ServingError | undefined): void;
}

/** The link's record of one call. */
class PendingCall {
  readonly scope: CallScope;
  /** Number of the call; 0 until its frame is sent. */
  id = 0;
  /** Receiver of the answer, where that is a stream. */
  stream: PeerStream | undefined = undefined;
  /** Sender of the input, where that is a stream. */
  input: InputSender | undefined = undefined;
  /** False when the channel did not take its frame: the other side has certainly not seen it. */
  isSent = false;
  isCancelled = false;

  constructor(scope: CallScope) {
    this.scope = scope;
  }
}

/** Calls over a channel to a replica in another thread or process. */
export class PeerLink implements ReplicaLink, ChannelReader {
  readonly replica: string;
  readonly #channel: Channel;
  readonly #watcher: LinkWatcher;
  readonly #pending = new IdTable<PendingCall>();
  /** Numbers of pending calls whose input is a stream: the calls that make it name them as their readers. */
  readonly #readers = new Map<CallScope, number>();
  #lastId = 0;
  #isEnded = false;
  #isRetired = false;
  /** Reason why its replica is about to be killed. */
  #killReason: string | undefined;
  #hasHello = false;
  /** Milliseconds that a call is on its way. They are no part of the time left that is sent. */
  wayMs = 0;

  /**
   * @param isGreeted True where the hellos were exchanged: the owner of the channel passes its frames on, and its end.
   */
  constructor(replica: string, channel: Channel, watcher: LinkWatcher, isGreeted = false) {
    this.replica = replica;
    this.#channel = channel;
    this.#watcher = watcher;
    this.#hasHello = isGreeted;
    if (isGreeted) return;
    channel.open(this);
    channel.send(createHello(replica));
  }

  get inFlight(): number {
    return this.#pending.size;
  }

  send(scope: CallScope): void {
    this.#encodeCall(new PendingCall(scope));
  }

  open(scope: CallScope, sink: ItemSink): ItemSource {
    const call = new PendingCall(scope);
    const source: StreamSource = {
      start: () => this.#encodeCall(call),
      credit: (items) => this.#sendFrame(frameKinds.credit, call.id, String(items)),
      cancel: () => this.#cancel(call, scope.reason ?? readerGone()),
    };
    call.stream = new PeerStream(source, sink);
    return call.stream;
  }

  receive(frame: Frame): void {
    if (!this.#hasHello) {
      readHello(frame, this.replica);
      this.#hasHello = true;
      this.#watcher.opened();
      return;
    }
    switch (frame.kind) {
      case frameKinds.reply:
      case frameKinds.failure:
      case frameKinds.end:
        this.#finish(frame);
        return;
      case frameKinds.item:
        this.#receiveItem(frame);
        return;
      case frameKinds.response:
        this.#receiveResponse(frame);
        return;
      case frameKinds.credit:
      case frameKinds.cancel:
        this.#receiveWish(frame);
        return;
      case frameKinds.drain:
        this.#watcher.draining();
        return;
      default:
        throw malformed(`a frame of kind ${frame.kind}, which a replica does not send`);
    }
  }

  closed(reason: ServingError | undefined): void {
    this.#isEnded = true;
    const pending = this.#pending.values();
    this.#pending.clear();
    this.#readers.clear();
    // First, so that no retried call is sent here.
    this.#watcher.closed(reason);
    for (const { scope, stream, input, isSent } of pending) {
      input?.end();
      const { service, api } = scope.call;
      const why = this.#killReason ?? reason?.message;
      const details = { replica: this.replica, ...(why !== undefined && { why }), ...(!isSent && { isSent }) };
      const error = fail("replica_lost", details, { service, api });
      if (stream === undefined) scope.replyFailure(error);
      else stream.fail(error);
    }
  }

  /** Ends the link in order. */
  close(): void {
    this.#channel.close();
  }

  /** Ends the link once no call is in flight on it (TP5). A call that is sent on it after that goes elsewhere. */
  retire(): void {
    this.#isRetired = true;
    this.#closeIfDone();
  }

  /** Notes that its replica is about to be killed: the failures of its lost calls give the reason. */
  abandon(reason: string): void {
    this.#killReason = reason;
  }

  #closeIfDone(): void {
    if (this.#isRetired && this.#pending.size === 0) this.#channel.close();
  }

  #receiveItem(frame: Frame): void {
    const call = this.#pending.get(frame.id);
    if (call === undefined) return;
    if (call.stream === undefined) throw malformed(`an item for call ${frame.id}, which asked for no stream`);
    call.stream.push(frame);
  }

  /** Keeps the response that the api has set, for the HTTP server that made the call. */
  #receiveResponse({ id, head }: Frame): void {
    const response = ResponseDraft.fromWire(head);
    if (response === undefined) throw malformed(`the response of call ${id} can't be read`);
    const call = this.#pending.get(id)?.scope.call;
    if (call?.caller.service === "http") call.request.takeResponse(response);
  }

  /** Handles a frame for an input that is a stream: credit for more items, or the wish for no more. */
  #receiveWish(frame: Frame): void {
    const call = this.#pending.get(frame.id);
    if (call === undefined) return;
    const { input } = call;
    if (input === undefined)
      throw malformed(`a frame of kind ${frame.kind} for call ${frame.id}, whose input is no stream`);
    if (frame.kind === frameKinds.credit) input.addCredit(readCredit(frame, 0));
    else input.receiveCancel();
  }

  /** Ends a call with its last frame. The other side ends its own calls in flight, or its end closes the channel. */
  #finish(frame: Frame): void {
    const call = this.#pending.get(frame.id);
    if (call === undefined) return;
    const { scope, stream } = call;
    if (frame.kind === (stream === undefined ? frameKinds.end : frameKinds.reply)) {
      throw malformed(`a frame of kind ${frame.kind}, which does not answer what call ${frame.id} asked for`);
    }
    this.#pending.delete(frame.id);
    if (call.input !== undefined) {
      call.input.end();
      this.#readers.delete(scope);
    }
    this.#closeIfDone();
    if (scope.isEnded && stream === undefined) return;
    if (frame.kind === frameKinds.reply) this.#reply(scope, frame);
    else if (frame.kind === frameKinds.end) stream?.end();
    else if (stream === undefined) this.#fail(call, frame);
    else stream.fail(nameDeadline(decodeError(frame.head), scope));
  }

  #reply(scope: CallScope, frame: Frame): void {
    let value: unknown;
    try {
      value = decodeFrame(frame);
    } catch (error) {
      scope.replyFailure(toServingError(error, scope.call.service, scope.call.api));
      return;
    }
    scope.reply(value);
  }

  #fail(call: PendingCall, frame: Frame): void {
    const { scope } = call;
    const end = (frame.flags & frameFlags.lent) === 0 ? -1 : frame.head.indexOf("\n");
    const error = decodeError(end < 0 ? frame.head : frame.head.slice(0, end));
    try {
      if (end >= 0) takeBack(scope, decodeFrame({ ...frame, head: frame.head.slice(end + 1) }));
    } catch (thrown) {
      this.#refuse(call, thrown);
      return;
    }
    scope.replyFailure(nameDeadline(error, scope));
  }

  #encodeCall(call: PendingCall): void {
    const { input } = call.scope;
    let encoded: EncodedValue | Promise<EncodedValue>;
    try {
      encoded = input.stream === undefined ? encodeValue(input.value, "input", this.#channel.files) : noValue;
      // The call is sent later, maybe to another replica.
      if (encoded instanceof Promise) input.keep();
    } catch (error) {
      this.#refuse(call, error);
      return;
    }
    if (!(encoded instanceof Promise)) {
      this.#sendCall(call, encoded);
      return;
    }
    encoded.then(
      (value) => this.#sendCall(call, value),
      (error: unknown) => this.#refuse(call, error),
    );
  }

  #sendCall(call: PendingCall, value: EncodedValue): void {
    const { scope, stream } = call;
    if (scope.isEnded || stream?.isEnded) return;
    const problem = this.#obstacle();
    if (problem !== undefined) {
      this.#refuse(call, problem);
      return;
    }
    const id = this.#nextId();
    call.id = id;
    const { stream: items, isOwned } = scope.input;
    const { api, caller, request, priority } = scope.call;
    const reader = scope.reader === undefined ? undefined : this.#readers.get(scope.reader);
    const flags =
      (value.isMarked ? frameFlags.marked : 0) |
      (stream === undefined ? 0 : frameFlags.stream) |
      (items === undefined ? 0 : frameFlags.fed) |
      (priority === "background" ? frameFlags.background : 0) |
      (reader === undefined ? 0 : frameFlags.read) |
      (isOwned || items !== undefined ? 0 : frameFlags.lent);
    const head = `${reader === undefined ? "" : `${reader}\n`}${api}\n${timeLeft(scope, this.wayMs)}\n${caller.service}\n${caller.api}\n${request.wireText}\n${value.text}`;
    try {
      call.isSent = this.#channel.send({ kind: frameKinds.call, flags, id, head, tails: value.tails });
      if (!call.isSent) scope.input.keep();
    } catch (error) {
      this.#refuse(call, error);
      return;
    }
    // Done for an unsent call too: the channel is about to end, and its end answers the call.
    if (items !== undefined) {
      call.input = new InputSender({ channel: this.#channel, id, scope }, items);
      this.#readers.set(scope, id);
    }
    this.#pending.set(id, call);
    scope.onCancel((reason) => this.#cancel(call, reason));
  }

  #cancel(call: PendingCall, reason: ServingError): void {
    if (this.#pending.get(call.id) !== call || call.isCancelled) return;
    call.isCancelled = true;
    call.input?.end();
    this.#sendFrame(frameKinds.cancel, call.id, encodeError(reason));
  }

  /** Returns the reason why no call can be sent now. */
  #obstacle(): ServingError | undefined {
    if (this.#isEnded) return fail("replica_lost", { replica: this.replica, isSent: false });
    const { bufferedBytes } = this.#channel;
    if (bufferedBytes > maxBufferedBytes) return fail("link_full", { bufferedBytes, maxBufferedBytes });
    return undefined;
  }

  #refuse({ scope, stream }: PendingCall, error: unknown): void {
    const failure = toServingError(error, scope.call.service, scope.call.api);
    if (stream === undefined) scope.replyFailure(failure);
    else stream.fail(failure);
  }

  #sendFrame(kind: number, id: number, head: string): void {
    this.#channel.send({ kind, flags: 0, id, head, tails: noTails });
  }

  #nextId(): number {
    do this.#lastId = this.#lastId === 0xffff_ffff ? 1 : this.#lastId + 1;
    while (this.#pending.has(this.#lastId));
    return this.#lastId;
  }
}

/**
 * Returns the time left of a call in milliseconds, as it is sent: the other side's clock has another origin. A whole
 * number, since a fraction costs ten times as much to write as the rest of a head; rounded up, so that the caller gives
 * up first.
 */
const timeLeft = ({ call, time }: CallScope, wayMs: number): number =>
  Math.ceil(call.deadline - time.clock.now() - wayMs);

/** Keeps the sent input for a call that is sent again: its caller may have changed the value since (TP6). */
function takeBack({ input }: CallScope, value: unknown): void {
  if (!input.isOwned) input.own(value);
}

/** Placeholder for an input that is a stream. */
const noValue: EncodedValue = { text: "", tails: noTails, isMarked: false };

const decodeFrame = ({ head, tails, flags }: Frame): unknown =>
  decodeValue(head, tails, (flags & frameFlags.marked) !== 0);
