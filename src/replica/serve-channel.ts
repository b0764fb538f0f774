import { IdTable } from "../base/id-table.js";
import { type Call, type Caller, RequestContext } from "../call/call.js";
import { CallScope, type ReplySink } from "../call/call-scope.js";
import { ItemReader } from "../call/streams/item-reader.js";
import { type ItemSource, readerGone } from "../call/streams/item-source.js";
import { nameInput } from "../call/streams/stream-use.js";
import { fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import { toServingError } from "../failure/to-serving-error.js";
import type { Tail } from "../held/held-file.js";
import { type Channel, type ChannelReader, createHello, readHello } from "../transport/channel.js";
import { decodeValue } from "../transport/decode-value.js";
import { type EncodedValue, encodeValue } from "../transport/encode-value.js";
import { type Frame, frameFlags, frameKinds, malformed, noTails } from "../transport/frame.js";
import { PeerStream, readCredit, type StreamSource } from "../transport/peer-stream.js";
import { StreamSender } from "../transport/stream-sender.js";
import { decodeError, encodeError } from "../transport/wire-error.js";
import type { Replica } from "./replica.js";
import { serveCall } from "./serve-call.js";
import { ServedStream } from "./served-stream.js";

// The replica's side of a channel from one caller.
//
// A1  A call's number answers once: with a reply, a failure, or the end of its stream.
// A2  When the channel ends, every call that came over it is cancelled: nobody is left to read its answer.
// A3  A call has ended here when its answer was given to the channel: one that is still encoded, as a file that is read, is
//     waited for by a drain although its code has ended.
// A4  A call that is refused since the replica drains goes back as it came, where its caller has not kept what it sent.

/** Answers the calls that come over one channel with one replica. */
export class ChannelServer implements ChannelReader {
  readonly #channel: Channel;
  readonly #replica: Replica;
  readonly #onEnd: (server: ChannelServer) => void;
  readonly #open = new IdTable<ReceivedCall>();
  readonly #callers = new Map<string, Caller>();
  #hasHello = false;
  /** Set while somebody waits for the last answer. */
  #onAnswered: (() => void) | undefined;

  constructor(channel: Channel, replica: Replica, onEnd: (server: ChannelServer) => void) {
    this.#channel = channel;
    this.#replica = replica;
    this.#onEnd = onEnd;
    channel.open(this);
    channel.send(createHello(replica.deps.id));
  }

  receive(frame: Frame): void {
    if (!this.#hasHello) {
      readHello(frame, this.#replica.deps.id);
      this.#hasHello = true;
      return;
    }
    switch (frame.kind) {
      case frameKinds.call:
        this.#receiveCall(frame);
        return;
      case frameKinds.cancel:
        this.#open.get(frame.id)?.scope.cancel(decodeError(frame.head));
        return;
      case frameKinds.credit:
        this.#open.get(frame.id)?.sender?.addCredit(readCredit(frame, 1));
        return;
      case frameKinds.item:
      case frameKinds.end:
      case frameKinds.failure:
        this.#receiveInput(frame);
        return;
      default:
        throw malformed(`a frame of kind ${frame.kind}, which a caller does not send`);
    }
  }

  closed(reason: ServingError | undefined): void {
    if (reason !== undefined) {
      this.#replica.deps.log.warn({ failure: reason.id, problem: reason.message }, "a caller's link ended");
    }
    this.#cancelAll(fail("cancelled", { reason: "the caller's link has ended" }));
    this.#onAnswered?.();
    this.#onEnd(this);
  }

  /** Tells the caller that no new call is taken. */
  announceDrain(): void {
    this.#channel.send({ kind: frameKinds.drain, flags: 0, id: 0, head: "", tails: noTails });
  }

  /** Resolves when each call that came was answered (A3), or nobody is left to read an answer. Asked for once. */
  async answered(): Promise<void> {
    if (this.#open.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#onAnswered = resolve;
    });
  }

  /** Ends the channel after what was answered, and cancels what was not: its callers are told by the end of the channel. */
  close(): void {
    this.#channel.close();
    this.#cancelAll(fail("replica_lost", { replica: this.#replica.deps.id }));
  }

  #cancelAll(reason: ServingError): void {
    for (const { scope } of this.#open.values()) scope.cancel(reason);
  }

  /** Before an answer is sent, in one turn: whoever waits for it hears of it in the next. */
  readonly #forget = (id: number): void => {
    this.#open.delete(id);
    if (this.#onAnswered !== undefined && this.#open.size === 0) this.#onAnswered();
  };

  #receiveCall(frame: Frame): void {
    const { time } = this.#replica.deps;
    if (this.#open.has(frame.id)) throw malformed(`call ${frame.id} is still open`);
    const now = time.clock.now();
    const isRead = (frame.flags & frameFlags.read) !== 0;
    const { reader, head } = isRead ? this.#readReader(frame) : { reader: undefined, head: frame.head };
    if ((frame.flags & frameFlags.lent) !== 0 && this.#replica.isDraining) {
      this.#sendBack(frame, head);
      return;
    }
    const { call, text } = this.#readCall(head, frame.flags, now);
    const value = readInput(text, frame.tails, frame.flags);
    const scope = new CallScope(call, undefined, time, now);
    if (reader !== undefined) scope.readBy(reader);
    const received = new ReceivedCall(frame.id, scope, this.#channel, this.#forget);
    this.#open.set(frame.id, received);
    if (call.deadline <= now) scope.expire();
    if (scope.reason !== undefined) {
      received.failure(scope.reason);
      return;
    }
    const input = (frame.flags & frameFlags.fed) === 0 ? value : received.openInput();
    if ((frame.flags & frameFlags.stream) === 0) serveCall(this.#replica, scope, input, received);
    else received.startStream((sender) => new ServedStream(this.#replica, scope, { input, sink: sender }));
  }

  /** Refuses a call whose caller keeps no input (A4). @param head Without the number of a reader. */
  #sendBack({ id, tails, flags }: Frame, head: string): void {
    const { id: replica, descriptor } = this.#replica.deps;
    const [api, , , , context] = findEnds(head);
    const place = { service: descriptor.name, api: head.slice(0, api) };
    const refusal = encodeError(fail("draining", { what: `replica ${replica}` }, place));
    const own = flags & (frameFlags.lent | frameFlags.marked);
    const text = `${refusal}\n${head.slice(context + 1)}`;
    this.#channel.send({ kind: frameKinds.failure, flags: own, id, head: text, tails });
  }

  /** The call that reads what this one makes, where it is one of this channel's and has not ended; and the rest of the head. */
  #readReader({ head }: Frame): { readonly reader: CallScope | undefined; readonly head: string } {
    const end = head.indexOf("\n");
    const text = head.slice(0, Math.max(0, end));
    if (!/^\d{1,10}$/.test(text))
      throw malformed(`the number ${text.slice(0, 40)} of a call that reads another is none`);
    return { reader: this.#open.get(Number(text))?.scope, head: head.slice(end + 1) };
  }

  /** What comes for a call that has been answered crossed with the answer. */
  #receiveInput(frame: Frame): void {
    const call = this.#open.get(frame.id);
    if (call === undefined) return;
    if (call.input === undefined)
      throw malformed(`a frame of kind ${frame.kind} for call ${frame.id}, whose input is no stream`);
    call.input.receive(frame);
  }

  /** Reads six texts, each but the last ended by a newline; see docs/reference/wire.md. @returns The call, and the last text. */
  #readCall(head: string, flags: number, now: number): { readonly call: Call; readonly text: string } {
    const [api, timeLeft, service, caller, context] = findEnds(head);
    const call: Call = {
      service: this.#replica.deps.descriptor.name,
      api: head.slice(0, api),
      deadline: now + readTimeLeft(head.slice(api + 1, timeLeft)),
      caller: this.#callerOf(head.slice(timeLeft + 1, caller), service - timeLeft - 1),
      request: RequestContext.fromWire(head.slice(caller + 1, context)),
      outside: true,
      priority: (flags & frameFlags.background) === 0 ? "interactive" : "background",
    };
    return { call, text: head.slice(context + 1) };
  }

  /** One object a caller, not one a call. @param text Service and api with a newline between. */
  #callerOf(text: string, serviceLength: number): Caller {
    let caller = this.#callers.get(text);
    if (caller === undefined) {
      caller = { service: text.slice(0, serviceLength), api: text.slice(serviceLength + 1) };
      if (this.#callers.size < maxCallers) this.#callers.set(text, caller);
    }
    return caller;
  }
}

/** Apis that can call one replica over one channel; only a broken caller has more. */
const maxCallers = 1024;

/** Where the first five texts of a call's head end. */
function findEnds(head: string): [number, number, number, number, number] {
  const ends: number[] = [];
  for (let at = head.indexOf("\n"); at >= 0 && ends.length < 5; at = head.indexOf("\n", at + 1)) ends.push(at);
  if (ends.length < 5) throw malformed("the head of a call has fewer than six texts");
  return ends as [number, number, number, number, number];
}

function readTimeLeft(text: string): number {
  const ms = Number(text);
  if (Number.isNaN(ms) || text === "") throw malformed(`the time left ${text.slice(0, 40)} is no number`);
  return ms;
}

/** Of an input that is a stream there is no text: its items come later. */
function readInput(text: string, tails: readonly Tail[], flags: number): unknown {
  if ((flags & frameFlags.fed) === 0) return decodeValue(text, tails, (flags & frameFlags.marked) !== 0);
  if (text !== "" || tails.length > 0) throw malformed("a call whose input is a stream has an input besides");
  return undefined;
}

/** One call that came over a channel, until it is answered (A1). */
class ReceivedCall implements ReplySink {
  readonly #id: number;
  readonly scope: CallScope;
  readonly #channel: Channel;
  readonly #forget: (id: number) => void;
  /** Sender of the output, where that is a stream. */
  #sender: StreamSender | undefined;
  /** Receiver of the input, where that is a stream. */
  #input: InputReceiver | undefined;

  /** @param forget Takes the call from the table of open ones. */
  constructor(id: number, scope: CallScope, channel: Channel, forget: (id: number) => void) {
    this.#id = id;
    this.scope = scope;
    this.#channel = channel;
    this.#forget = forget;
  }

  get sender(): StreamSender | undefined {
    return this.#sender;
  }

  get input(): InputReceiver | undefined {
    return this.#input;
  }

  output(output: unknown): void {
    // Its deadline passed, or its caller gave up: an answer that comes all the same is none, as it is within one process.
    if (this.scope.reason !== undefined) {
      this.failure(this.scope.reason);
      return;
    }
    let encoded: EncodedValue | Promise<EncodedValue>;
    try {
      encoded = encodeValue(output, "output", this.#channel.files);
    } catch (error) {
      this.failure(error as ServingError);
      return;
    }
    if (!(encoded instanceof Promise)) {
      this.#reply(encoded);
      return;
    }
    encoded.then(
      (value) => this.#reply(value),
      (error: unknown) => this.failure(error as ServingError),
    );
  }

  failure(thrown: ServingError): void {
    const { service, api } = this.scope.call;
    this.#answer(frameKinds.failure, encodeError(toServingError(thrown, service, api)));
  }

  openInput(): AsyncIterable<unknown> {
    this.#input = new InputReceiver(this.#channel, this.#id, this.scope);
    return this.#input.items;
  }

  /** Sends the items of an output that is a stream. @param serve Runs the call, and gives its items to the sender. */
  startStream(serve: (sender: StreamSender) => ItemSource): void {
    const { scope } = this;
    const done = (error: unknown): void => {
      // Cut short by its deadline, say, it must not look complete to a caller whose own clock is a little behind.
      const failure = error ?? scope.reason;
      if (failure === undefined) this.#answer(frameKinds.end, "");
      else this.failure(failure as ServingError);
    };
    const sender = new StreamSender({ channel: this.#channel, id: this.#id, part: "output", done });
    this.#sender = sender;
    scope.onCancel(() => sender.stop());
    sender.start(serve(sender));
  }

  #reply({ text, tails, isMarked }: EncodedValue): void {
    this.#forget(this.#id);
    const flags = isMarked ? frameFlags.marked : 0;
    try {
      this.#channel.send({ kind: frameKinds.reply, flags, id: this.#id, head: text, tails });
    } catch (error) {
      this.failure(error as ServingError);
    }
  }

  #answer(kind: number, head: string): void {
    this.#forget(this.#id);
    this.#channel.send({ kind, flags: 0, id: this.#id, head, tails: noTails });
  }
}

/** The callee's end of an input that is a stream: its reader, and the frames that come for it. */
class InputReceiver {
  /** What the api reads. */
  readonly items: ItemReader;
  readonly #stream: PeerStream;
  readonly #channel: Channel;
  readonly #id: number;
  #isOver = false;

  /** @param scope Of the call: its end ends the input, and a cancellation fails a `next()` that waits. */
  constructor(channel: Channel, id: number, scope: CallScope) {
    this.#channel = channel;
    this.#id = id;
    const items = { pull: () => this.#stream.pull(), stop: () => this.#stream.stop() };
    this.items = new ItemReader(items, () => nameInput(scope));
    const source: StreamSource = {
      start: () => this.#send(frameKinds.credit, "0"),
      credit: (items) => this.#send(frameKinds.credit, String(items)),
      cancel: () => this.#send(frameKinds.cancel, encodeError(readerGone())),
    };
    this.#stream = new PeerStream(source, this.items);
    scope.onEnd(() => this.#stream.close(scope.reason));
  }

  /** An item, the end or the failure of the input. @throws {ServingError} `malformed_frame` for one that may not come now. */
  receive(frame: Frame): void {
    const { kind, head } = frame;
    if (this.#isOver) throw malformed(`a frame of kind ${kind} for the input of call ${this.#id}, which has ended`);
    if (!this.#stream.isStarted) throw malformed(`a frame of kind ${kind} for an input that nobody has asked for`);
    this.#isOver = kind !== frameKinds.item;
    if (kind === frameKinds.end) this.#stream.end();
    else if (kind === frameKinds.failure) this.#stream.fail(decodeError(head));
    else this.#stream.push(frame);
  }

  #send(kind: number, head: string): void {
    if (!this.#isOver) this.#channel.send({ kind, flags: 0, id: this.#id, head, tails: noTails });
  }
}
