import assert from "node:assert/strict";
import { existsSync, statSync, writeFileSync } from "node:fs";
import net from "node:net";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { AppFolders } from "./app-folders.js";

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);
const hasMemory = process.platform === "linux" && existsSync("/dev/shm");

describe("AppFolders", () => {
  it("can be entered by their owner alone", () => {
    const folders = new AppFolders();
    try {
      assert.equal(modeOf(dirname(folders.nextAddress())), "700");
      if (hasMemory) assert.equal(modeOf(folders.slabs as string), "700");
    } finally {
      folders.remove();
    }
  });

  it("give each replica an address of its own, short enough for a socket's path", async () => {
    const folders = new AppFolders();
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
    const [one, other] = [new AppFolders(), new AppFolders()];
    try {
      assert.notEqual(dirname(one.nextAddress()), dirname(other.nextAddress()));
      if (hasMemory) assert.notEqual(one.slabs, other.slabs);
      assert.equal(one.slabs?.startsWith("/dev/shm/") ?? false, hasMemory);
    } finally {
      one.remove();
      other.remove();
    }
  });

  it("are removed with whatever is in them, as often as asked", () => {
    const folders = new AppFolders();
    const sockets = dirname(folders.nextAddress());
    const all = [sockets, ...(folders.slabs === undefined ? [] : [folders.slabs])];
    for (const folder of all) writeFileSync(join(folder, "left-behind"), "");
    folders.remove();
    folders.remove();
    assert.deepEqual(all.filter(existsSync), []);
  });
});
