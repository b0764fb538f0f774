import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Random } from "../../test/http/random.js";
import { createFrame, createPrefix, encodeFrame, noSlabs } from "../../test/transport/random-frame.js";
import { ServingError } from "../failure/serving-error.js";
import {
  checkFrameSize,
  type Frame,
  frameBound,
  loadTail,
  maxFrameBytes,
  noTails,
  prefixBytes,
  readBodyLength,
  readFrame,
  writeFrame,
} from "./frame.js";

const read = (bytes: Buffer, start = 0): Frame => readFrame(bytes, start, bytes.length, noSlabs);

const frameOf = (head: string, ...tails: Uint8Array[]): Frame => ({ kind: 3, flags: 0, id: 1, head, tails });

/** A tail of zeros that takes no memory until something is written to it. */
const zeros = (bytes: number) => new Uint8Array(new ArrayBuffer(bytes));

describe("writeFrame and readFrame", () => {
  it("bring over any frame as it was", () => {
    const random = new Random(1);
    for (let i = 0; i < 400; i++) {
      const frame = createFrame(random, { maxTails: 40, maxTailBytes: 300_000, maxHead: 2000 });
      assert.deepEqual(read(encodeFrame(frame)), frame, `frame ${i}`);
    }
  });

  it("bring over each kind, each flag, and numbers of all 32 bits", () => {
    for (let kind = 0; kind < 256; kind++) {
      for (const id of [0, 1, 255, 256, 65_535, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]) {
        const frame = { kind, flags: 255 - kind, id, head: "", tails: noTails };
        assert.deepEqual(read(encodeFrame(frame)), frame);
      }
    }
  });

  it("write nothing before the start, and nothing beyond the bound", () => {
    const random = new Random(2);
    for (let i = 0; i < 300; i++) {
      const frame = createFrame(random, { maxTails: 40, maxTailBytes: 3000, maxHead: 300 });
      const bound = frameBound(frame, undefined);
      const start = random.between(0, 40);
      const target = Buffer.alloc(start + bound + 64, 0xee);
      const end = writeFrame(frame, undefined, target, start);
      assert.ok(end <= start + bound, `${end - start} of ${bound}`);
      assert.ok(target.subarray(0, start).every((byte) => byte === 0xee));
      assert.ok(target.subarray(start + bound).every((byte) => byte === 0xee));
      assert.equal(readBodyLength(target, start), end - start - prefixBytes);
      assert.deepEqual(readFrame(target, start, end, noSlabs), frame);
    }
  });

  it("begin each tail of a frame at a multiple of eight, and the body after the last one ends at one", () => {
    const bytes = encodeFrame(frameOf("abc", new Uint8Array([1]), new Uint8Array(8).fill(2), new Uint8Array([3])));
    // Three entries of eight bytes, three of the head and five of padding.
    assert.equal(bytes.length, prefixBytes + 3 * 8 + 8 + 8 + 8 + 8);
    assert.deepEqual([bytes[48], bytes[56], bytes[64]], [1, 2, 3]);
  });

  it("give each tail a buffer of its own, with nothing else in it", () => {
    const sizes = [0, 1, 100, 4095, 4096, 4097, 100_000];
    const bytes = encodeFrame(frameOf("", ...sizes.map((size) => new Uint8Array(size).fill(7))));
    const tails = read(bytes).tails.map(loadTail);
    for (const [i, tail] of tails.entries()) {
      assert.equal(tail.byteOffset, 0);
      assert.equal(tail.buffer.byteLength, sizes[i]);
    }
    assert.equal(new Set(tails.map((tail) => tail.buffer)).size, sizes.length);
    bytes.fill(0);
    assert.ok(tails.every((tail) => tail.every((byte) => byte === 7)));
  });

  it("put a character UTF-8 has no word for by the one that stands for such", () => {
    assert.equal(read(encodeFrame(frameOf("a\ud800b\udc00"))).head, "a\ufffdb\ufffd");
  });

  it("leave out the bytes of tails that are in slabs, and ask for them by number and length", () => {
    const tails = [new Uint8Array(10).fill(1), new Uint8Array(100_000).fill(2), new Uint8Array(3).fill(3)];
    const frame = frameOf("head", ...tails);
    const slabs = [0, 5, 0];
    const target = Buffer.alloc(frameBound(frame, slabs));
    assert.ok(target.length < 200);
    const end = writeFrame(frame, slabs, target, 0);
    const asked: number[][] = [];
    const got = readFrame(target, 0, end, (slab, byteLength) => {
      asked.push([slab, byteLength]);
      return tails[1] as Uint8Array;
    });
    assert.deepEqual(asked, [[5, 100_000]]);
    assert.deepEqual(got, frame);
  });
});

describe("readFrame", () => {
  const malformed = (bytes: Buffer, pattern: RegExp) =>
    assert.throws(
      () => read(bytes),
      (error) => {
        assert.ok(error instanceof ServingError);
        assert.equal(error.id, "malformed_frame");
        assert.match(error.message, pattern);
        return true;
      },
    );

  it("refuses a head that ends after its frame", () => {
    malformed(createPrefix({ bodyBytes: 0, headBytes: 1 }), /its head ends 1 bytes after the frame/);
    malformed(createPrefix({ bodyBytes: 0, headBytes: 2 ** 32 - 1 }), /its head ends 4294967295 bytes after/);
  });

  it("refuses a table of tails that ends after its frame", () => {
    malformed(createPrefix({ bodyBytes: 0, tails: 65_535 }), /ends 524280 bytes after the frame/);
    malformed(Buffer.concat([createPrefix({ bodyBytes: 15, tails: 2 }), Buffer.alloc(15)]), /ends 1 bytes after/);
  });

  it("refuses a tail that ends after its frame, before it makes room for it", () => {
    const bytes = encodeFrame(frameOf("head", new Uint8Array(16), new Uint8Array(16)));
    const before = process.memoryUsage().arrayBuffers;
    bytes.writeUInt32LE(2 ** 32 - 1, prefixBytes + 8);
    malformed(bytes, /tail 1 ends 4294967279 bytes after the frame/);
    assert.ok(process.memoryUsage().arrayBuffers - before < 1e6);
  });

  it("never reads beyond a frame, whatever its bytes are", () => {
    const random = new Random(3);
    let [taken, refused] = [0, 0];
    for (let i = 0; i < 3000; i++) {
      const bytes = encodeFrame(createFrame(random, { maxTails: 6, maxTailBytes: 60, maxHead: 30 }));
      // The prefix and the table are where numbers are.
      for (let n = random.between(1, 4); n > 0; n--) {
        bytes[random.between(4, Math.min(bytes.length - 1, 60))] = random.between(0, 255);
      }
      const around = Buffer.concat([Buffer.alloc(64, 0xaa), bytes, Buffer.alloc(64, 0xbb)]);
      try {
        const frame = readFrame(around, 64, 64 + bytes.length, (_slab, byteLength) => zeros(byteLength % 100));
        const sum = frame.tails.reduce((total, tail) => total + tail.byteLength, 0);
        assert.ok(sum <= bytes.length + 600);
        taken++;
      } catch (error) {
        assert.ok(error instanceof ServingError, String(error));
        assert.equal(error.id, "malformed_frame");
        refused++;
      }
    }
    assert.ok(taken > 300 && refused > 300, `${taken} taken, ${refused} refused`);
  });
});

describe("readBodyLength", () => {
  it("refuses what is larger than any frame may be", () => {
    assert.equal(readBodyLength(createPrefix({ bodyBytes: maxFrameBytes }), 0), maxFrameBytes);
    for (const bodyBytes of [maxFrameBytes + 1, 2 ** 31, 2 ** 32 - 1]) {
      assert.throws(() => readBodyLength(createPrefix({ bodyBytes }), 0), {
        id: "malformed_frame",
        message: new RegExp(`it says it has ${bodyBytes} bytes; at most 268435456 are allowed`),
      });
    }
  });
});

describe("checkFrameSize", () => {
  // A table of one entry, no head.
  const largest = maxFrameBytes - 8;

  it("lets the largest frame pass, and names the size of one that is larger", () => {
    checkFrameSize(frameOf("", zeros(largest)));
    assert.throws(() => checkFrameSize(frameOf("", zeros(largest + 1))), {
      id: "payload_too_large",
      code: "resource_exhausted",
      httpStatus: 413,
      details: { bytes: maxFrameBytes + 8, maxBytes: maxFrameBytes },
    });
  });

  it("counts all tails together, and beyond what 32 bits hold", () => {
    const third = zeros(2 ** 30);
    assert.throws(() => checkFrameSize(frameOf("", third, third, third, third, third)), {
      id: "payload_too_large",
      details: { bytes: 5 * 2 ** 30 + 40, maxBytes: maxFrameBytes },
    });
  });

  it("counts a head by its bytes, not by its characters", () => {
    const characters = Math.ceil(maxFrameBytes / 3);
    checkFrameSize(frameOf("x".repeat(characters)));
    assert.throws(() => checkFrameSize(frameOf("€".repeat(characters))), {
      id: "payload_too_large",
      details: { bytes: characters * 3, maxBytes: maxFrameBytes },
    });
  });
});
