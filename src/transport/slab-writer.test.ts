import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { FakeClock } from "../../test/fake-clock.js";
import { Random } from "../../test/http/random.js";
import { createBytes } from "../../test/transport/random-frame.js";
import { createSlabFolder, hasNoSlabs } from "../../test/transport/slab-folder.js";
import { type Frame, frameKinds, noTails } from "./frame.js";
import { isSlabOf, minSlabBytes, SlabReader, SlabWriter } from "./slab-writer.js";
import { TailSender } from "./tail-sender.js";

const random = new Random(1);
const bytesOf = (byteLength: number) => createBytes(random, byteLength);
const frameOf = (kind: number, id: number, head: string): Frame => ({ kind, flags: 0, id, head, tails: noTails });
const releaseOf = (...slabs: readonly unknown[]) => frameOf(frameKinds.release, 0, slabs.join(" "));

/** Both halves, as the two ends of a channel hold them. */
function openSlabs() {
  const folder = createSlabFolder();
  const clock = new FakeClock();
  const writer = new TailSender(new SlabWriter(folder.path, clock), undefined, clock);
  const reader = new SlabReader(folder.path);
  const announced: Frame[] = [];
  const place = (...tails: Uint8Array[]) =>
    writer.place({ ...frameOf(frameKinds.reply, 0, ""), tails }, (frame) => {
      announced.push(frame);
      reader.add(frame);
    }).numbers;
  /** Has slabs for tails of these sizes made and opened, as the first such tails do on their way through the socket. */
  const prepare = (...sizes: number[]) => {
    assert.equal(place(...sizes.map((size) => new Uint8Array(size))), undefined);
    writer.release(reader.takeReleases() as Frame);
  };
  const close = () => {
    writer.close();
    reader.close();
    assert.deepEqual(folder.list(), [], "something was left in the folder");
    folder[Symbol.dispose]();
  };
  return { folder, writer, reader, announced, clock, place, prepare, [Symbol.dispose]: close };
}

describe("SlabWriter and SlabReader", { skip: hasNoSlabs }, () => {
  it("bring over large tails and leave small ones in their frame", () => {
    using slabs = openSlabs();
    const sizes = [minSlabBytes - 1, minSlabBytes, 0, 1_000_000, 65_537];
    slabs.prepare(...sizes);
    const tails = sizes.map(bytesOf);
    const numbers = slabs.place(...tails) ?? [];
    assert.deepEqual(numbers, [0, 1, 0, 2, 3]);
    for (const [i, number] of numbers.entries()) {
      if (number === 0) continue;
      const tail = slabs.reader.read(number, tails[i]?.byteLength as number);
      assert.deepEqual(tail, tails[i]);
      assert.deepEqual([tail.byteOffset, tail.buffer.byteLength], [0, tail.byteLength]);
    }
  });

  it("make none for small tails alone", () => {
    using slabs = openSlabs();
    assert.equal(slabs.place(bytesOf(10), bytesOf(minSlabBytes - 1)), undefined);
    assert.deepEqual(slabs.folder.list(), []);
  });

  it("take the name of a slab away when it is opened, so that a crash of both leaves nothing", () => {
    using slabs = openSlabs();
    slabs.place(bytesOf(100_000));
    assert.deepEqual(slabs.folder.list(), []);
  });

  it("have names that tell which process has made them", () => {
    using slabs = openSlabs();
    slabs.place(bytesOf(100_000));
    const name = slabs.announced[0]?.head ?? "";
    assert.deepEqual([isSlabOf(name, process.pid), isSlabOf(name, process.pid + 1)], [true, false]);
  });

  it("write a slab again when it was released, and not before", () => {
    using slabs = openSlabs();
    slabs.prepare(100_000, 100_000);
    const first = bytesOf(100_000);
    assert.deepEqual(slabs.place(first), [1]);
    assert.deepEqual(slabs.place(bytesOf(100_000)), [2]);
    assert.deepEqual(slabs.reader.read(1, 100_000), first);
    assert.equal(slabs.place(bytesOf(40_000), new Uint8Array(0)), undefined);
    assert.equal(slabs.announced.length, 2);
    const release = slabs.reader.takeReleases();
    assert.deepEqual(release, releaseOf(1));
    assert.equal(slabs.reader.takeReleases(), undefined);
    slabs.writer.release(release as Frame);
    const second = bytesOf(90_000);
    assert.deepEqual(slabs.place(second), [1]);
    assert.deepEqual(slabs.reader.read(1, 90_000), second);
    assert.equal(slabs.announced.length, 2);
  });

  it("use no slab before the other side has opened it", () => {
    using slabs = openSlabs();
    assert.deepEqual(
      [1, 2, 3].map(() => slabs.place(bytesOf(100_000))),
      [undefined, undefined, undefined],
    );
    assert.equal(slabs.announced.length, 3);
    assert.deepEqual(slabs.reader.takeReleases(), releaseOf(1, 2, 3));
    slabs.writer.release(releaseOf(2));
    assert.deepEqual(slabs.place(bytesOf(100_000)), [2]);
    for (let i = 0; i < 50; i++) slabs.place(bytesOf(100_000));
    assert.equal(slabs.announced.length, 1 + 16, "those that wait to be opened are bounded");
  });

  it("go on without slabs where the other side can't open one, and try again later", () => {
    using slabs = openSlabs();
    slabs.prepare(100_000);
    const refuse = (name: string) => rmSync(`${slabs.folder.path}/${name}`);
    const refused: string[] = [];
    const announce = (frame: Frame) => {
      refused.push(frame.head);
      refuse(frame.head);
      slabs.reader.add(frame);
    };
    assert.equal(
      slabs.writer.place({ ...frameOf(frameKinds.reply, 0, ""), tails: [bytesOf(300_000)] }, announce).numbers,
      undefined,
    );
    const release = slabs.reader.takeReleases() as Frame;
    assert.deepEqual(release, releaseOf(-2));
    slabs.writer.release(release);
    // What both have open goes on; nothing new is tried for a while.
    assert.deepEqual(slabs.place(bytesOf(100_000), bytesOf(300_000)), [1, 0]);
    assert.deepEqual([slabs.announced.length, refused.length], [1, 1]);
    slabs.clock.advance(5_000);
    slabs.prepare(300_000);
    assert.deepEqual(slabs.place(bytesOf(300_000)), [3]);
  });

  it("take the smallest free slab that is large enough", () => {
    using slabs = openSlabs();
    const sizes = [1_000_000, 100_000, 400_000];
    slabs.prepare(...sizes);
    assert.deepEqual(slabs.place(...sizes.map(bytesOf)), [1, 2, 3]);
    for (const [i, size] of sizes.entries()) slabs.reader.read(i + 1, size);
    slabs.writer.release(slabs.reader.takeReleases() as Frame);
    assert.deepEqual(slabs.place(bytesOf(300_000), bytesOf(300_000), bytesOf(131_072)), [3, 1, 2]);
  });

  it("serve any order of sending and releasing without mixing up bytes", () => {
    using slabs = openSlabs();
    const underway: { readonly slab: number; readonly tail: Uint8Array }[] = [];
    for (let i = 0; i < 300; i++) {
      const tail = bytesOf(random.between(minSlabBytes, random.pick([100_000, 300_000])));
      const slab = slabs.place(tail)?.[0];
      if (slab !== undefined) underway.push({ slab, tail });
      while (underway.length > 8 || (underway.length > 0 && random.chance(0.4))) {
        const [{ slab, tail: sent }] = underway.splice(random.between(0, underway.length - 1), 1) as [
          (typeof underway)[0],
        ];
        assert.ok(Buffer.from(sent).equals(slabs.reader.read(slab, sent.byteLength)), `tail ${i}`);
        if (random.chance(0.5)) slabs.writer.release(slabs.reader.takeReleases() as Frame);
      }
      const release = random.chance(0.2) ? slabs.reader.takeReleases() : undefined;
      if (release !== undefined) slabs.writer.release(release);
    }
    assert.ok(slabs.announced.length < 40, `${slabs.announced.length} slabs for at most 9 tails under way`);
  });

  it("hold at most 128 MiB together; what is beyond goes in the frame", () => {
    using slabs = openSlabs();
    // Their files stay small: only what is written takes memory.
    const tail = new Uint8Array(minSlabBytes);
    let written = 0;
    for (let i = 0; i < 5000; i++) {
      if (slabs.place(tail) !== undefined) written++;
      const opened = slabs.reader.takeReleases();
      if (opened !== undefined) slabs.writer.release(opened);
    }
    const most = (128 * 1024 ** 2) / minSlabBytes;
    assert.deepEqual([written, slabs.announced.length], [most, most]);
    slabs.reader.read(7, 1);
    slabs.writer.release(slabs.reader.takeReleases() as Frame);
    assert.deepEqual(slabs.place(tail), [7]);
  });

  it("make their folder again when it is gone, and leave everything to the frame where they can't", () => {
    using slabs = openSlabs();
    slabs.prepare(100_000);
    assert.deepEqual(slabs.place(bytesOf(100_000)), [1]);
    rmSync(slabs.folder.path, { recursive: true });
    slabs.prepare(100_000);
    assert.deepEqual(slabs.place(bytesOf(100_000)), [2]);
    rmSync(slabs.folder.path, { recursive: true });
    writeFileSync(slabs.folder.path, "");
    assert.equal(slabs.place(bytesOf(100_000)), undefined);
    assert.equal(slabs.announced.length, 2);
    rmSync(slabs.folder.path);
    // A slab that both have open needs no folder.
    slabs.reader.read(1, 100_000);
    slabs.writer.release(slabs.reader.takeReleases() as Frame);
    assert.deepEqual(slabs.place(bytesOf(100_000)), [1]);
  });

  it("remove at the end what was announced and never opened", () => {
    using folder = createSlabFolder();
    const writer = new TailSender(new SlabWriter(folder.path), undefined);
    writer.place({ ...frameOf(frameKinds.reply, 0, ""), tails: [bytesOf(100_000), bytesOf(100_000)] }, () => {});
    assert.equal(folder.list().length, 2);
    writer.close();
    assert.deepEqual(folder.list(), []);
  });
});

describe("SlabReader", { skip: hasNoSlabs }, () => {
  const malformed = (run: () => void, pattern: RegExp) =>
    assert.throws(run, { id: "malformed_frame", message: pattern });

  it("opens nothing but names that a writer gives, inside its folder", () => {
    using folder = createSlabFolder();
    const reader = new SlabReader(folder.path);
    const tricks = ["", "/etc/passwd", "../0123456789abcdef01234567", "0123456789ABCDEF01234567", "a".repeat(25)];
    for (const name of [
      ...tricks,
      "../../etc/passwd",
      `${"a".repeat(24)}\n`,
      `a\0${"a".repeat(22)}`,
      "a/../a/../a/../a/../a/",
    ]) {
      malformed(() => reader.add(frameOf(frameKinds.slab, 1, name)), /announces a slab that is none/);
    }
    assert.equal(reader.takeReleases(), undefined);
    reader.close();
  });

  it("opens no link, no pipe, no folder and nothing that is not there, waits for none of them, and says so", () => {
    using folder = createSlabFolder();
    const reader = new SlabReader(folder.path);
    const names = ["a", "b", "c", "d"].map((letter) => letter.repeat(24));
    const [link, pipe, directory] = names.map((name) => join(folder.path, name)) as [string, string, string];
    symlinkSync("/etc/passwd", link);
    assert.equal(spawnSync("mkfifo", [pipe]).status, 0);
    mkdirSync(directory);
    for (const [i, name] of names.entries()) reader.add(frameOf(frameKinds.slab, i + 1, name));
    assert.deepEqual(reader.takeReleases(), releaseOf(-1, -2, -3, -4));
    malformed(() => reader.read(1, 1), /slab 1 was never announced/);
    assert.deepEqual(folder.list().sort(), names.slice(0, 3));
    reader.close();
  });

  it("opens nothing at all without a folder", () => {
    malformed(() => new SlabReader(undefined).add(frameOf(frameKinds.slab, 1, "a".repeat(24))), /is none/);
  });

  it("refuses a slab that was never announced, and a number that is announced twice", () => {
    using slabs = openSlabs();
    slabs.prepare(100_000);
    malformed(() => slabs.reader.read(2, 1), /slab 2 was never announced/);
    malformed(() => slabs.reader.add(frameOf(frameKinds.slab, 1, "a".repeat(24))), /announces slab 1 twice/);
  });

  it("refuses to read more than a slab holds, before it makes room for it", () => {
    using slabs = openSlabs();
    slabs.prepare(100_000);
    slabs.place(bytesOf(100_000));
    const before = process.memoryUsage().arrayBuffers;
    malformed(() => slabs.reader.read(1, 100_001), /slab 1 holds 100000 bytes, not 100001/);
    malformed(() => slabs.reader.read(1, 2 ** 32 - 1), /slab 1 holds 100000 bytes, not 4294967295/);
    assert.ok(process.memoryUsage().arrayBuffers - before < 50_000);
  });

  it("refuses to read a slab again that it has not released", () => {
    using slabs = openSlabs();
    slabs.prepare(100_000);
    slabs.place(bytesOf(100_000));
    slabs.reader.read(1, 100_000);
    malformed(() => slabs.reader.read(1, 100_000), /slab 1 is used again before it was released/);
  });
});

describe("SlabWriter", { skip: hasNoSlabs }, () => {
  it("refuses the release of what is not in use", () => {
    using slabs = openSlabs();
    slabs.prepare(100_000);
    slabs.place(bytesOf(100_000));
    for (const release of [
      releaseOf(2),
      releaseOf(0),
      releaseOf(-1),
      releaseOf(-2),
      releaseOf("x"),
      releaseOf(1, 1),
      releaseOf(""),
    ]) {
      assert.throws(() => slabs.writer.release(release), { id: "malformed_frame", message: /which is not in use/ });
    }
  });
});
