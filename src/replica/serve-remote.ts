import type { Timer } from "../base/clock.js";
import { fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import type { Channel, ChannelReader } from "../transport/channel.js";
import { type Frame, frameKinds, malformed, maxFrameBytes } from "../transport/frame.js";
import {
  createContractFrame,
  createLoadFrame,
  createPong,
  createReplicaHello,
  maxContractBytes,
  maxHelloBytes,
  readCallerHello,
  readContractFrame,
} from "../transport/remote-hello.js";
import type { Replica } from "./replica.js";
import { ChannelServer } from "./serve-channel.js";

// The replica's side of a channel from a caller in another app.
//
// RS1  No call is read before the caller has said hello. A larger frame than a hello ends the channel before it is
//      read. Who opened the channel bounds the time until then.
// RS2  A caller that has sent nothing for `silenceMs` is gone, although its connection never ended: its calls are
//      cancelled. Callers send a ping each second.
// RS3  The load is told at most every `loadIntervalMs`, and only when it differs from what was told before.

const silenceMs = 60_000;
const loadIntervalMs = 100;

/** A replica as callers in other apps know it. */
export interface RemoteReplica {
  readonly service: string;
  /** Unique in all apps: `"<instance>/Ranker#0"`. */
  readonly name: string;
  /** Zone in which it runs; `""` when none was told. */
  readonly zone: string;
  /** Contract of its service, and its digest. */
  readonly contract: { readonly digest: string; readonly form: object };
  /** Returns the number of ready replicas behind the address at which callers connect. */
  readonly countReplicas: () => number;
}

/** Hears of the life of a `RemoteServer`. */
interface RemoteWatcher {
  /** Called once, when the caller has said hello and calls may follow. */
  onHello(): void;
  /** Called once, when the channel has ended before that. @param reason Absent where the caller has hung up. */
  onRefused(reason: ServingError | undefined): void;
  /** Called once, when the channel has ended after the hello. */
  onEnd(server: ChannelServer): void;
}

/** Serves the calls of one caller in another app: hello, contract and pings here, the calls by its `ChannelServer`. */
export class RemoteServer implements ChannelReader {
  /** Server of its calls. It drains and closes as one of a caller in the same app does. */
  readonly server: ChannelServer;
  readonly #channel: Channel;
  readonly #replica: Replica;
  readonly #own: RemoteReplica;
  readonly #load: LoadTeller;
  readonly #watcher: RemoteWatcher;
  #state: "new" | "comparing" | "greeted" = "new";
  #timer: Timer | undefined;
  #progress = 0;

  /** @param channel Channel whose other side was found to be allowed to call. */
  constructor(channel: Channel, replica: Replica, own: RemoteReplica, watcher: RemoteWatcher) {
    this.#channel = channel;
    this.#replica = replica;
    this.#own = own;
    this.#load = new LoadTeller(channel, replica);
    this.#watcher = watcher;
    this.server = new ChannelServer(channel, replica, (server) => watcher.onEnd(server), true);
    channel.limitFrames?.(maxHelloBytes);
    channel.open(this);
  }

  receive(frame: Frame): void {
    if (this.#state === "greeted") {
      if (frame.kind === frameKinds.ping) {
        this.#channel.send(createPong(frame, this.#own.countReplicas()));
        return;
      }
      if (frame.kind === frameKinds.call) this.#load.begin();
      this.server.receive(frame);
    } else if (this.#state === "new") {
      this.#receiveHello(frame);
    } else {
      readContractFrame(frame);
      this.#begin();
    }
  }

  closed(reason: ServingError | undefined): void {
    this.#timer?.clear();
    this.#load.end();
    if (this.#state === "greeted") this.server.closed(reason);
    else this.#watcher.onRefused(reason);
  }

  #receiveHello(frame: Frame): void {
    const { service, caller, contract } = readCallerHello(frame);
    const { contract: own, name, zone, countReplicas } = this.#own;
    if (service !== this.#own.service) throw malformed(`it calls ${service}, and this is ${this.#own.service}`);
    const replicas = countReplicas();
    this.#channel.send(createReplicaHello({ service, replica: name, replicas, zone, contract: own.digest }));
    if (contract === own.digest) {
      this.#begin();
      return;
    }
    // The caller decides whether it can live with the difference: it knows what it calls.
    const { log } = this.#replica.deps;
    log.debug({ caller, contract, own: own.digest }, `a caller was built with another contract of ${service}`);
    this.#state = "comparing";
    this.#channel.limitFrames?.(maxContractBytes);
    const form = createContractFrame(own.form);
    if (form === undefined)
      throw fail("payload_too_large", { bytes: maxContractBytes + 1, maxBytes: maxContractBytes });
    this.#channel.send(form);
  }

  #begin(): void {
    this.#state = "greeted";
    this.#channel.limitFrames?.(maxFrameBytes);
    this.#watcher.onHello();
    this.#watch();
  }

  /** Ends the channel of a caller that is silent (RS2). */
  #watch(): void {
    this.#progress = this.#channel.readProgress?.() ?? 0;
    this.#timer = this.#replica.deps.time.clock.setTimer(() => {
      if (this.#channel.readProgress?.() === this.#progress) {
        this.#end(
          fail("replica_lost", { replica: this.#own.name, why: `its caller sent nothing for ${silenceMs} ms` }),
        );
      } else this.#watch();
    }, silenceMs);
  }

  #end(reason: ServingError): void {
    if (this.#channel.cut === undefined) this.#channel.close();
    else this.#channel.cut(reason);
  }
}

/** Tells one caller the load of a replica while calls come from it (RS3). */
class LoadTeller {
  readonly #channel: Channel;
  readonly #replica: Replica;
  readonly #slots: number;
  #told = -1;
  #timer: Timer | undefined;
  #isEnded = false;

  constructor(channel: Channel, replica: Replica) {
    this.#channel = channel;
    this.#replica = replica;
    const lanes = [...replica.deps.settings.apis.values()].map(({ maxConcurrent }) => maxConcurrent);
    this.#slots = Math.max(1, Math.min(...lanes, 1_000_000));
  }

  /** Begins to tell the load, until it no longer changes and no call is left. */
  begin(): void {
    if (this.#timer !== undefined || this.#isEnded) return;
    const { clock } = this.#replica.deps.time;
    this.#timer = clock.setTimer(() => {
      this.#timer = undefined;
      const { inFlight, tasks } = this.#replica;
      const calls = Math.max(0, inFlight - (tasks?.waiters ?? 0));
      const isSame = calls === this.#told;
      this.#told = calls;
      if (!isSame) this.#channel.send(createLoadFrame({ calls, slots: this.#slots }));
      if (!isSame || calls > 0) this.begin();
    }, loadIntervalMs);
  }

  end(): void {
    this.#isEnded = true;
    this.#timer?.clear();
  }
}
