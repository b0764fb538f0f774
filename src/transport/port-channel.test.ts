import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { MessageChannel } from "node:worker_threads";
import { testChannel } from "../../test/transport/channel-promises.js";
import { openFileStore } from "../../test/transport/file-stores.js";
import { ReaderLog } from "../../test/transport/reader-log.js";
import { decodedBytes, minHeldBytes } from "../held/held-bytes.js";
import type { HeldFile, Tail } from "../held/held-file.js";
import { maxFrameBytes, noTails } from "./frame.js";
import { PortChannel } from "./port-channel.js";

describe("a port channel", () => {
  testChannel(async () => {
    const { port1, port2 } = new MessageChannel();
    return { ends: [new PortChannel(port1), new PortChannel(port2)] };
  });

  it("keeps frames that were sent before the other side reads", async () => {
    const { port1, port2 } = new MessageChannel();
    const one = new PortChannel(port1);
    one.open(new ReaderLog());
    for (let id = 1; id <= 10; id++) one.send({ kind: 3, flags: 0, id, head: "", tails: noTails });
    await new Promise(setImmediate);
    const reader = new ReaderLog();
    new PortChannel(port2).open(reader);
    assert.deepEqual(
      (await reader.take(10)).map(({ id }) => id),
      [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    );
    one.close();
    await reader.ended;
  });

  const unsendable: Record<
    string,
    readonly [id: string, create: (store: ReturnType<typeof openFileStore>) => HeldFile]
  > = {
    "a file that was lost": ["held_bytes_lost", ({ createLost }) => createLost(minHeldBytes)],
    "a file larger than a frame": ["payload_too_large", ({ createFile }) => createFile(maxFrameBytes + 1)],
  };
  for (const [what, [id, create]] of Object.entries(unsendable)) {
    it(`refuses a frame that has ${what}, reads no more than it may, and carries those before and after it`, async () => {
      using store = openFileStore();
      const { port1, port2 } = new MessageChannel();
      const [one, reader] = [new PortChannel(port1), new ReaderLog()];
      one.open(new ReaderLog());
      new PortChannel(port2).open(reader);
      const frameOf = (number: number, ...tails: Tail[]) => ({ kind: 3, flags: 0, id: number, head: "", tails });
      const bytes = new Uint8Array(5000).fill(7);
      const before = decodedBytes.count;
      one.send(frameOf(1, bytes));
      assert.throws(() => one.send(frameOf(2, bytes, create(store), bytes)), { id });
      one.send(frameOf(3, bytes, store.createFile(minHeldBytes)));
      assert.deepEqual(await reader.take(2), [frameOf(1, bytes), frameOf(3, bytes, new Uint8Array(minHeldBytes))]);
      assert.equal(decodedBytes.count - before, minHeldBytes);
      one.close();
      assert.equal(await reader.ended, undefined);
    });
  }

  const messages: Record<string, unknown> = {
    "no list": { kind: 3 },
    nothing: null,
    "a text": "frames",
    "a list cut short": [3, 0, 1, "head"],
    "fewer tails than it says": [3, 0, 1, "head", 2, new Uint8Array(1)],
    "a negative number of tails": [3, 0, 1, "head", -5],
    "a number of tails that is none": [3, 0, 1, "head", "x"],
    "half a tail": [3, 0, 1, "head", 0.5, 0],
    "tails that are no bytes": [3, 0, 1, "head", 1, "text"],
    "a head that is no text": [3, 0, 1, 7, 0],
  };
  for (const [what, message] of Object.entries(messages)) {
    it(`ends on ${what}`, async () => {
      const { port1, port2 } = new MessageChannel();
      const reader = new ReaderLog();
      new PortChannel(port2).open(reader);
      // Keeps the port's close alive.
      port1.on("message", () => {});
      port1.postMessage([3, 0, 9, "good", 0]);
      port1.postMessage(message);
      const closed = once(port1, "close");
      const reason = await reader.ended;
      assert.equal(reason?.id, "malformed_frame");
      assert.deepEqual(reader.frames, [{ kind: 3, flags: 0, id: 9, head: "good", tails: noTails }]);
      await closed;
    });
  }
});
