import assert from "node:assert/strict";
import { it } from "node:test";
import type { ServingError } from "../../src/failure/serving-error.js";
import type { Channel } from "../../src/transport/channel.js";
import { type Frame, loadTail, maxFrameBytes, noTails } from "../../src/transport/frame.js";
import { Random } from "../http/random.js";
import { createFrame } from "./random-frame.js";
import { ReaderLog } from "./reader-log.js";

/** Makes two joined ends; `remove` deletes what they leave behind. */
export type JoinChannels = () => Promise<{ readonly ends: readonly [Channel, Channel]; readonly remove?: () => void }>;

const frameOf = (id: number, ...tails: Uint8Array[]): Frame => ({ kind: 3, flags: 0, id, head: `head ${id}`, tails });

async function open(join: JoinChannels) {
  const { ends, remove } = await join();
  const [one, two] = ends;
  const readers = [new ReaderLog(), new ReaderLog()] as const;
  one.open(readers[0]);
  two.open(readers[1]);
  const close = async () => {
    one.close();
    two.close();
    await Promise.all(readers.map((reader) => reader.ended));
    remove?.();
  };
  return { one, two, reader: readers[0], other: readers[1], [Symbol.asyncDispose]: close };
}

/** Tests that hold for a channel of any kind. */
export function testChannel(join: JoinChannels): void {
  it("brings over frames of any kind and size, in order, both ways at once", async () => {
    await using pair = await open(join);
    const random = new Random(1);
    // Kinds 12 and 13 belong to the channel itself.
    const create = () => {
      const frame = createFrame(random, { maxTails: 20, maxTailBytes: 200_000, maxHead: 5000 });
      return { ...frame, kind: frame.kind % 12 };
    };
    const frames = Array.from({ length: 60 }, create);
    const back = Array.from({ length: 20 }, create);
    for (const [i, frame] of frames.entries()) {
      assert.equal(pair.one.send(frame), true);
      if (i % 3 === 0) assert.equal(pair.two.send(back[i / 3] as Frame), true);
      if (random.chance(0.3)) await new Promise(setImmediate);
    }
    assert.deepEqual(await pair.other.take(frames.length), frames);
    assert.deepEqual(await pair.reader.take(back.length), back);
  });

  it("lets go of tails as soon as they are sent, and hands over each in a buffer of its own", async () => {
    await using pair = await open(join);
    const sizes = [0, 10, 4096, 70_000, 1_000_000];
    const shared = new ArrayBuffer(2_000_000);
    const tails = sizes.map((size) => new Uint8Array(shared, 100, size).fill(7));
    pair.one.send(frameOf(1, ...tails));
    assert.equal(shared.byteLength, 2_000_000);
    new Uint8Array(shared).fill(9);
    const [frame] = await pair.other.take(1);
    for (const [i, tail] of (frame as Frame).tails.map(loadTail).entries()) {
      assert.deepEqual([tail.byteLength, tail.byteOffset, tail.buffer.byteLength], [sizes[i], 0, sizes[i]]);
      assert.ok(tail.every((byte) => byte === 7));
    }
  });

  it("sends what is waiting, then ends on both sides, once and without a reason", async () => {
    await using pair = await open(join);
    for (let id = 1; id <= 100; id++) pair.one.send(frameOf(id, new Uint8Array(5000)));
    pair.one.close();
    assert.equal(await pair.other.ended, undefined);
    assert.equal(pair.other.frames.length, 100);
    assert.equal(await pair.reader.ended, undefined);
    pair.one.close();
    pair.two.close();
    await new Promise(setImmediate);
    assert.deepEqual([pair.reader.ends, pair.other.ends], [1, 1]);
  });

  it("takes no frame once it was closed or has ended", async () => {
    await using pair = await open(join);
    pair.one.close();
    assert.equal(pair.one.send(frameOf(1)), false);
    await pair.other.ended;
    assert.equal(pair.two.send(frameOf(1)), false);
    assert.deepEqual(pair.other.frames, []);
  });

  it("refuses a frame that is too large, and carries the next", async () => {
    await using pair = await open(join);
    const large = new Uint8Array(new ArrayBuffer(maxFrameBytes));
    assert.throws(() => pair.one.send(frameOf(1, new Uint8Array(100_000), large)), { id: "payload_too_large" });
    pair.one.send(frameOf(2, new Uint8Array(100_000)));
    assert.deepEqual(await pair.other.take(1), [frameOf(2, new Uint8Array(100_000))]);
  });

  it("ends with the reason when its reader refuses a frame, and hands over none after it", async () => {
    await using pair = await open(join);
    const reason = { id: "wire_version" } as ServingError;
    pair.other.refuse = (frame) => (frame.id === 2 ? Object.assign(new Error("no"), reason) : undefined);
    for (let id = 1; id <= 50; id++) pair.one.send(frameOf(id));
    const end = await pair.other.ended;
    assert.equal(end?.id, "malformed_frame");
    assert.match(String(end?.message), /received an invalid frame: no$/);
    assert.deepEqual(pair.other.frames, [{ ...frameOf(1), tails: noTails }]);
    assert.equal(await pair.reader.ended, undefined);
  });
}
