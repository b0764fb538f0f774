import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, describe, it } from "node:test";
import { FakeClock } from "../../../test/fake-clock.js";
import { sqliteDrivers } from "../../../test/tasks/test-stores.js";
import { createDeferred } from "../../base/clock.js";
import { loadSqlite, type SqliteConnection, type SqliteDriver, type SqliteStatement } from "./sqlite-driver.js";
import { SqliteWriter } from "./sqlite-writer.js";

const folder = mkdtempSync(join(tmpdir(), "ekiben-writer-"));
after(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;

for (const driver of sqliteDrivers) describe(`SqliteWriter by ${driver}`, () => testWriter(driver));

async function testWriter(driver: SqliteDriver): Promise<void> {
  const open = await loadSqlite(driver);
  let other: SqliteConnection;
  let writer: SqliteWriter;
  let add: SqliteStatement;
  /** One for each wait for the disk: how it ends. */
  let syncs: (() => Promise<void>)[];
  let syncCount: number;
  const clock = new FakeClock();

  beforeEach(() => {
    const file = join(folder, `${++files}.db`);
    const connection = open(file);
    other = open(file);
    connection.exec("PRAGMA journal_mode = WAL; CREATE TABLE items (name TEXT UNIQUE)");
    add = connection.prepare("INSERT INTO items (name) VALUES (:name)");
    [syncs, syncCount] = [[], 0];
    const sync = async () => {
      syncCount++;
      await syncs.shift()?.();
    };
    writer = new SqliteWriter({ connection, sync, clock });
  });

  const names = () =>
    (other.prepare("SELECT name FROM items ORDER BY name").all() as { name: string }[]).map(({ name }) => name);

  it("commits what comes at once in one transaction, and answers each with its own value (LW1)", async () => {
    const answers = ["a", "b", "c"].map((name) => writer.run(() => `${name}: ${add.run({ name }).changes}`));
    assert.deepEqual(await Promise.all(answers), ["a: 1", "b: 1", "c: 1"]);
    assert.equal(syncCount, 1);
  });

  it("answers only when the disk has it, though others may see it and change more before (LW2, LS1)", async () => {
    const gate = createDeferred<void>();
    syncs = [() => gate.promise];
    const answered: string[] = [];
    const first = writer.run(() => add.run({ name: "a" })).then(() => answered.push("a"));
    await turn();
    const rest = ["c", "d"].map((name) => writer.run(() => add.run({ name })).then(() => answered.push(name)));
    await turn();
    assert.deepEqual([names(), answered], [["a"], []]);
    other.exec("INSERT INTO items (name) VALUES ('b')");
    gate.resolve();
    await Promise.all([first, ...rest]);
    assert.deepEqual([names(), answered, syncCount], [["a", "b", "c", "d"], ["a", "c", "d"], 2]);
  });

  it("fails what may not be on the disk, and does not do it again (LW2)", async () => {
    syncs = [() => Promise.reject(Object.assign(new Error("broken disk"), { code: "EIO" }))];
    const changes = ["a", "b"].map((name) => writer.run(() => add.run({ name })));
    for (const { status } of await Promise.allSettled(changes)) assert.equal(status, "rejected");
    await assert.rejects(changes[0] as Promise<unknown>, { id: "task_store_unavailable" });
    await writer.run(() => add.run({ name: "c" }));
    assert.deepEqual(names(), ["a", "b", "c"]);
  });

  it("fails a bad change alone, and as a whole (LW3)", async () => {
    const changes = [["a"], ["b", "a"], ["c"]].map((all) =>
      writer.run(() => {
        for (const name of all) add.run({ name });
      }),
    );
    const results = await Promise.allSettled(changes);
    assert.deepEqual(
      results.map(({ status }) => status),
      ["fulfilled", "rejected", "fulfilled"],
    );
    assert.deepEqual(names(), ["a", "c"]);
  });

  it("waits for a lock that another connection holds, and goes on when it is free (LS1)", async () => {
    other.exec("BEGIN IMMEDIATE");
    const added = writer.run(() => add.run({ name: "a" }));
    for (let times = 0; times < 50; times++) await passTime(20);
    assert.equal(syncCount, 0);
    other.exec("COMMIT");
    await Promise.all([added, passTime(20)]);
    assert.deepEqual(names(), ["a"]);
  });

  it("gives up waiting for a lock after 10 s, and works again after that", async () => {
    other.exec("BEGIN IMMEDIATE");
    const failed = Promise.allSettled(["a", "b"].map((name) => writer.run(() => add.run({ name }))));
    for (let times = 0; times < 11; times++) await passTime(1000);
    for (const { reason } of (await failed) as PromiseRejectedResult[]) {
      assert.equal(reason.id, "task_store_unavailable");
      assert.match(reason.message, /another process holds its lock/);
    }
    other.exec("COMMIT");
    await writer.run(() => add.run({ name: "c" }));
    assert.deepEqual(names(), ["c"]);
  });

  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

  /** Lets the writer set its timer, then moves time on. */
  async function passTime(ms: number): Promise<void> {
    await turn();
    clock.advance(ms);
  }
}
