import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Random } from "../../test/http/random.js";
import { createBytes, createFrame, createPrefix, encodeFrame, noSlabs } from "../../test/transport/random-frame.js";
import { type Frame, FrameReader, maxFrameBytes, noTails, prefixBytes } from "./frame.js";

const small = { maxTails: 3, maxTailBytes: 20, maxHead: 20 };
const large = { maxTails: 40, maxTailBytes: 300_000, maxHead: 100_000 };

const frameOf = (...tails: Uint8Array[]): Frame => ({ kind: 3, flags: 0, id: 1, head: "head", tails });

/** A reader that keeps what it has read. */
function createReader(): { reader: FrameReader; frames: Frame[] } {
  const frames: Frame[] = [];
  return { frames, reader: new FrameReader((frame) => frames.push(frame), noSlabs) };
}

/** Reads frames from bytes that come in these pieces. */
function readPieces(pieces: readonly Buffer[]): Frame[] {
  const { reader, frames } = createReader();
  for (const piece of pieces) reader.push(piece);
  return frames;
}

function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...places, bytes.length].sort((a, b) => a - b);
  return ends.map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end));
}

describe("FrameReader", () => {
  it("reads frames cut at any place, and at any two places", () => {
    const random = new Random(1);
    const frames = [frameOf(), ...Array.from({ length: 4 }, () => createFrame(random, small)), frameOf()];
    const bytes = Buffer.concat(frames.map(encodeFrame));
    assert.ok(bytes.length > 150 && bytes.length < 600, `${bytes.length} bytes`);
    for (let first = 0; first <= bytes.length; first++) {
      assert.deepEqual(readPieces(cut(bytes, [first])), frames, `cut at ${first}`);
    }
    for (let first = 0; first < bytes.length; first++) {
      for (let second = first + 1; second < bytes.length; second += 3) {
        const got = readPieces(cut(bytes, [first, second]));
        if (got.length !== frames.length) assert.fail(`${got.length} frames when cut at ${first} and ${second}`);
        if (second % 60 === 0) assert.deepEqual(got, frames);
      }
    }
  });

  it("reads frames that come byte by byte", () => {
    const random = new Random(2);
    const frames = Array.from({ length: 30 }, () => createFrame(random, small));
    const bytes = Buffer.concat(frames.map(encodeFrame));
    assert.deepEqual(readPieces([...bytes].map((byte) => Buffer.from([byte]))), frames);
  });

  it("reads frames of any size cut anywhere", () => {
    const random = new Random(3);
    for (let round = 0; round < 25; round++) {
      const frames = Array.from({ length: random.between(1, 6) }, () => createFrame(random, large));
      const bytes = Buffer.concat(frames.map(encodeFrame));
      const most = random.pick([1000, 65_536, 65_537, 1_000_000]);
      const places: number[] = [];
      for (let at = 0; (at += random.between(1, most)) < bytes.length; ) places.push(at);
      assert.deepEqual(readPieces(cut(bytes, places)), frames, `round ${round}`);
    }
  });

  it("reads frames about the size from which they get a buffer of their own", () => {
    const random = new Random(4);
    const around = [65_536, 1024 ** 2, 2 * 1024 ** 2];
    for (const size of around.flatMap((limit) => [-17, -16, -8, -1, 0, 1, 8, 16].map((more) => limit + more))) {
      const frames = [frameOf(createBytes(random, size)), frameOf(), frameOf(createBytes(random, size))];
      const bytes = Buffer.concat(frames.map(encodeFrame));
      const frameBytes = encodeFrame(frames[0] as Frame).length;
      for (const place of [1, 15, 16, 17, 65_535, 65_536, 65_537, frameBytes - 1, frameBytes, frameBytes + 1]) {
        assert.deepEqual(readPieces(cut(bytes, [place])), frames, `${size} bytes cut at ${place}`);
      }
      assert.deepEqual(readPieces(cut(bytes, [20, 30, 65_600, frameBytes + 5])), frames, `${size} bytes`);
    }
  });

  it("reads thousands of frames that come in one chunk", () => {
    const frames = Array.from({ length: 20_000 }, (_, id) => ({ ...frameOf(), id, tails: noTails }));
    assert.deepEqual(readPieces([Buffer.concat(frames.map(encodeFrame))]), frames);
  });

  it("takes memory for what has come, not for what a prefix claims", () => {
    const { reader, frames } = createReader();
    const claimed = 200 * 1024 ** 2;
    const before = process.memoryUsage().arrayBuffers;
    const grown = () => process.memoryUsage().arrayBuffers - before;
    reader.push(createPrefix({ bodyBytes: claimed }));
    reader.push(Buffer.alloc(10));
    assert.ok(grown() < 2 * 1024 ** 2, `${grown()} bytes for a prefix and 10 bytes`);
    const chunk = Buffer.alloc(64 * 1024);
    let come = 10;
    for (; come < 20 * 1024 ** 2; come += chunk.length) reader.push(chunk);
    // The buffer at hand and, until they are collected, those it has outgrown.
    assert.ok(grown() < 5 * come, `${grown()} bytes for ${come}`);
    assert.deepEqual(frames, []);
  });

  it("takes memory for one tail at a time of a frame whose table claims more than it holds", () => {
    const frame = frameOf(...Array.from({ length: 1000 }, () => new Uint8Array(8)));
    const bytes = encodeFrame(frame);
    for (let i = 0; i < 1000; i++) bytes.writeUInt32LE(bytes.length - 10, prefixBytes + i * 8);
    const before = process.memoryUsage().arrayBuffers;
    assert.throws(() => readPieces([bytes]), { id: "malformed_frame" });
    assert.ok(process.memoryUsage().arrayBuffers - before < 3 * bytes.length);
  });

  it("refuses a prefix that claims too much as soon as it has come, and not before", () => {
    const { reader } = createReader();
    const prefix = createPrefix({ bodyBytes: maxFrameBytes + 1 });
    reader.push(prefix.subarray(0, prefixBytes - 1));
    assert.throws(() => reader.push(prefix.subarray(prefixBytes - 1)), { id: "malformed_frame" });
  });

  it("hands over the frames before a malformed one, and none after it", () => {
    const bad = encodeFrame(frameOf());
    bad.writeUInt32LE(1000, 12);
    const { reader, frames } = createReader();
    assert.throws(() => reader.push(Buffer.concat([encodeFrame(frameOf()), bad, encodeFrame(frameOf())])), {
      id: "malformed_frame",
    });
    assert.deepEqual(frames, [frameOf()]);
  });

  it("says what whoever gets the frames throws", () => {
    const reader = new FrameReader(() => {
      throw new TypeError("no");
    }, noSlabs);
    assert.throws(() => reader.push(encodeFrame(frameOf())), TypeError);
  });

  it("says of random bytes that they are no frames, or waits for more", () => {
    const random = new Random(5);
    let refused = 0;
    for (let i = 0; i < 2000; i++) {
      const { reader } = createReader();
      const bytes = random.bytes(random.between(1, 200));
      // Else nearly all would claim too much.
      if (random.chance(0.7)) bytes.fill(0, Math.min(1, bytes.length), Math.min(4, bytes.length));
      try {
        for (const piece of cut(bytes, [random.between(0, bytes.length)])) reader.push(piece);
      } catch (error) {
        // `noSlabs` throws for a tail that is said to be in a slab.
        assert.match(String(error), /received an invalid frame|no tail is in a slab/);
        refused++;
      }
    }
    assert.ok(refused > 500, `${refused}`);
  });
});
