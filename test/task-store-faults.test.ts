import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { promisify } from "node:util";
import { openSqliteStore } from "../src/tasks/sqlite/open-sqlite.js";
import { loadSqlite } from "../src/tasks/sqlite/sqlite-driver.js";
import type { TaskStore } from "../src/tasks/task-store.js";
import { LogBook } from "./conformance/suite.js";
import { FakeClock } from "./fake-clock.js";
import { SmallDisk } from "./tasks/small-disk.js";
import { aClaim, aTask, begin, completed, hasNodeSqlite, openPlace, submitAll } from "./tasks/test-stores.js";

const root = mkdtempSync(join(tmpdir(), "ekiben-store-faults-"));
const smallDisk = new SmallDisk(join(root, "small"), 3 * 1024 ** 2);
after(() => {
  smallDisk.unmount();
  rmSync(root, { recursive: true, force: true });
});
let folders = 0;
const newFolder = () => join(root, String(++folders));
const openFolder = (folder: string, clock?: FakeClock, log = new LogBook()) =>
  openPlace({ engine: "sqlite", folder }, { log: log.logger, ...(clock && { clock }) });
const large = new Uint8Array(100_000).fill(1);

describe("a store on SQLite that can't be used", () => {
  it("says so of a file that is no database", async () => {
    const folder = newFolder();
    mkdirSync(folder);
    writeFileSync(join(folder, "tasks.db"), "a diary, not a database".repeat(100));
    await assert.rejects(openFolder(folder), {
      id: "task_store_unavailable",
      httpStatus: 503,
      message: "the task store (sqlite) can't be used: its file is no SQLite database",
    });
  });

  it("says so of a file that was damaged, and changes nothing in it", async () => {
    const folder = newFolder();
    const store = await openFolder(folder);
    await submitAll(store, Array(50).fill({}));
    await store.close();
    truncateSync(join(folder, "tasks.db"), 8192);
    const before = readFileSync(join(folder, "tasks.db"));
    // Some versions of SQLite find it when they open the file, others when they write.
    const use = async () => {
      const damaged = await openFolder(folder);
      await submitAll(damaged, [{}]).finally(() => damaged.close());
    };
    await assert.rejects(use(), { id: "task_store_unavailable", message: /its file is damaged/ });
    assert.deepEqual(readFileSync(join(folder, "tasks.db")), before);
  });

  it("says so of a folder that can't be", async () => {
    const file = newFolder();
    writeFileSync(file, "");
    await assert.rejects(openFolder(join(file, "inside")), {
      id: "task_store_unavailable",
      message: /a part of its path is no folder/,
    });
  });

  it("refuses a file that a newer ekiben has written, and leaves it as it is", async () => {
    const folder = newFolder();
    await (await openFolder(folder)).close();
    const raw = (await loadSqlite())(join(folder, "tasks.db"));
    raw.exec("PRAGMA user_version = 999");
    await assert.rejects(openFolder(folder), {
      id: "task_store_newer",
      details: { engine: "sqlite", version: 999, known: 4 },
    });
    assert.equal((raw.prepare("PRAGMA user_version").get() as { user_version: number }).user_version, 999);
    raw.close();
  });
});

describe("values of SQLite's tasks in files", () => {
  const filesIn = (folder: string) => readdirSync(join(folder, "values"));

  it("go with their task, and where nothing came to name them (LS3)", async () => {
    const folder = newFolder();
    const store = await openFolder(folder);
    const { lease } = await begin(store, { input: large });
    assert.equal(filesIn(folder).length, 1);
    await store.submit(aTask({ id: lease.id, input: large }));
    await store.finish({ ...lease, token: "not held" }, { status: "completed", output: large });
    assert.equal(filesIn(folder).length, 1);
    await store.finish(lease, { status: "completed", output: large });
    assert.equal(filesIn(folder).length, 2);
    assert.equal(await store.purge(0), 1);
    assert.deepEqual(filesIn(folder), []);
    await store.close();
  });

  it("that a process left behind are swept once they are old, and those of tasks are not", async () => {
    const folder = newFolder();
    const clock = new FakeClock(Date.now());
    const store = await openFolder(folder, clock);
    await submitAll(store, [{ input: large }]);
    const [kept = ""] = filesIn(folder);
    writeFileSync(join(folder, "values", "left-behind"), "x");
    await store.purge(1000);
    assert.equal(filesIn(folder).length, 2);
    clock.advance(2 * 3_600_000);
    await store.purge(1000);
    assert.deepEqual(filesIn(folder), [kept]);
    await store.close();
  });

  it("that are missing cost one task, which fails when its attempts are used up, and the log says why", async () => {
    const folder = newFolder();
    const [clock, log] = [new FakeClock(Date.now()), new LogBook()];
    const store = await openFolder(folder, clock, log);
    const [broken = "", sound = ""] = await submitAll(store, [{ input: large }, {}]);
    rmSync(join(folder, "values", filesIn(folder)[0] as string));
    const claim = aClaim({ limit: 2, maxAttempts: 1 });
    assert.deepEqual(
      (await store.claim(claim)).map(({ record }) => record.id),
      [sound],
    );
    const { fields } = await log.take("the input of a task can't be read; the task waits until its lease expires");
    assert.equal(fields["task"], broken);
    clock.advance(30_000);
    await store.claim(claim);
    assert.equal((await store.get(broken))?.status, "failed");
    await store.close();
  });

  it("that are missing make a result unreadable, not absent", async () => {
    const folder = newFolder();
    const store = await openFolder(folder);
    const { lease } = await begin(store);
    await store.finish(lease, { status: "completed", output: large });
    rmSync(join(folder, "values", filesIn(folder)[0] as string));
    await assert.rejects(store.result(lease.id), { id: "task_store_unavailable", message: /a file of it is gone/ });
    await store.close();
  });
});

describe("a store on SQLite whose disk is full", { skip: smallDisk.problem ?? false }, () => {
  it("refuses what has no room, keeps what it has, and goes on when there is room again", async () => {
    const folder = join(smallDisk.folder, "store");
    const store = await openSqliteStore(folder, { log: new LogBook().logger });
    const { lease } = await begin(store);
    const kept = await submitAll(store, [{}, { input: large }]);
    smallDisk.fill();
    // Room for the file of an input, but not for its row.
    smallDisk.free(large.length + 8192);
    const fullFailure = { id: "task_store_full", code: "resource_exhausted", httpStatus: 507 };
    await assert.rejects(store.submit(aTask({ input: large })), fullFailure);
    assert.equal(readdirSync(join(folder, "values")).length, 1);
    smallDisk.fill();
    // No room for a file, for a row, or for a result.
    await assert.rejects(store.submit(aTask({ input: large })), fullFailure);
    const refused = await submitUntilRefused(store);
    assert.equal(refused.failure.id, "task_store_full");
    await assert.rejects(store.finish(lease, { status: "completed", output: large }), fullFailure);
    assert.equal((await store.get(lease.id))?.status, "in_progress");
    assert.equal(readdirSync(join(folder, "values")).length, 1);

    smallDisk.free();
    assert.equal(await store.finish(lease, completed()), true);
    const all = [...kept, ...refused.answered];
    assert.deepEqual((await store.list({ limit: 1000 })).map(({ id }) => id).sort(), [lease.id, ...all].sort());
    assert.deepEqual(
      (await store.claim(aClaim({ limit: 1000 }))).map(({ record }) => record.id),
      all,
    );
    await store.close();
    const again = await openFolder(folder);
    assert.equal(Buffer.from((await again.result(lease.id))?.output ?? []).toString(), "an output");
    await again.close();
  });
});

/** Tasks of half a page each, until one does not fit. */
async function submitUntilRefused(store: TaskStore): Promise<{ answered: string[]; failure: { id: string } }> {
  const answered: string[] = [];
  for (;;) {
    try {
      answered.push((await store.submit(aTask({ input: new Uint8Array(2000) }))).id);
    } catch (failure) {
      return { answered, failure: failure as { id: string } };
    }
  }
}

describe("a store whose driver is not installed", () => {
  const missing = {
    sqlite: "needs Node 22.13 or newer, or the package libsql, which can't be loaded",
    postgres: "needs the package pg, which can't be loaded",
  };
  const open = async (store: string): Promise<Record<string, string>> => {
    const data = newFolder();
    const program = `
      import { silentLogger } from "./src/base/logger.ts";
      import { openTaskStore } from "./src/tasks/open-store.ts";
      const settings = { data: ${JSON.stringify(data)}, store: "${store}", namespace: "", maxConnections: 1, retentionMs: 1 };
      const told = await openTaskStore({ settings, appFolder: ".", log: silentLogger }).then(
        async (store) => ({ tasks: String((await store.list({ limit: 1 })).length), closed: String(await store.close()) }),
        ({ id, message, fix }) => ({ id, message, fix }),
      );
      console.log(JSON.stringify(told));
      process.emitWarning("another matter");
    `;
    const hooks = ["--import", "tsx", "--import", "./test/tasks/without-drivers.mjs"];
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      [...hooks, "--input-type=module", "-e", program],
      { cwd: join(import.meta.dirname, "..") },
    );
    return { ...(JSON.parse(stdout) as Record<string, string>), stderr };
  };

  it("on PostgreSQL says to install pg", async () => {
    const { id, message, fix } = await open("postgres://localhost/tasks");
    assert.equal(id, "task_store_driver_missing");
    assert.equal(message, `the task store (postgres) ${missing.postgres}`);
    assert.ok(fix?.includes("npm install pg"));
  });

  it("on SQLite says to install libsql or to run a newer Node", { skip: hasNodeSqlite }, async () => {
    const { id, message, fix } = await open("sqlite");
    assert.equal(id, "task_store_driver_missing");
    assert.equal(message, `the task store (sqlite) ${missing.sqlite}`);
    assert.ok(fix?.includes("npm install libsql"));
  });

  it("on SQLite opens with Node's own, without Node's warning of it and with all others", {
    skip: !hasNodeSqlite,
  }, async () => {
    const { stderr = "", ...told } = await open("sqlite");
    assert.deepEqual(told, { tasks: "0", closed: "undefined" });
    assert.doesNotMatch(stderr, /SQLite|experimental/i);
    assert.match(stderr, /another matter/);
  });
});
