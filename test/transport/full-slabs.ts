// Sends tails of 1 MB through a folder whose files can hold less, like a full memory.   sh -c "ulimit -f 400 && …"
import assert from "node:assert/strict";
import type { Frame } from "../../src/transport/frame.js";
import { SocketChannel } from "../../src/transport/socket-channel.js";
import { Random } from "../http/random.js";
import { createBytes } from "./random-frame.js";
import { ReaderLog } from "./reader-log.js";
import { createSlabFolder } from "./slab-folder.js";
import { joinSockets } from "./socket-pair.js";

using folder = createSlabFolder();
const [one, two] = await joinSockets();
const sender = new SocketChannel(one, folder.path);
const reader = new ReaderLog();
const own = new ReaderLog();
sender.open(own);
new SocketChannel(two, folder.path).open(reader);
const sizes = [100_000, 1_000_000, 100_000, 1_000_000];
const frames = sizes.map((size, id): Frame => {
  return { kind: 3, flags: 0, id, head: "head", tails: [createBytes(new Random(id), size)] };
});
for (const [i, frame] of frames.entries()) {
  sender.send(frame);
  assert.deepEqual((await reader.take(i + 1))[i], frame);
}
const written = one.bytesWritten;
sender.close();
await own.ended;
assert.deepEqual(folder.list(), []);
console.log(`${written} bytes went over the socket`);
