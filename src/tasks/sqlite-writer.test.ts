import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, describe, it } from "node:test";
import { FakeClock } from "../testing/fake-clock.js";
import { loadSqlite, type SqliteConnection, type SqliteStatement } from "./sqlite-driver.js";
import { SqliteWriter } from "./sqlite-writer.js";

const open = await loadSqlite();
const folder = mkdtempSync(join(tmpdir(), "ekiben-writer-"));
after(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;

describe("SqliteWriter", () => {
  let connection: SqliteConnection;
  let other: SqliteConnection;
  let writer: SqliteWriter;
  let add: SqliteStatement;
  let transactions: number;
  const clock = new FakeClock();

  beforeEach(async () => {
    const file = join(folder, `${++files}.db`);
    [connection, other] = [open(file), open(file)];
    await connection.exec("PRAGMA journal_mode = WAL; CREATE TABLE items (name TEXT UNIQUE)");
    add = await connection.prepare("INSERT INTO items (name) VALUES (:name)");
    transactions = 0;
    const begin = await connection.prepare("BEGIN IMMEDIATE");
    writer = new SqliteWriter({ connection, begin, clock, onDone: () => transactions++ });
  });

  const names = async () => {
    const statement = await other.prepare("SELECT name FROM items ORDER BY name");
    return ((await statement.all()) as { name: string }[]).map(({ name }) => name);
  };

  it("commits what comes at once in one transaction, and answers each with its own value (W1)", async () => {
    const answers = ["a", "b", "c"].map((name) => writer.run(() => `${name}: ${add.run({ name }).changes}`));
    assert.deepEqual(await Promise.all(answers), ["a: 1", "b: 1", "c: 1"]);
    assert.equal(transactions, 1);
  });

  it("joins what comes during a commit in the next transaction", async () => {
    const first = writer.run(() => add.run({ name: "a" }));
    await Promise.resolve();
    await Promise.resolve();
    const rest = ["b", "c"].map((name) => writer.run(() => add.run({ name })));
    await Promise.all([first, ...rest]);
    assert.equal(transactions, 2);
  });

  it("answers once others see the change (W2)", async () => {
    await writer.run(() => add.run({ name: "a" }));
    assert.deepEqual(await names(), ["a"]);
    assert.equal(writer.isBusy, false);
  });

  it("fails a bad change alone, and as a whole (W3)", async () => {
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
    assert.deepEqual(await names(), ["a", "c"]);
  });

  it("waits for a lock that another connection holds, and goes on when it is free (W4)", async () => {
    await other.exec("BEGIN IMMEDIATE");
    const added = writer.run(() => add.run({ name: "a" }));
    for (let turn = 0; turn < 50; turn++) await passTime(20);
    assert.equal(transactions, 0);
    await other.exec("COMMIT");
    await Promise.all([added, passTime(20)]);
    assert.deepEqual(await names(), ["a"]);
  });

  it("gives up waiting for a lock after 10 s, and works again after that (W4)", async () => {
    await other.exec("BEGIN IMMEDIATE");
    const added = ["a", "b"].map((name) => writer.run(() => add.run({ name })));
    const failed = Promise.allSettled(added);
    for (let turn = 0; turn < 11; turn++) await passTime(1000);
    for (const { reason } of (await failed) as PromiseRejectedResult[]) {
      assert.equal(reason.id, "task_store_unavailable");
      assert.match(reason.message, /another process holds its lock/);
    }
    await other.exec("COMMIT");
    await writer.run(() => add.run({ name: "c" }));
    assert.deepEqual(await names(), ["c"]);
  });

  /** Lets the writer set its timer, then moves time on. */
  async function passTime(ms: number): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    clock.advance(ms);
  }
});
