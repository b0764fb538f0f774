import { IdTable } from "../base/id-table.js";
import { type Call, type Caller, RequestContext } from "../call/call.js";
import { CallScope } from "../call/call-scope.js";
import { ItemReader } from "../call/streams/item-reader.js";
import { readerGone } from "../call/streams/item-source.js";
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
import type { ReplyWriter } from "./call-host.js";
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
export class ChannelServer implements ChannelReader, ReplyWriter {
  readonly #channel: Channel;
  readonly #replica: Replica;
  readonly #onEnd: (server: ChannelServer) => void;
  readonly #open = new IdTable<CallScope>();
  readonly #senders = new IdTable<StreamSender>();
  /** Of calls whose input is a stream. */
  readonly #inputs = new IdTable<InputReceiver>();
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
        this.#open.get(frame.id)?.cancel(decodeError(frame.head));
        return;
      case frameKinds.credit:
        this.#senders.get(frame.id)?.addCredit(readCredit(frame, 1));
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

  replyOutput(scope: CallScope, output: unknown): void {
    // Its deadline passed, or its caller gave up: an answer that comes all the same is none, as it is within one process.
    if (scope.reason !== undefined) {
      this.replyFailure(scope, scope.reason);
      return;
    }
    let encoded: EncodedValue | Promise<EncodedValue>;
    try {
      encoded = encodeValue(output, "output", this.#channel.files);
    } catch (error) {
      this.replyFailure(scope, error as ServingError);
      return;
    }
    if (!(encoded instanceof Promise)) {
      this.#reply(scope, encoded);
      return;
    }
    encoded.then(
      (value) => this.#reply(scope, value),
      (error: unknown) => this.replyFailure(scope, error as ServingError),
    );
  }

  replyFailure(scope: CallScope, thrown: ServingError): void {
    const { service, api } = scope.call;
    this.#answer(scope.slot, frameKinds.failure, encodeError(toServingError(thrown, service, api)));
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
    for (const scope of this.#open.values()) scope.cancel(reason);
  }

  #reply(scope: CallScope, { text, tails, isMarked }: EncodedValue): void {
    this.#forget(scope.slot);
    const flags = isMarked ? frameFlags.marked : 0;
    try {
      this.#channel.send({ kind: frameKinds.reply, flags, id: scope.slot, head: text, tails });
    } catch (error) {
      this.replyFailure(scope, error as ServingError);
    }
  }

  #answer(id: number, kind: number, head: string): void {
    this.#forget(id);
    this.#channel.send({ kind, flags: 0, id, head, tails: noTails });
  }

  /** Before its answer is sent, in one turn: whoever waits for it hears of it in the next. */
  #forget(id: number): void {
    this.#open.delete(id);
    // Of most calls there is neither.
    if (this.#senders.size > 0) this.#senders.delete(id);
    if (this.#inputs.size > 0) this.#inputs.delete(id);
    if (this.#onAnswered !== undefined && this.#open.size === 0) this.#onAnswered();
  }

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
    const call = this.#readCall(isRead ? { ...frame, head } : frame, now);
    const scope = new CallScope(call, undefined, time, now);
    scope.reader = reader;
    scope.slot = frame.id;
    this.#open.set(frame.id, scope);
    if (call.deadline <= now) scope.expire();
    if (scope.reason !== undefined) {
      this.replyFailure(scope, scope.reason);
      return;
    }
    const input = (frame.flags & frameFlags.fed) === 0 ? call.input : this.#openInput(scope);
    if ((frame.flags & frameFlags.stream) === 0) serveCall(this.#replica, scope, input, this);
    else this.#serveStream(scope, input);
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
    return { reader: this.#open.get(Number(text)), head: head.slice(end + 1) };
  }

  #openInput(scope: CallScope): AsyncIterable<unknown> {
    const input = new InputReceiver(this.#channel, scope);
    this.#inputs.set(scope.slot, input);
    return input.items;
  }

  /** What comes for a call that has been answered crossed with the answer. */
  #receiveInput(frame: Frame): void {
    if (!this.#open.has(frame.id)) return;
    const input = this.#inputs.get(frame.id);
    if (input === undefined)
      throw malformed(`a frame of kind ${frame.kind} for call ${frame.id}, whose input is no stream`);
    input.receive(frame);
  }

  #serveStream(scope: CallScope, input: unknown): void {
    const id = scope.slot;
    const done = (error: unknown): void => {
      // Cut short by its deadline, say, it must not look complete to a caller whose own clock is a little behind.
      const failure = error ?? scope.reason;
      if (failure === undefined) this.#answer(id, frameKinds.end, "");
      else this.replyFailure(scope, failure as ServingError);
    };
    const sender = new StreamSender({ channel: this.#channel, id, part: "output", done });
    this.#senders.set(id, sender);
    scope.onCancel(() => sender.stop());
    sender.start(new ServedStream(this.#replica, scope, { input, sink: sender }));
  }

  /** Six texts, each but the last ended by a newline; see docs/reference/wire.md. */
  #readCall({ head, tails, flags }: Frame, now: number): Call {
    const [api, timeLeft, service, caller, context] = findEnds(head);
    return {
      service: this.#replica.deps.descriptor.name,
      api: head.slice(0, api),
      deadline: now + readTimeLeft(head.slice(api + 1, timeLeft)),
      caller: this.#callerOf(head.slice(timeLeft + 1, caller), service - timeLeft - 1),
      request: RequestContext.fromWire(head.slice(caller + 1, context)),
      input: readInput(head.slice(context + 1), tails, flags),
      outside: true,
      priority: (flags & frameFlags.background) === 0 ? "interactive" : "background",
    };
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

/** The callee's end of an input that is a stream: its reader, and the frames that come for it. */
class InputReceiver {
  /** What the api reads. */
  readonly items: ItemReader;
  readonly #stream: PeerStream;
  readonly #channel: Channel;
  readonly #id: number;
  #isOver = false;

  /** @param scope Of the call: its end ends the input, and a cancellation fails a `next()` that waits. */
  constructor(channel: Channel, scope: CallScope) {
    this.#channel = channel;
    this.#id = scope.slot;
    const items = { pull: () => this.#stream.pull(), stop: () => this.#stream.stop() };
    this.items = new ItemReader(items, () => nameInput(scope));
    scope.input = this.items;
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
