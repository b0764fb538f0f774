import type { Clock, Timer } from "../../base/clock.js";
import type { CallScope } from "../../call/call-scope.js";
import type { ReplicaLink } from "../../call/link.js";
import type { ItemSink, ItemSource } from "../../call/streams/item-source.js";
import { fail } from "../../failure/failures.js";
import type { ServingError } from "../../failure/serving-error.js";
import type { Channel, ChannelReader } from "../../transport/channel.js";
import { type Frame, frameKinds, malformed, maxFrameBytes } from "../../transport/frame.js";
import { PeerLink } from "../../transport/peer-link.js";
import {
  createCallerHello,
  createContractFrame,
  createPing,
  maxContractBytes,
  maxHelloBytes,
  type ReplicaHello,
  readContractFrame,
  readLoadFrame,
  readPong,
  readReplicaHello,
} from "../../transport/remote-hello.js";
import { LinkPulse } from "./link-pulse.js";

// The caller's side of a channel to a replica of another app.
//
// NX1  It is opened only when the other side serves the wanted service, and its contract is one that the caller can
//      live with. Before that no frame is read that is larger than a hello or a contract.
// NX2  A silent link is reported, and reported again when it answers. A lost one ends, and its calls fail.
// NX3  Pings are sent as long as it is open, and no timer is left when it has ended.

/** Contract that the calling app was built with. */
export interface OwnContract {
  readonly service: string;
  readonly digest: string;
  readonly form: object;
  /**
   * Compares it with the contract of the other side.
   *
   * @returns The failure of a contract that the caller can't live with.
   */
  readonly judge: (theirs: object) => ServingError | undefined;
}

/** Hears of the life of a connection. */
export interface ConnectionWatcher {
  /** @returns False when the link is not wanted: it is closed. */
  opened(hello: ReplicaHello): boolean;
  draining(): void;
  silent(isSilent: boolean): void;
  announced(replicas: number): void;
  /** Called once. @param reason Absent where the other side closed the connection in order. */
  closed(reason: ServingError | undefined): void;
}

interface ConnectionDeps {
  readonly contract: OwnContract;
  /** Id of this thread or process. */
  readonly caller: string;
  /** Own zone; `""` for none. */
  readonly zone: string;
  readonly clock: Clock;
  readonly limits: ConstructorParameters<typeof LinkPulse>[0];
}

export class RemoteConnection implements ChannelReader, ReplicaLink {
  readonly #channel: Channel;
  readonly #deps: ConnectionDeps;
  readonly #watcher: ConnectionWatcher;
  readonly #begunAt: number;
  #hello: ReplicaHello | undefined;
  #link: PeerLink | undefined;
  #pulse: LinkPulse | undefined;
  #timer: Timer | undefined;
  #isSilent = false;
  #isEnded = false;
  /** Last report of the replica, and own calls in flight at that time. */
  #reported = 0;
  #slots = 1;
  #ownThen = 0;

  constructor(channel: Channel, deps: ConnectionDeps, watcher: ConnectionWatcher) {
    this.#channel = channel;
    this.#deps = deps;
    this.#watcher = watcher;
    this.#begunAt = deps.clock.now();
    channel.limitFrames?.(maxHelloBytes);
    channel.open(this);
    const { service, digest } = deps.contract;
    channel.send(createCallerHello({ service, caller: deps.caller, contract: digest }));
  }

  get replica(): string {
    return this.#hello?.replica ?? "";
  }

  get inFlight(): number {
    return this.#link?.inFlight ?? 0;
  }

  /** Share of its slots in use: what the replica reported, and what was sent since (`1` is all of them). */
  get burden(): number {
    const own = this.inFlight;
    return Math.max(own, this.#reported + own - this.#ownThen) / this.#slots;
  }

  get isNear(): boolean {
    return this.#deps.zone !== "" && this.#hello?.zone === this.#deps.zone;
  }

  send(scope: CallScope): void {
    (this.#link as PeerLink).send(scope);
  }

  open(scope: CallScope, sink: ItemSink): ItemSource {
    return (this.#link as PeerLink).open(scope, sink);
  }

  /** Takes no new call; ends after its last one. */
  retire(): void {
    if (this.#link === undefined) this.#channel.close();
    else this.#link.retire();
  }

  /** Ends at once. Open calls fail. */
  cut(reason: ServingError): void {
    if (this.#channel.cut === undefined) this.#channel.close();
    else this.#channel.cut(reason);
  }

  receive(frame: Frame): void {
    if (this.#link !== undefined) this.#receiveFor(this.#link, frame);
    else if (this.#hello === undefined) this.#receiveHello(frame);
    else this.#receiveContract(this.#hello, frame);
  }

  closed(reason: ServingError | undefined): void {
    this.#isEnded = true;
    this.#timer?.clear();
    // The link tells the watcher before its calls fail, so that none is sent here again.
    if (this.#link === undefined) this.#watcher.closed(reason);
    else this.#link.closed(reason);
  }

  #receiveFor(link: PeerLink, frame: Frame): void {
    switch (frame.kind) {
      case frameKinds.pong:
        this.#receivePong(link, frame);
        return;
      case frameKinds.load: {
        const { calls, slots } = readLoadFrame(frame);
        this.#reported = calls;
        this.#slots = slots;
        this.#ownThen = link.inFlight;
        return;
      }
      default:
        link.receive(frame);
    }
  }

  #receiveHello(frame: Frame): void {
    const hello = readReplicaHello(frame);
    const { contract } = this.#deps;
    if (hello.service !== contract.service)
      throw malformed(`it serves ${hello.service}, not ${contract.service}: the address belongs to another service`);
    this.#hello = hello;
    if (hello.contract === contract.digest) {
      this.#begin(hello);
      return;
    }
    this.#channel.limitFrames?.(maxContractBytes);
    const form = createContractFrame(contract.form);
    if (form === undefined)
      throw fail("payload_too_large", { bytes: maxContractBytes + 1, maxBytes: maxContractBytes });
    this.#channel.send(form);
  }

  #receiveContract(hello: ReplicaHello, frame: Frame): void {
    const failure = this.#deps.contract.judge(readContractFrame(frame));
    if (failure === undefined) this.#begin(hello);
    else throw failure;
  }

  #begin(hello: ReplicaHello): void {
    const { clock, limits } = this.#deps;
    const now = clock.now();
    this.#channel.limitFrames?.(maxFrameBytes);
    this.#pulse = new LinkPulse(limits, now, now - this.#begunAt);
    const watcher = {
      opened: () => {},
      draining: () => this.#watcher.draining(),
      closed: (reason: ServingError | undefined) => this.#watcher.closed(reason),
    };
    this.#link = new PeerLink(hello.replica, this.#channel, watcher, true);
    this.#link.wayMs = this.#pulse.wayMs;
    if (!this.#watcher.opened(hello)) this.#channel.close();
    else if (!this.#isEnded) this.#look(this.#pulse);
  }

  /** Looks at the other side now, and again after the interval (NX3). */
  #look(pulse: LinkPulse): void {
    const { clock, limits } = this.#deps;
    const { state, ping } = pulse.look(clock.now(), this.#channel.readProgress?.() ?? 0);
    if (ping !== undefined) this.#channel.send(createPing(ping));
    if (state === "lost") {
      const why = `nothing came from it for ${limits.replaceAfterMs} ms`;
      this.cut(fail("replica_lost", { replica: this.replica, why }));
      return;
    }
    this.#noteSilence(state === "silent");
    this.#timer = clock.setTimer(() => this.#look(pulse), limits.intervalMs);
  }

  #receivePong(link: PeerLink, frame: Frame): void {
    const replicas = readPong(frame);
    this.#pulse?.answered(this.#deps.clock.now(), frame.id);
    link.wayMs = this.#pulse?.wayMs ?? 0;
    this.#noteSilence(false);
    this.#watcher.announced(replicas);
  }

  #noteSilence(isSilent: boolean): void {
    if (this.#isSilent === isSilent) return;
    this.#isSilent = isSilent;
    this.#watcher.silent(isSilent);
  }
}
