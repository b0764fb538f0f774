import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import type { SqliteDriver } from "../src/tasks/sqlite/sqlite-driver.js";
import { StoreProcess } from "./tasks/start-process.js";
import { aClaim, begin, completed, hasNodeSqlite, openPlace, sqliteDrivers, submitAll } from "./tasks/test-stores.js";

const root = mkdtempSync(join(tmpdir(), "ekiben-store-locks-"));
after(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
const newFolder = () => join(root, String(++folders));

for (const driver of sqliteDrivers) {
  describe(`the files of a store on SQLite by ${driver}`, () => {
    // The last process to close a database removes its log. A process gives up its locks on a file, and so is not
    // counted, when it closes any descriptor of that file: so none but SQLite may open the database.
    it("stay as they are when a process comes and goes, also after a second store was opened in this one", async () => {
      const folder = newFolder();
      const place = { engine: "sqlite", folder, driver } as const;
      const log = () => statSync(join(folder, "tasks.db-wal")).ino;
      const store = await openPlace(place);
      await submitAll(store, [{}, {}]);
      const before = log();
      const second = await openPlace(place);
      const passing = new StoreProcess(place, { kind: "run", claimers: 1 });
      assert.equal(await passing.hear(), "ready");
      passing.child.send("go");
      assert.equal((await passing.hear<string[]>()).length, 2);
      await passing.ended();
      assert.equal(log(), before);
      const [id] = await submitAll(store, [{}]);
      assert.equal((await second.list({ limit: 1 }))[0]?.id, id);
      await Promise.all([store.close(), second.close()]);
    });
  });
}

describe("a store on SQLite that two drivers use", { skip: !hasNodeSqlite && "Node has no driver of its own" }, () => {
  const large = new Uint8Array(100_000).fill(7);

  it("has what the other one wrote: tasks, values, and files beside the database", async () => {
    for (const [first, second] of [sqliteDrivers, [...sqliteDrivers].reverse()]) {
      const place = { engine: "sqlite", folder: newFolder() } as const;
      const writing = await openPlace({ ...place, driver: first as SqliteDriver });
      const { lease } = await begin(writing, { input: large, key: { text: "order 7", fingerprint: "same" } });
      await writing.finish(lease, completed("an output"));
      const [waiting = ""] = await submitAll(writing, [{ input: large }]);
      const before = await writing.list({ limit: 10 });
      await writing.close();
      const reading = await openPlace({ ...place, driver: second as SqliteDriver });
      assert.deepEqual(await reading.list({ limit: 10 }), before);
      assert.equal(Buffer.from((await reading.result(lease.id))?.output ?? []).toString(), "an output");
      const [claimed] = await reading.claim(aClaim());
      assert.equal(claimed?.lease.id, waiting);
      assert.ok(Buffer.from(claimed?.input ?? []).equals(large));
      await reading.close();
    }
  });

  it("runs each task once, in processes of both at the same time", async () => {
    const folder = newFolder();
    const store = await openPlace({ engine: "sqlite", folder });
    const ids = await submitAll(
      store,
      Array.from({ length: 200 }, () => ({})),
    );
    const processes = sqliteDrivers.map(
      (driver) => new StoreProcess({ engine: "sqlite", folder, driver }, { kind: "run", claimers: 2 }),
    );
    for (const one of processes) assert.equal(await one.hear(), "ready");
    for (const { child } of processes) child.send("go");
    const done = (await Promise.all(processes.map((one) => one.hear<string[]>()))).flat();
    assert.deepEqual(done.sort(), [...ids].sort());
    for (const one of processes) await one.ended();
    const records = await store.list({ limit: 1000 });
    assert.ok(records.every(({ status, attempt }) => status === "completed" && attempt === 1));
    await store.close();
  });
});
