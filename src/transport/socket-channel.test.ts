import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import net from "node:net";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { Random } from "../../test/http/random.js";
import { testChannel } from "../../test/transport/channel-promises.js";
import { createBytes, createPrefix, encodeFrame } from "../../test/transport/random-frame.js";
import { ReaderLog } from "../../test/transport/reader-log.js";
import { createSlabFolder, hasNoSlabs } from "../../test/transport/slab-folder.js";
import { joinSockets } from "../../test/transport/socket-pair.js";
import { type Frame, FrameReader, frameKinds, maxFrameBytes } from "./frame.js";
import { SlabReader } from "./slab-writer.js";
import { SocketChannel } from "./socket-channel.js";

const frameOf = (id: number, ...tails: Uint8Array[]): Frame => ({ kind: 3, flags: 0, id, head: "", tails });

/** A channel, and the bare socket at its other end. */
async function openRaw(slabFolder?: string) {
  const [own, socket] = await joinSockets();
  const channel = new SocketChannel(own, slabFolder);
  const reader = new ReaderLog();
  channel.open(reader);
  socket.on("error", () => {});
  return { channel, reader, socket, own };
}

describe("a socket channel", () => {
  testChannel(async () => {
    const [one, two] = await joinSockets();
    return { ends: [new SocketChannel(one, undefined), new SocketChannel(two, undefined)] };
  });

  it("keeps what a slow reader has not taken, says how much, and mixes nothing up when it catches up", async () => {
    const [one, two] = await joinSockets();
    const sender = new SocketChannel(one, undefined);
    sender.open(new ReaderLog());
    const random = new Random(1);
    const frames = Array.from({ length: 600 }, (_, id) => frameOf(id, createBytes(random, random.between(0, 20_000))));
    const sendAll = async () => {
      for (const frame of frames) {
        sender.send(frame);
        if (random.chance(0.2)) await new Promise(setImmediate);
      }
    };
    await sendAll();
    assert.ok(sender.bufferedBytes > 3_000_000, `${sender.bufferedBytes}`);
    const receiver = new SocketChannel(two, undefined);
    const reader = new ReaderLog();
    receiver.open(reader);
    await sendAll();
    assert.deepEqual(await reader.take(2 * frames.length), [...frames, ...frames]);
    assert.equal(sender.bufferedBytes, 0);
    sender.close();
    await reader.ended;
  });

  it("sends frames before the connection is made", async () => {
    const server = net.createServer((socket) => socket.pipe(socket));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const channel = new SocketChannel(net.connect((server.address() as net.AddressInfo).port), undefined);
    const reader = new ReaderLog();
    channel.open(reader);
    const frames = [frameOf(1), frameOf(2, new Uint8Array(200_000)), frameOf(3)];
    for (const frame of frames) channel.send(frame);
    assert.deepEqual(await reader.take(3), frames);
    channel.close();
    await reader.ended;
    server.close();
  });

  it("ends when nothing listens", async () => {
    const channel = new SocketChannel(net.connect("/nowhere/at-all.sock"), undefined);
    const reader = new ReaderLog();
    channel.open(reader);
    channel.send(frameOf(1));
    await reader.ended;
    assert.equal(reader.ends, 1);
    assert.equal(channel.send(frameOf(2)), false);
  });

  it("ends when the other side dies in the middle of a frame", async () => {
    const { reader, socket } = await openRaw();
    const bytes = encodeFrame(frameOf(2, new Uint8Array(1000)));
    socket.write(Buffer.concat([encodeFrame(frameOf(1)), bytes.subarray(0, 500)]));
    await reader.take(1);
    socket.destroy();
    assert.equal(await reader.ended, undefined);
    assert.equal(reader.frames.length, 1);
  });

  const broken: Record<string, readonly [bytes: Buffer, problem: RegExp]> = {
    "a prefix that claims too much": [createPrefix({ bodyBytes: maxFrameBytes + 1 }), /at most 268435456 are allowed/],
    "a head that ends after its frame": [createPrefix({ bodyBytes: 4, headBytes: 5 }), /ends 1 bytes after/],
    "what is no frame": [Buffer.from("GET / HTTP/1.1\r\nhost: x\r\n\r\n"), /received an invalid frame/],
    "a slab, where it has no folder": [
      encodeFrame({ ...frameOf(1), kind: frameKinds.slab, head: "a".repeat(24) }),
      /announces a slab that is none/,
    ],
  };
  for (const [what, [bytes, problem]] of Object.entries(broken)) {
    it(`ends with malformed_frame on ${what}`, async () => {
      const { reader, socket } = await openRaw();
      const ended = once(socket, "close");
      socket.write(Buffer.concat([encodeFrame(frameOf(7)), bytes, Buffer.alloc(100)]));
      const reason = await reader.ended;
      assert.equal(reason?.id, "malformed_frame");
      assert.match(String(reason?.message), problem);
      assert.deepEqual(reader.frames, [frameOf(7)]);
      socket.resume();
      await ended;
    });
  }
});

describe("a socket channel with slabs", { skip: hasNoSlabs }, () => {
  const folders: string[] = [];
  testChannel(async () => {
    const folder = createSlabFolder();
    folders.push(folder.path);
    const [one, two] = await joinSockets();
    const remove = () => {
      assert.deepEqual(folder.list(), [], "something was left in the folder");
      folder[Symbol.dispose]();
    };
    return { ends: [new SocketChannel(one, folder.path), new SocketChannel(two, folder.path)], remove };
  });

  it("has left no folder behind", () => {
    assert.ok(folders.length >= 6);
    assert.deepEqual(
      folders.filter((folder) => existsSync(folder)),
      [],
    );
  });

  it("takes large tails past the socket, through slabs that are used again", async () => {
    using folder = createSlabFolder();
    const [one, two] = await joinSockets();
    const sender = new SocketChannel(one, folder.path);
    const receiver = new SocketChannel(two, folder.path);
    const reader = new ReaderLog();
    sender.open(new ReaderLog());
    receiver.open(reader);
    const random = new Random(2);
    const send = async (id: number) => {
      const frame = frameOf(id, createBytes(random, 600_000), createBytes(random, 100), createBytes(random, 90_000));
      sender.send(frame);
      assert.deepEqual((await reader.take(id + 1)).at(-1), frame);
      // Also what the other side says of the slabs has come.
      for (let i = 0; i < 5; i++) await new Promise(setImmediate);
    };
    await send(0);
    const first = one.bytesWritten;
    assert.ok(first > 690_000, "the first of its size goes through the socket, and its slab is opened meanwhile");
    for (let id = 1; id <= 60; id++) await send(id);
    assert.ok(one.bytesWritten - first < 60 * 250, `${one.bytesWritten - first} bytes went over the socket`);
    assert.ok(two.bytesWritten < 60 * 40, `${two.bytesWritten} bytes came back`);
    assert.deepEqual(folder.list(), []);
    sender.close();
    await reader.ended;
  });

  it("announces a slab, uses it when it was opened, and again under its number when it was read", async () => {
    using folder = createSlabFolder();
    const { channel, reader, socket } = await openRaw(folder.path);
    const heard = new ReaderLog();
    const slabs = new SlabReader(folder.path);
    const frames = new FrameReader(
      (frame) => {
        if (frame.kind === frameKinds.slab) slabs.add(frame);
        heard.receive(frame);
      },
      (slab, byteLength) => slabs.read(slab, byteLength),
    );
    socket.on("data", (chunk) => frames.push(chunk));
    const tail = createBytes(new Random(3), 100_000);
    const kinds = async (count: number) => (await heard.take(count)).map(({ kind, id }) => [kind, id]);
    const release = async (count: number) => {
      const frame = slabs.takeReleases() as Frame;
      assert.equal(frame.head, "1");
      socket.write(encodeFrame(frame));
      // The frame after it shows that the release was read.
      socket.write(encodeFrame(frameOf(9)));
      await reader.take(count);
    };
    channel.send(frameOf(1, tail));
    assert.deepEqual(await kinds(2), [
      [frameKinds.slab, 1],
      [3, 1],
    ]);
    await release(1);
    for (const [id, written] of [
      [2, socket.bytesRead],
      [3, socket.bytesRead],
    ] as const) {
      channel.send(frameOf(id, tail));
      assert.deepEqual((await kinds(1 + id)).slice(id), [[3, id]]);
      assert.deepEqual(heard.frames.at(-1)?.tails, [tail]);
      assert.ok(socket.bytesRead - written < 500, "it went past the socket");
      await release(id);
    }
    socket.destroy();
    await reader.ended;
    slabs.close();
  });

  it("leaves nothing in the folder when the other side is gone before it has opened a slab", async () => {
    using folder = createSlabFolder();
    const { channel, reader, socket } = await openRaw(folder.path);
    for (let id = 1; id <= 5; id++) channel.send(frameOf(id, new Uint8Array(100_000)));
    assert.equal(readdirSync(folder.path).length, 5);
    socket.destroy();
    await reader.ended;
    assert.deepEqual(folder.list(), []);
  });

  it("carries large tails itself when the folder is gone", async () => {
    const folder = createSlabFolder();
    const [one, two] = await joinSockets();
    const sender = new SocketChannel(one, folder.path);
    const reader = new ReaderLog();
    sender.open(new ReaderLog());
    new SocketChannel(two, folder.path).open(reader);
    folder[Symbol.dispose]();
    writeFileSync(folder.path, "");
    const frames = [1, 2, 3].map((id) => frameOf(id, createBytes(new Random(id), 200_000)));
    for (const frame of frames) sender.send(frame);
    assert.deepEqual(await reader.take(3), frames);
    sender.close();
    await reader.ended;
  });

  it("carries a large tail itself when the memory is full, and small ones in slabs that are there", () => {
    // What a limit on the size of files does to a write is what a full file system does.
    const script = fileURLToPath(new URL("../../test/transport/full-slabs.ts", import.meta.url));
    const limited = 'ulimit -f 400 && exec "$0" --import tsx "$1"';
    const { stdout, stderr } = spawnSync("sh", ["-c", limited, process.execPath, script], { encoding: "utf8" });
    const bytes = Number(/^(\d+) bytes went over the socket$/m.exec(stdout)?.[1]);
    assert.ok(bytes > 2_100_000 && bytes < 2_101_000, `${stdout}${stderr}`);
  });

  const slab = (id: number, head: string): Frame => ({ ...frameOf(id), kind: frameKinds.slab, head });
  const broken: Record<string, readonly Frame[]> = {
    "a slab outside its folder": [slab(1, "../../etc/passwd")],
    "the release of a slab it never made": [{ ...frameOf(0), kind: frameKinds.release, head: "1" }],
    "a release that is no number": [{ ...frameOf(0), kind: frameKinds.release, head: "one" }],
  };
  for (const [what, frames] of Object.entries(broken)) {
    it(`ends with malformed_frame on ${what}`, async () => {
      using folder = createSlabFolder();
      const { reader, socket } = await openRaw(folder.path);
      socket.write(Buffer.concat(frames.map(encodeFrame)));
      assert.equal((await reader.ended)?.id, "malformed_frame");
      socket.destroy();
    });
  }

  it("ends with malformed_frame on a tail in a slab that was never announced", async () => {
    using folder = createSlabFolder();
    const { reader, socket } = await openRaw(folder.path);
    const bytes = encodeFrame({ ...frameOf(1), tails: [new Uint8Array(8)] });
    bytes.writeUInt32LE(3, 20);
    socket.write(bytes);
    assert.match(String((await reader.ended)?.message), /slab 3 was never announced/);
    assert.deepEqual(reader.frames, []);
    socket.destroy();
  });
});
