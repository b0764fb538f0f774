import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { describe, it } from "node:test";
import { FakeClock } from "../../test/fake-clock.js";
import { Random } from "../../test/http/random.js";
import { createDeferred } from "../base/clock.js";
import { FileStore } from "../held/file-store.js";
import { minHeldBytes } from "../held/held-bytes.js";
import type { HeldFile } from "../held/held-file.js";
import { BodyWatch, ByteGatherer, readBytes, type WatchedBody } from "./read-bytes.js";

const bodyTimeoutMs = 1000;

/** Opens a body that is read as it arrives, to a disk when it is large. */
function open() {
  const disk = mkdtempSync(join(tmpdir(), "ekiben-test-"));
  const clock = new FakeClock();
  const files = new FileStore("1".repeat(32), () => ({ memory: undefined, disk }), clock);
  const source = new PassThrough();
  const told = createDeferred<HeldFile | Uint8Array>();
  readBytes(source, undefined, {
    limits: { maxBodyBytes: 64 * 1024 ** 2, bodyTimeoutMs, watch: new BodyWatch(clock, bodyTimeoutMs) },
    receiver: { receive: told.resolve, receiveHeld: told.resolve, refuse: told.reject },
    files,
  });
  const send = async (bytes: number) => {
    const taken = once(source, "data");
    source.write(Buffer.alloc(bytes, "x"));
    await taken;
  };
  const close = () => {
    files.close();
    rmSync(disk, { recursive: true });
  };
  return { clock, source, send, body: told.promise, inFolder: () => readdirSync(disk), [Symbol.dispose]: close };
}

describe("a large body that goes to a disk", () => {
  for (const first of [1, minHeldBytes]) {
    it(`has bodyTimeoutMs from its first byte to its last, though it trickles; its first chunk has ${first} bytes`, async () => {
      using reading = open();
      const { clock, send, body, inFolder } = reading;
      const refused = assert.rejects(body, { id: "body_timeout" });
      clock.advance(900);
      await send(first);
      await send(minHeldBytes);
      assert.equal(inFolder().length, 1);
      // Half as much again at most: the watch looks four times per timeout.
      for (let ms = 0; ms < 1.5 * bodyTimeoutMs; ms += 100) {
        await send(1);
        clock.advance(100);
      }
      const late = Symbol();
      const end = await Promise.race([refused, new Promise((resolve) => setImmediate(resolve, late))]);
      assert.notEqual(end, late, "it is still waited for");
      assert.deepEqual(inFolder(), []);
    });
  }

  it("is whole where its chunks come slowly and in time", async () => {
    using reading = open();
    const { clock, source, send, body } = reading;
    clock.advance(900);
    await send(minHeldBytes);
    clock.advance(900);
    await send(5);
    source.end();
    assert.equal((await body).byteLength, minHeldBytes + 5);
  });
});

class Body implements WatchedBody {
  deadline = 0;
  previous: WatchedBody | undefined = undefined;
  next: WatchedBody | undefined = undefined;
  expirations = 0;

  expire(): void {
    this.expirations++;
  }
}

describe("BodyWatch", () => {
  it("gives each body its time, and at most half as much again", () => {
    const clock = new FakeClock(0);
    const watch = new BodyWatch(clock, 100);
    const [first, second] = [new Body(), new Body()];
    watch.add(first);
    clock.advance(60);
    watch.add(second);
    clock.advance(39);
    assert.equal(first.expirations, 0);
    clock.advance(51);
    assert.deepEqual([first.expirations, second.expirations], [1, 0]);
    clock.advance(60);
    assert.deepEqual([first.expirations, second.expirations], [1, 1]);
    clock.advance(100);
    assert.deepEqual([first.expirations, second.expirations], [1, 1]);
    assert.equal(clock.pendingTimers, 0);
  });

  it("takes bodies out from every place", () => {
    const clock = new FakeClock(0);
    for (const removed of [0, 1, 2]) {
      const watch = new BodyWatch(clock, 100);
      const bodies = [new Body(), new Body(), new Body()];
      for (const body of bodies) watch.add(body);
      watch.remove(bodies[removed] as Body);
      clock.advance(150);
      assert.deepEqual(
        bodies.map((body) => body.expirations),
        [0, 1, 2].map((i) => (i === removed ? 0 : 1)),
      );
    }
  });

  it("gives a body its whole time anew when it moves, and stops looking when nothing is left", () => {
    const clock = new FakeClock(0);
    const watch = new BodyWatch(clock, 100);
    const body = new Body();
    watch.add(body);
    clock.advance(90);
    body.deadline = 0;
    clock.advance(90);
    assert.equal(body.expirations, 0);
    watch.remove(body);
    clock.advance(100);
    assert.equal(body.expirations, 0);
    assert.equal(clock.pendingTimers, 0);
  });
});

/** Cuts a body of `length` random bytes into random chunks. */
function cut(random: Random, length: number): Uint8Array[] {
  const bytes = random.bytes(length);
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < length; ) {
    const size = random.between(1, random.pick([1, 50, 5000, 40_000, 100_000]));
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

describe("ByteGatherer", () => {
  it("gives back what came, wherever the chunks begin and end", () => {
    const random = new Random(7);
    const gatherer = new ByteGatherer();
    for (let round = 0; round < 30; round++) {
      const chunks = cut(random, random.between(0, 200_000));
      for (const chunk of chunks) gatherer.push(chunk);
      const whole = Buffer.concat(chunks);
      assert.equal(gatherer.size, whole.length);
      assert.ok(whole.equals(gatherer.take()));
      assert.equal(gatherer.size, 0);
    }
  });

  it("keeps a single chunk as it is", () => {
    const chunk = new Uint8Array([1]);
    const gatherer = new ByteGatherer();
    gatherer.push(chunk);
    assert.equal(gatherer.take(), chunk);
  });

  it("keeps none of many small chunks", () => {
    const gatherer = new ByteGatherer();
    const large = new Uint8Array(1000);
    for (let i = 0; i < 1000; i++) gatherer.push(large.subarray(i, i + 1));
    large.fill(9);
    // All chunks but the first were copied as they came.
    assert.deepEqual([...gatherer.take()].slice(0, 4), [9, 0, 0, 0]);
  });

  it("counts chunks as well as bytes", () => {
    const gatherer = new ByteGatherer();
    const byte = new Uint8Array(1);
    let count = 0;
    while (!gatherer.exceeds(1000)) {
      gatherer.push(byte);
      count++;
    }
    assert.equal(count, 1001);
    gatherer.clear();
    for (count = 0; !gatherer.exceeds(16 * 1024 ** 2); count++) gatherer.push(byte);
    assert.ok(count < 600_000, `${count} chunks`);
  });
});
