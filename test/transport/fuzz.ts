import assert from "node:assert/strict";
import net from "node:net";
import { createDeferred, systemClock, within } from "../../src/base/clock.js";
import { ServingError } from "../../src/failure/serving-error.js";
import { ChannelServer } from "../../src/replica/serve-channel.js";
import { ReplicaListener } from "../../src/runtime/replica-listener.js";
import { FrameReader, malformed } from "../../src/transport/frame.js";
import { PeerLink } from "../../src/transport/peer-link.js";
import { windowItems } from "../../src/transport/peer-stream.js";
import { SocketChannel } from "../../src/transport/socket-channel.js";
import { Random } from "../http/random.js";
import { ByteChannel } from "./byte-channel.js";
import { type OpenCall, openCall } from "./open-call.js";
import { openItems } from "./open-items.js";
import { createWireReplica, type WireReplica } from "./open-wire.js";
import { createCallerSession, createReplicaSession, type RandomSession } from "./random-session.js";
import { createSlabFolder, hasNoSlabs } from "./slab-folder.js";
import { createAddress, joinSockets } from "./socket-pair.js";

/** Count of each ending of each target, by `"target: end"`. */
export type EndCount = Map<string, number>;

/** Tests wait only for the event loop, so a short limit suffices. */
const roundLimitMs = 20_000;

/**
 * Servers that a round runs against; the same for all rounds, so that the next one finds what a round leaves behind.
 */
interface Bench {
  readonly served: WireReplica;
  readonly address: string;
  readonly slabFolder: string | undefined;
  /** Link that no round touches. */
  readonly healthy: PeerLink;
}

/** Runs one round. @returns The id of the reason that ended the link, or `"open"`. */
type Target = (random: Random, bench: Bench, session: (what: RandomSession) => RandomSession) => Promise<string>;

/**
 * Sends random, broken and cut sessions to both sides of a link, and checks each time that the link it came over ends
 * with a clear failure or goes on, that every call on it is answered once, and that other links of the replica go on.
 *
 * @throws {AssertionError} with the seed of the round that found something.
 */
export async function fuzzWire(seed: number, rounds: number): Promise<EndCount> {
  const counts: EndCount = new Map();
  await using bench = await openBench();
  const astray: unknown[] = [];
  const note = (error: unknown) => astray.push(error);
  process.on("unhandledRejection", note).on("uncaughtException", note);
  try {
    for (let i = 0; i < rounds; i++) {
      const random = new Random(seed + i);
      const [name, target] = random.pick(targets);
      let tried: RandomSession | undefined;
      try {
        const round = target(random, bench, (session) => (tried = session)).then((end) =>
          checkBench(bench).then(() => end),
        );
        const end = await within(systemClock, roundLimitMs, round, () => assert.fail("it hangs"));
        assert.deepEqual(astray, [], "an error that nobody handled");
        const key = `${name}: ${end}`;
        counts.set(key, (counts.get(key) ?? 0) + 1);
      } catch (cause) {
        const message = `seed ${seed + i}, ${name}, ${tried?.what}: ${(cause as Error).stack}`;
        throw new assert.AssertionError({ message });
      }
    }
  } finally {
    process.off("unhandledRejection", note).off("uncaughtException", note);
  }
  return counts;
}

async function openBench(): Promise<Bench & AsyncDisposable> {
  const served = await createWireReplica();
  const slabs = hasNoSlabs === false ? createSlabFolder() : undefined;
  const { address, remove } = createAddress();
  const listener = new ReplicaListener(served.replica, slabs?.path);
  await listener.listen(address);
  const ended = createDeferred<void>();
  const opened = createDeferred<void>();
  const healthy = new PeerLink("Wire#0", new SocketChannel(net.connect(address), slabs?.path), {
    opened: () => opened.resolve(),
    draining: () => {},
    closed: () => ended.resolve(),
  });
  await opened.promise;
  const close = async () => {
    listener.close();
    await ended.promise;
    remove();
    slabs?.[Symbol.dispose]();
  };
  return { served, address, slabFolder: slabs?.path, healthy, [Symbol.asyncDispose]: close };
}

/** Checks the conditions that hold after every round. */
async function checkBench({ served: { replica, control }, healthy }: Bench): Promise<void> {
  const input = new Uint8Array(70_000).fill(5);
  const echo = openCall("echo", input);
  healthy.send(echo.scope);
  assert.deepEqual(await echo.answer, input);
  control.release();
  while (replica.inFlight > 0) {
    await new Promise(setImmediate);
    control.release();
  }
  assert.equal(healthy.inFlight, 0);
}

/** Splits bytes as they may arrive: in one chunk, or cut anywhere. */
function* cut(random: Random, bytes: Buffer): Generator<Buffer, void, undefined> {
  const most = random.pick([bytes.length + 1, 1000, 40, 3]);
  for (let at = 0; at < bytes.length; ) {
    const length = Math.max(random.between(1, most), Math.ceil(bytes.length / 300));
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

function checkReason(reason: unknown): string {
  assert.ok(reason instanceof ServingError, `the reason is ${String((reason as Error)?.stack ?? reason)}`);
  assert.match(reason.id, /^(malformed_frame|wire_version)$/);
  assert.notEqual(reason.message, "");
  return reason.id;
}

/** Pushes a session into a channel, which may end by itself or is ended. */
async function pushAll(random: Random, channel: ByteChannel, bytes: Buffer): Promise<string> {
  const isHurried = random.chance(0.5);
  for (const chunk of cut(random, bytes)) {
    try {
      channel.push(chunk);
    } catch (error) {
      // A tail in a slab, where no slabs exist.
      const reason = error instanceof ServingError ? error : malformed((error as Error).message);
      if (!(error instanceof ServingError)) assert.match(String(error), /no tail is in a slab/);
      channel.end(reason);
      return checkReason(reason);
    }
    if (!isHurried) await new Promise(setImmediate);
  }
  for (let i = random.between(0, 5); i > 0; i--) await new Promise(setImmediate);
  channel.end(undefined);
  return "open";
}

const attackReader: Target = async (random, _bench, note) => {
  const { bytes } = note(createCallerSession(random));
  const reader = new FrameReader(
    () => {},
    (_slab, byteLength) => new Uint8Array(byteLength % 1000),
  );
  try {
    for (const chunk of cut(random, bytes)) reader.push(chunk);
    return "open";
  } catch (error) {
    return checkReason(error);
  }
};

const attackReplica: Target = async (random, { served }, note) => {
  const { bytes, what } = note(createCallerSession(random));
  const channel = new ByteChannel();
  new ChannelServer(channel, served.replica, () => {});
  const end = await pushAll(random, channel, bytes);
  if (what === "valid") assert.equal(end, "open");
  return end;
};

const attackLink: Target = async (random, _bench, note) => {
  const channel = new ByteChannel();
  const ends: (ServingError | undefined)[] = [];
  const link = new PeerLink("Wire#0", channel, {
    opened: () => {},
    draining: () => {},
    closed: (why) => ends.push(why),
  });
  const [unary, streams, fed] = [random.between(0, 4), random.between(0, 3), random.between(0, 3)];
  const calls = Array.from({ length: unary }, () => openCall("echo", 1));
  for (const { scope } of calls) link.send(scope);
  const reading = Array.from({ length: streams }, () => readStream(random, link));
  await new Promise(setImmediate);
  const producers = Array.from({ length: fed }, () => new Feeder());
  for (const { items } of producers) {
    const call = openCall("sum", undefined, { items });
    calls.push(call);
    link.send(call.scope);
  }
  assert.equal(link.inFlight, unary + streams + fed);
  const { bytes, what } = note(createReplicaSession(random, { unary, streams, fed }));
  const end = await pushAll(random, channel, bytes);
  if (what === "valid") assert.equal(end, "open");
  assert.equal(ends.length, 1);
  await checkAnswers(calls);
  await Promise.all(reading);
  assert.equal(link.inFlight, 0);
  for (let i = 0; i < 3; i++) await new Promise(setImmediate);
  for (const { made, isRunning } of producers) assert.ok(made <= mostMade && !isRunning, `${made} items made`);
  return end;
};

/** A session gives no credit for items that were taken, so at most a window of items may be made. */
const mostMade = windowItems + 1;

/** Endless producer. */
class Feeder {
  made = 0;
  isRunning = false;
  readonly items = this.#produce();

  async *#produce() {
    this.isRunning = true;
    try {
      for (;;) yield this.made++;
    } finally {
      this.isRunning = false;
    }
  }
}

/** Checks that each call was answered once, and that failures are failures. */
async function checkAnswers(calls: readonly OpenCall[]): Promise<void> {
  for (const { answer, count } of calls) {
    assert.equal(count(), 1);
    await answer.catch((error: unknown) => assert.ok(error instanceof ServingError, String(error)));
  }
}

async function readStream(random: Random, link: PeerLink): Promise<void> {
  const most = random.between(0, 8);
  let read = 0;
  try {
    for await (const _item of openItems(link, openCall("count", 1).scope)) if (read++ === most) return;
  } catch (error) {
    assert.ok(error instanceof ServingError, String(error));
  }
}

/** Writes a stranger's bytes to the socket of a replica. */
const attackListener: Target = async (random, { address }, note) => {
  const { bytes, what } = note(createCallerSession(random));
  const socket = net.connect(address);
  socket.on("error", () => {}).resume();
  const closed = createDeferred<void>();
  socket.on("close", () => closed.resolve());
  for (const chunk of cut(random, bytes)) {
    if (!socket.writable) break;
    socket.write(chunk);
    if (random.chance(0.1)) await new Promise(setImmediate);
  }
  let isEndedByUs = false;
  const leave = setTimeout(() => {
    isEndedByUs = true;
    if (random.chance(0.5)) socket.destroy();
    else socket.end();
  }, 3);
  await closed.promise;
  clearTimeout(leave);
  if (what === "valid") assert.ok(isEndedByUs);
  return isEndedByUs ? "open" : "closed";
};

/** Targets the caller with a replica that sends anything, slabs included, over a socket. */
const attackSocketLink: Target = async (random, { slabFolder }, note) => {
  const [one, two] = await joinSockets();
  two.on("error", () => {}).resume();
  const ended = createDeferred<ServingError | undefined>();
  const channel = new SocketChannel(one, random.chance(0.5) ? slabFolder : undefined);
  const link = new PeerLink("Wire#0", channel, { opened: () => {}, draining: () => {}, closed: ended.resolve });
  const calls = Array.from({ length: 3 }, () => openCall("echo", new Uint8Array(random.pick([10, 100_000]))));
  for (const { scope } of calls) link.send(scope);
  const { bytes, what } = note(createReplicaSession(random, { unary: 3, streams: 0, fed: 0 }));
  for (const chunk of cut(random, bytes)) two.write(chunk);
  two.end();
  const reason = await ended.promise;
  await checkAnswers(calls);
  if (what === "valid") assert.equal(reason, undefined);
  return reason === undefined ? "open" : checkReason(reason);
};

const targets: readonly (readonly [name: string, target: Target])[] = [
  ["reader", attackReader],
  ["replica", attackReplica],
  ["replica", attackReplica],
  ["link", attackLink],
  ["link", attackLink],
  ["listener", attackListener],
  ["socket link", attackSocketLink],
];
