import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { describe, it } from "node:test";
import { FakeClock } from "../../test/fake-clock.js";
import { createDeferred } from "../base/clock.js";
import { FileStore } from "../held/file-store.js";
import { minHeldBytes } from "../held/held-bytes.js";
import type { HeldFile } from "../held/held-file.js";
import { BodyWatch } from "./body-watch.js";
import { readBytes } from "./read-bytes.js";

const bodyTimeoutMs = 1000;

/** A body that is read as it comes, to a disk where it is large. */
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
      // At most half as much again, as the watch looks.
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
