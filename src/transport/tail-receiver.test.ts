import assert from "node:assert/strict";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { openFileStore } from "../../test/transport/file-stores.js";
import { ReaderLog } from "../../test/transport/reader-log.js";
import { joinSockets } from "../../test/transport/socket-pair.js";
import { minHeldBytes } from "../held/held-bytes.js";
import type { Tail } from "../held/held-file.js";
import { type Frame, frameFlags, frameKinds, loadTail, noTails } from "./frame.js";
import { SocketChannel } from "./socket-channel.js";
import { firstFileNumber, TailReceiver } from "./tail-sender.js";

const frameOf = (id: number, ...tails: Tail[]): Frame => ({ kind: frameKinds.reply, flags: 0, id, head: "", tails });

describe("a file that is taken away on its way", () => {
  for (const place of ["memory", "disk"] as const) {
    it(`is lost for its own reader, and the link goes on: ${place}`, async () => {
      using sending = openFileStore();
      using receiving = openFileStore(sending.folders);
      const [one, two] = await joinSockets();
      const sender = new SocketChannel(one, undefined, sending.files);
      const reader = new ReaderLog();
      sender.open(new ReaderLog());
      new SocketChannel(two, undefined, receiving.files).open(reader);
      const bytes = new Uint8Array(minHeldBytes).fill(7);
      sender.send(frameOf(1, place === "memory" ? bytes : sending.createFile(minHeldBytes)));
      // Nothing has left yet.
      for (const name of readdirSync(sending.folders[place])) rmSync(join(sending.folders[place], name));
      sender.send(frameOf(2, bytes));
      const frames = await reader.take(2);
      assert.throws(() => loadTail(frames[0]?.tails[0] as Tail), { id: "held_bytes_lost", message: /ENOENT/ });
      assert.deepEqual(loadTail(frames[1]?.tails[0] as Tail), bytes);
      sender.close();
      assert.equal(await reader.ended, undefined);
    });
  }
});

describe("TailReceiver", () => {
  it("takes an author's file that can't be opened as lost", async () => {
    using store = openFileStore();
    const file = store.createLost(minHeldBytes);
    const receiver = new TailReceiver(undefined, { adopt: () => file } as never);
    const head = `disk ${"0".repeat(40)} 0 ${minHeldBytes}`;
    await receiver.add({ kind: frameKinds.file, flags: frameFlags.blob, id: firstFileNumber, head, tails: noTails });
    assert.equal(receiver.read(firstFileNumber, minHeldBytes), file);
    assert.throws(() => file.take(), { id: "held_bytes_lost" });
    assert.equal(receiver.takeReleases()?.head, String(firstFileNumber));
  });
});
