import assert from "node:assert/strict";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { describe, it } from "node:test";
import { FakeClock } from "../../test/fake-clock.js";
import { createHeldName, FileStore, isHeldBy } from "./file-store.js";
import { HeldFile } from "./held-file.js";
import { LongText } from "./long-text.js";
import { SpoolFile } from "./spool-file.js";

const [oneLife, otherLife] = ["1".repeat(32), "2".repeat(32)];

/** Two processes of an app, with their folders. */
function openStores() {
  const root = mkdtempSync(join(tmpdir(), "ekiben-test-"));
  const folders = { memory: join(root, "memory"), disk: join(root, "disk") };
  for (const folder of Object.values(folders)) mkdirSync(folder);
  const clock = new FakeClock();
  const [one, other] = [oneLife, otherLife].map((life) => new FileStore(life, () => folders, clock)) as [
    FileStore,
    FileStore,
  ];
  const close = () => {
    one.close();
    other.close();
    const left = Object.values(folders).flatMap((folder) => readdirSync(folder));
    rmSync(root, { recursive: true });
    assert.deepEqual(left, []);
  };
  return { folders, clock, one, other, [Symbol.dispose]: close };
}

/** Values that the first store gives to the second. */
function give({ one, other }: Pick<ReturnType<typeof openStores>, "one" | "other">, bytes: Uint8Array): HeldFile {
  const path = one.memory?.write(bytes) as string;
  const given = { place: "memory", name: basename(path), start: 0, byteLength: bytes.length, use: "bytes" } as const;
  const file = other.adopt(given);
  assert.ok(file instanceof HeldFile, String(file));
  return file;
}

describe("FileStore", () => {
  it("gives bytes to another, each in memory of its own (VF2, VH1)", () => {
    using stores = openStores();
    const file = give(stores, Uint8Array.of(1, 2, 3));
    file.share();
    const [first, second] = [file.take(), file.take()];
    assert.deepEqual([[...first], [...second], first.buffer === second.buffer], [[1, 2, 3], [1, 2, 3], false]);
    assert.deepEqual(
      readdirSync(stores.folders.memory).filter((name) => isHeldBy(name, otherLife)),
      [],
    );
  });

  it("returns a text from its file or from memory", () => {
    using stores = openStores();
    const file = give(stores, new LongText("駅弁").copy());
    file.share();
    file.share();
    assert.equal(file.takeText("utf16"), "駅弁");
    file.settle();
    assert.equal(file.takeText("utf16"), "駅弁");
    assert.equal(file.takeText("utf16"), "駅弁");
    assert.throws(() => file.takeText("utf16"), { id: "held_bytes_lost" });
  });

  it("reuses a file once no other name of it is left, and not before (VH2, VH3)", () => {
    using stores = openStores();
    const kept = give(stores, Uint8Array.of(1, 1));
    const passed = stores.other.newPath("memory");
    kept.linkTo(passed);
    give(stores, Uint8Array.of(2, 2)).take();
    give(stores, Uint8Array.of(3, 3)).take();
    assert.deepEqual([...kept.take()], [1, 1]);
    give(stores, Uint8Array.of(4, 4)).take();
    assert.deepEqual([...readFileSync(passed)], [1, 1], "another that it was passed to still has it");
    rmSync(passed);
    give(stores, Uint8Array.of(5, 5)).take();
    give(stores, Uint8Array.of(6, 6)).take();
    assert.equal(readdirSync(stores.folders.memory).length, 2);
  });

  it("reads the oldest unread files into memory, so that their sender gets its memory back", () => {
    using stores = openStores();
    const bytes = new Uint8Array(32 * 1024 ** 2);
    const files = [1, 2, 3, 4, 5].map((value) => give(stores, bytes.fill(value)));
    const areHeld = files.map(({ name }) => name !== undefined);
    assert.deepEqual(areHeld, [false, false, false, true, true]);
    assert.deepEqual(
      files.map((file) => file.take()[0]),
      [1, 2, 3, 4, 5],
    );
  });

  it("goes on when received files were removed: only their own readers get a failure", () => {
    using stores = openStores();
    const bytes = new Uint8Array(32 * 1024 ** 2);
    const files: HeldFile[] = [];
    for (let value = 1; value <= 9; value++) {
      files.push(give(stores, bytes.fill(value)));
      if (value % 2 === 1) rmSync(files.at(-1)?.name?.path as string);
    }
    for (const [i, file] of files.entries()) {
      if (i % 2 === 0) assert.throws(() => file.take(), { id: "held_bytes_lost" });
      else assert.equal(file.take()[0], i + 1);
    }
  });

  it("takes nothing but a regular file of the app's folder, as long as was said (VF1)", () => {
    using stores = openStores();
    const { folders, other } = stores;
    const adopt = (name: string, byteLength = 3) =>
      other.adopt({ place: "memory", name, start: 0, byteLength, use: "bytes" });
    const outside = join(folders.disk, "secret");
    writeFileSync(outside, "abc");
    const named = (make: (path: string) => void) => {
      const name = createHeldName(oneLife);
      make(join(folders.memory, name));
      return name;
    };
    assert.match(adopt("../disk/secret") as string, /its name is not valid/);
    assert.match(adopt(named((path) => symlinkSync(outside, path))) as string, /it is not a regular file/);
    assert.match(adopt(named((path) => mkdirSync(path))) as string, /it is not a regular file/);
    assert.match(adopt(named((path) => writeFileSync(path, "ab"))) as string, /it has 2 bytes, not 3/);
    const gone = adopt(createHeldName(oneLife)) as HeldFile;
    assert.throws(() => gone.take(), { id: "held_bytes_lost", message: /the 3 bytes .* ENOENT/ });
    assert.equal(readFileSync(outside, "utf8"), "abc");
    rmSync(outside);
  });

  it("removes files that no object refers to, once many of them wait for a collection (VF3)", async () => {
    using stores = openStores();
    const { one, folders } = stores;
    const own = () => {
      const { path, file } = one.create("disk");
      closeSync(file);
      return one.own(path, { start: 0, byteLength: 0, use: "bytes" });
    };
    const kept = own();
    for (let i = 0; i < 256; i++) own();
    // Few turns, so that the engine alone has no reason to collect.
    const left = () => readdirSync(folders.disk).length;
    for (let turn = 0; turn < 100 && left() > 2; turn++) await new Promise(setImmediate);
    // The newest file was still referred to during the collection.
    assert.ok(left() <= 2, `${left()} files are left`);
    assert.ok(existsSync(kept.name?.path as string));
  });

  it("says what was lost where a file was taken away", () => {
    using stores = openStores();
    const file = give(stores, Uint8Array.of(1));
    rmSync(file.name?.path as string);
    assert.throws(() => file.take(), { id: "held_bytes_lost", code: "data_loss", message: /the 1 bytes .* ENOENT/ });
  });

  it("makes a folder again that was removed", () => {
    using stores = openStores();
    rmSync(stores.folders.memory, { recursive: true });
    assert.deepEqual([...give(stores, Uint8Array.of(9)).take()], [9]);
  });
});

describe("SpoolFile", () => {
  it("holds what comes in whatever pieces, and asks a fast sender to wait", async () => {
    using stores = openStores();
    const spool = new SpoolFile(stores.one);
    let waits = 0;
    for (let i = 0; i < 100; i++) {
      if (spool.push(new Uint8Array(100_000).fill(i))) continue;
      waits++;
      await spool.drained();
    }
    const file = await spool.finish({ use: "bytes", start: 50_000 });
    const bytes = file.take();
    assert.ok(waits > 0);
    assert.equal(bytes.length, 9_950_000);
    for (let i = 0; i < bytes.length; i += 49_999) assert.equal(bytes[i], Math.floor((i + 50_000) / 100_000));
  });

  it("leaves nothing when it is given up, also while it writes", async () => {
    using stores = openStores();
    const spool = new SpoolFile(stores.one);
    spool.push(new Uint8Array(1_000_000));
    spool.abort();
    await assert.rejects(spool.finish({ use: "bytes" }));
    assert.deepEqual(readdirSync(stores.folders.disk), []);
  });

  it("can't be made where there is no folder", () => {
    const store = new FileStore(oneLife, () => ({ memory: undefined, disk: undefined }));
    assert.deepEqual([store.hasDisk, store.memory], [false, undefined]);
    assert.throws(() => new SpoolFile(store), /there is no folder/);
    assert.equal(existsSync("undefined"), false);
  });
});
