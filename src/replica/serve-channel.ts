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
// RC1  Each call number is answered once: with a reply, a failure, or the end of its stream.
// RC2  When the channel ends, every call that came over it is cancelled, since its answer can't be delivered.
// RC3  A call has ended here when its answer was given to the channel. A drain also waits for answers that are still
//      being encoded, such as a file that is being read, although the author's code has ended.
// RC4  A draining replica returns a call that it refuses together with its input, if the caller has kept no copy.
// RC5  The response that an api sets for its HTTP request is sent right before the reply, the first item or the end.

/** Answers the calls that come over one channel with one replica. */
export class ChannelServer implements ChannelReader {
  readonly #channel: Channel;
  readonly #replica: Replica;
  readonly #onEnd: (server: ChannelServer) => void;
  readonly #open = new IdTable<ReceivedCall>();
  readonly #callers = new Map<string, Caller>();
  #hasHello = false;
  /** Set while a drain waits for the last answer. */
  #onAnswered: (() => void) | undefined;

  /** @param isGreeted True where the hellos were exchanged: the owner of the channel passes on frames and the end. */
  constructor(channel: Channel, replica: Replica, onEnd: (server: ChannelServer) => void, isGreeted = false) {
    this.#channel = channel;
    this.#replica = replica;
    this.#onEnd = onEnd;
    this.#hasHello = isGreeted;
    if (isGreeted) return;
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

  /** Tells the caller that no new call is accepted. */
  announceDrain(): void {
    this.#channel.send({ kind: frameKinds.drain, flags: 0, id: 0, head: "", tails: noTails });
  }

  /** Resolves when every received call was answered (RC3), or the channel has ended. Call it once. */
  async answered(): Promise<void> {
    if (this.#open.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#onAnswered = resolve;
    });
  }

  /**
   * Ends the channel after the answers given so far, and cancels all other calls. The end of the channel tells their
   * callers.
   */
  close(): void {
    this.#channel.close();
    this.#cancelAll(fail("replica_lost", { replica: this.#replica.deps.id }));
  }

  #cancelAll(reason: ServingError): void {
    for (const { scope } of this.#open.values()) scope.cancel(reason);
  }

  /** Forgets a call just before its answer is sent. `answered()` resolves in a later turn, after that. */
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

  /** Refuses a call and returns its input (RC4). @param head Head of the call without the number of a reader. */
  #sendBack({ id, tails, flags }: Frame, head: string): void {
    const { id: replica, descriptor } = this.#replica.deps;
    const [api, , , , context] = findEnds(head);
    const place = { service: descriptor.name, api: head.slice(0, api) };
    const refusal = encodeError(fail("draining", { what: `replica ${replica}` }, place));
    const own = flags & (frameFlags.lent | frameFlags.marked);
    const text = `${refusal}\n${head.slice(context + 1)}`;
    this.#channel.send({ kind: frameKinds.failure, flags: own, id, head: text, tails });
  }

  /**
   * Reads the number of the call that reads the output of this one. Finds it if it came over this channel and has not
   * ended.
   */
  #readReader({ head }: Frame): { readonly reader: CallScope | undefined; readonly head: string } {
    const end = head.indexOf("\n");
    const text = head.slice(0, Math.max(0, end));
    if (!/^\d{1,10}$/.test(text))
      throw malformed(`the number ${text.slice(0, 40)} of a call that reads another is none`);
    return { reader: this.#open.get(Number(text))?.scope, head: head.slice(end + 1) };
  }

  /**
   * Passes on a frame of an input stream. Drops frames for calls that have been answered: they crossed with the answer.
   */
  #receiveInput(frame: Frame): void {
    const call = this.#open.get(frame.id);
    if (call === undefined) return;
    if (call.input === undefined)
      throw malformed(`a frame of kind ${frame.kind} for call ${frame.id}, whose input is no stream`);
    call.input.receive(frame);
  }

  /**
   * Reads six texts, each but the last ended by a newline; see docs/reference/wire.md.
   *
   * @returns The call, and the last text.
   */
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

  /** Returns one object for each caller instead of each call. @param text Service and api with a newline between. */
  #callerOf(text: string, serviceLength: number): Caller {
    let caller = this.#callers.get(text);
    if (caller === undefined) {
      caller = { service: text.slice(0, serviceLength), api: text.slice(serviceLength + 1) };
      if (this.#callers.size < maxCallers) this.#callers.set(text, caller);
    }
    return caller;
  }
}

/** Most callers that one channel remembers; only a broken peer has more. */
const maxCallers = 1024;

/** Finds the ends of the first five texts in the head of a call. */
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

/** Decodes the input of a call; `undefined` for an input stream, whose items come later. */
function readInput(text: string, tails: readonly Tail[], flags: number): unknown {
  if ((flags & frameFlags.fed) === 0) return decodeValue(text, tails, (flags & frameFlags.marked) !== 0);
  if (text !== "" || tails.length > 0) throw malformed("a call whose input is a stream has an input besides");
  return undefined;
}

/** One call that came over a channel, until it is answered (RC1). */
class ReceivedCall implements ReplySink {
  readonly #id: number;
  readonly scope: CallScope;
  readonly #channel: Channel;
  readonly #forget: (id: number) => void;
  /** Sender of an output stream. */
  #sender: StreamSender | undefined;
  /** Receiver of an input stream. */
  #input: InputReceiver | undefined;
  #hasResponse = false;

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
    // A late answer is replaced by the cancellation reason, as inline calls do.
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

  /** Sends the items of an output stream. @param serve Runs the call, and passes its items to the sender. */
  startStream(serve: (sender: StreamSender) => ItemSource): void {
    const { scope } = this;
    const done = (error: unknown): void => {
      // A stream cut short by its deadline must not look complete to a caller whose clock is a little behind.
      const failure = error ?? scope.reason;
      if (failure === undefined) this.#end();
      else this.failure(failure as ServingError);
    };
    const begin = () => this.#sendResponse();
    const sender = new StreamSender({ channel: this.#channel, id: this.#id, part: "output", begin, done });
    this.#sender = sender;
    scope.onCancel(() => sender.stop());
    sender.start(serve(sender));
  }

  #end(): void {
    this.#sendResponse();
    this.#answer(frameKinds.end, "");
  }

  /** Sends the response that the api has set, if it has set any (RC5). */
  #sendResponse(): void {
    const { response } = this.scope.call.request;
    if (response === undefined || this.#hasResponse) return;
    this.#hasResponse = true;
    const head = response.wireText;
    this.#channel.send({ kind: frameKinds.response, flags: 0, id: this.#id, head, tails: noTails });
  }

  #reply({ text, tails, isMarked }: EncodedValue): void {
    this.#sendResponse();
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

/** Callee's end of an input stream: its reader, and the frames that arrive for it. */
class InputReceiver {
  /** Items, as the api reads them. */
  readonly items: ItemReader;
  readonly #stream: PeerStream;
  readonly #channel: Channel;
  readonly #id: number;
  #isOver = false;

  /** @param scope Scope of the call. Its end ends the input; its cancellation fails a waiting `next()`. */
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

  /**
   * Handles an item, the end or the failure of the input.
   *
   * @throws {ServingError} `malformed_frame` for an unexpected frame.
   */
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
