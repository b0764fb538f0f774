import { MessageChannel } from "node:worker_threads";
import { createDeferred } from "../../src/base/clock.js";
import { systemTime } from "../../src/call/call-scope.js";
import { LoopTurns } from "../../src/call/loop-turns.js";
import type { ServingError } from "../../src/failure/serving-error.js";
import type { Replica } from "../../src/replica/replica.js";
import { ChannelServer } from "../../src/replica/serve-channel.js";
import type { Channel } from "../../src/transport/channel.js";
import { PeerLink } from "../../src/transport/peer-link.js";
import { PortChannel } from "../../src/transport/port-channel.js";
import { SocketChannel } from "../../src/transport/socket-channel.js";
import { createMemoryChannels } from "./memory-channel.js";
import { createSlabFolder, hasNoSlabs } from "./slab-folder.js";
import { joinSockets } from "./socket-pair.js";
import { startReplica } from "./start-replica.js";
import { createWireService, WireControl } from "./wire-service.js";

/** Two joined ends of a channel, and a function that deletes what they leave behind. */
export interface JoinedChannels {
  readonly ends: readonly [Channel, Channel];
  readonly remove?: () => void;
}

/** Kinds of channels by name, each with the reason why it is not available here. */
export const channelKinds: Readonly<
  Record<string, { readonly skip: string | false; join(): Promise<JoinedChannels> }>
> = {
  memory: { skip: false, join: async () => ({ ends: createMemoryChannels() }) },
  port: {
    skip: false,
    join: async () => {
      const { port1, port2 } = new MessageChannel();
      return { ends: [new PortChannel(port1), new PortChannel(port2)] };
    },
  },
  socket: {
    skip: false,
    join: async () => {
      const [one, two] = await joinSockets();
      return { ends: [new SocketChannel(one, undefined), new SocketChannel(two, undefined)] };
    },
  },
  "socket with slabs": {
    skip: hasNoSlabs,
    join: async () => {
      const folder = createSlabFolder();
      const [one, two] = await joinSockets();
      const ends = [new SocketChannel(one, folder.path), new SocketChannel(two, folder.path)] as const;
      return { ends, remove: () => folder[Symbol.dispose]() };
    },
  },
};

/** Link to a replica. */
export interface OpenWire extends AsyncDisposable {
  readonly link: PeerLink;
  /** Both ends of the channel: that of the link, and that of the replica. */
  readonly ends: readonly [Channel, Channel];
  readonly server: ChannelServer;
  /** Resolves with the reason when the link has ended. */
  readonly ended: Promise<ServingError | undefined>;
  /** Resolves when the other side drains. */
  readonly draining: Promise<void>;
}

/** No run counts as long on any machine: each call begins at once, as the random sessions expect. */
class ShortTurns extends LoopTurns {
  override count(): void {}
}

/** Running replica with any number of links to it. */
export interface WireReplica {
  readonly replica: Replica;
  readonly control: WireControl;
  connect(joined: JoinedChannels): Promise<OpenWire>;
}

export async function createWireReplica(): Promise<WireReplica> {
  const control = new WireControl();
  const time = { ...systemTime, turns: new ShortTurns(systemTime.clock) };
  const replica = await startReplica(createWireService(control), { time });
  return { replica, control, connect: (joined) => connect(replica, joined) };
}

async function connect(replica: Replica, { ends, remove }: JoinedChannels): Promise<OpenWire> {
  const opened = createDeferred<void>();
  const draining = createDeferred<void>();
  const ended = createDeferred<ServingError | undefined>();
  const serverEnded = createDeferred<void>();
  const server = new ChannelServer(ends[1], replica, () => serverEnded.resolve());
  const link = new PeerLink(replica.deps.id, ends[0], {
    opened: () => opened.resolve(),
    draining: () => draining.resolve(),
    closed: (reason) => ended.resolve(reason),
  });
  await opened.promise;
  const close = async () => {
    link.close();
    await Promise.all([ended.promise, serverEnded.promise]);
    remove?.();
  };
  return { link, ends, server, ended: ended.promise, draining: draining.promise, [Symbol.asyncDispose]: close };
}
