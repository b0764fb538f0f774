import assert from "node:assert/strict";
import { existsSync, statSync, writeFileSync } from "node:fs";
import net from "node:net";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { FakeClock } from "../../test/fake-clock.js";
import { silentLogger } from "../base/logger.js";
import { AppFolders } from "./app-folders.js";

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);
const hasMemory = process.platform === "linux" && existsSync("/dev/shm");

describe("AppFolders", () => {
  it("can be entered by their owner alone", () => {
    const folders = new AppFolders(new FakeClock(), silentLogger);
    try {
      assert.equal(modeOf(dirname(folders.nextAddress())), "700");
      if (hasMemory) assert.equal(modeOf(folders.slabs as string), "700");
    } finally {
      folders.remove();
    }
  });

  it("give each replica an address of its own, short enough for a socket's path", async () => {
    const folders = new AppFolders(new FakeClock(), silentLogger);
    try {
      const addresses = Array.from({ length: 1000 }, () => folders.nextAddress());
      assert.equal(new Set(addresses).size, 1000);
      assert.ok(Math.max(...addresses.map((address) => address.length)) <= 100);
      const server = net.createServer();
      await new Promise<void>((resolve) => server.listen(addresses[0], resolve));
      server.close();
    } finally {
      folders.remove();
    }
  });

  it("are apart from those of another app, in memory too", () => {
    const [one, other] = [new AppFolders(new FakeClock(), silentLogger), new AppFolders(new FakeClock(), silentLogger)];
    try {
      assert.notEqual(dirname(one.nextAddress()), dirname(other.nextAddress()));
      if (hasMemory) assert.notEqual(one.slabs, other.slabs);
      assert.equal(one.slabs?.startsWith("/dev/shm/") ?? false, hasMemory);
    } finally {
      one.remove();
      other.remove();
    }
  });

  it("are cleared of the socket a killed replica has left, and later of slabs nobody has opened", () => {
    const clock = new FakeClock();
    const folders = new AppFolders(clock, silentLogger);
    const life = "0123456789abcdef0123456789abcdef";
    try {
      const [address, other] = [folders.nextAddress(), folders.nextAddress()];
      for (const path of [address, other]) writeFileSync(path, "");
      folders.clearAfter({ addresses: [address], pid: 0x1234, life });
      assert.deepEqual([address, other].map(existsSync), [false, true]);
      assert.equal(clock.pendingTimers, 0, "no slab, nothing to wait for");
      if (folders.slabs === undefined) return;
      const slabs = ["00001234", "00012340"].map((pid) => join(folders.slabs as string, `${pid}0123456789abcdef`));
      for (const slab of slabs) writeFileSync(slab, "");
      folders.clearAfter({ addresses: [address], pid: undefined, life: "f".repeat(32) });
      folders.clearAfter({ addresses: [address], pid: 0x1234, life });
      clock.advance(4_999);
      assert.deepEqual(slabs.map(existsSync), [true, true], "a reader may be about to open it");
      clock.advance(1);
      assert.deepEqual(slabs.map(existsSync), [false, true], "of the process that has ended, and of no other");
      folders.clearAfter({ addresses: [address], pid: 0x12340, life });
    } finally {
      folders.remove();
      assert.equal(clock.pendingTimers, 0);
    }
  });

  it("are removed with whatever is in them, as often as asked", () => {
    const folders = new AppFolders(new FakeClock(), silentLogger);
    const sockets = dirname(folders.nextAddress());
    const all = [sockets, ...(folders.slabs === undefined ? [] : [folders.slabs])];
    for (const folder of all) writeFileSync(join(folder, "left-behind"), "");
    folders.remove();
    folders.remove();
    assert.deepEqual(all.filter(existsSync), []);
  });
});
