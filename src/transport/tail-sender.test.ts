import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "../../test/fake-clock.js";
import { openFileStore } from "../../test/transport/file-stores.js";
import { createSlabFolder, hasNoSlabs } from "../../test/transport/slab-folder.js";
import { decodedBytes, minHeldBytes } from "../held/held-bytes.js";
import type { Tail } from "../held/held-file.js";
import { type Frame, frameKinds, maxFrameBytes } from "./frame.js";
import { SlabWriter } from "./slab-writer.js";
import { TailSender } from "./tail-sender.js";

const frameOf = (...tails: Tail[]): Frame => ({ kind: frameKinds.reply, flags: 0, id: 1, head: "", tails });

describe("TailSender", () => {
  it("gives files, on a disk also ones larger than a frame", () => {
    using store = openFileStore();
    const clock = new FakeClock();
    const sender = new TailSender(undefined, store.files, clock);
    const announced: Frame[] = [];
    const frame = frameOf(new Uint8Array(minHeldBytes), store.createFile(maxFrameBytes * 2), new Uint8Array(5));
    const { numbers } = sender.place(frame, (own) => announced.push(own));
    assert.deepEqual(numbers, [...announced.map(({ id }) => id), 0]);
    assert.deepEqual(
      announced.map(({ kind, head }) => [kind, head.split(" ")[0]]),
      [
        [frameKinds.file, "memory"],
        [frameKinds.file, "disk"],
      ],
    );
    sender.close();
    clock.advance(5_000);
  });

  it("announces nothing and leaves nothing of a frame that has a file which was lost", { skip: hasNoSlabs }, () => {
    using store = openFileStore();
    using slabs = createSlabFolder();
    const sender = new TailSender(new SlabWriter(slabs.path), store.files);
    const given = [new Uint8Array(minHeldBytes), new Uint8Array(100_000), store.createFile(minHeldBytes, true)];
    const frame = frameOf(...given, store.createLost(minHeldBytes), store.createFile(minHeldBytes));
    const before = store.list().length;
    const announced: Frame[] = [];
    assert.throws(() => sender.place(frame, (own) => announced.push(own)), { id: "held_bytes_lost" });
    assert.deepEqual([announced, slabs.list()], [[], []]);
    // One more is kept to be written again; the one that was passed on is gone.
    assert.equal(store.list().length, before);
    sender.close();
  });

  for (const [where, hasFiles] of [
    ["where no file crosses", false],
    ["that can't be given", true],
  ] as const) {
    it(`refuses a file larger than a frame ${where}, and reads nothing of it`, () => {
      using store = openFileStore();
      const sender = new TailSender(undefined, hasFiles ? store.files : undefined);
      const file = hasFiles ? store.createLost(maxFrameBytes + 1) : store.createFile(maxFrameBytes + 1);
      const before = decodedBytes.count;
      assert.throws(() => sender.place(frameOf(file), () => assert.fail()), {
        id: "payload_too_large",
        details: { bytes: maxFrameBytes + 16, maxBytes: maxFrameBytes },
      });
      assert.equal(decodedBytes.count, before);
    });
  }
});
