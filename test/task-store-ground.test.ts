import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { silentLogger } from "../src/base/logger.js";
import type { TaskSettings } from "../src/options/settings.js";
import { openTaskStore } from "../src/tasks/open-store.js";
import { runCommand } from "./cli-process.js";
import { LogBook } from "./conformance/suite.js";
import { SmallDisk } from "./tasks/small-disk.js";
import { aTask, openPlace } from "./tasks/test-stores.js";

const root = mkdtempSync(join(tmpdir(), "ekiben-ground-"));
const disk = new SmallDisk(join(root, "small"), 3 * 1024 ** 2);
after(() => {
  disk.unmount();
  rmSync(root, { recursive: true, force: true });
});
let folders = 0;
const newPath = () => join(root, String(++folders));

const settingsOf = (data: string): TaskSettings => ({
  ...{
    data,
    store: "sqlite",
    namespace: "app",
    maxConnections: 1,
    keepHeaders: [],
    keyScope: [],
    retentionMs: 1000,
    schedules: true,
    leaseMs: 1000,
  },
});
const open = (data: string) => openTaskStore({ settings: settingsOf(data), appFolder: root, log: silentLogger });

/** Folders that cannot hold a store, each with its error message; `$` is the data folder. */
const grounds: Readonly<Record<string, readonly [prepare: (data: string) => void, said: RegExp]>> = {
  "a file in the folder's place": [(data) => writeFileSync(data, "x"), /\$ is no folder \(EEXIST: /],
  "a file above the folder": [
    (data) => writeFileSync(join(data, ".."), "x"),
    /is no folder \(ENOTDIR: not a directory, mkdir/,
  ],
  "a link to nowhere": [
    (data) => symlinkSync("/nowhere/at/all", data),
    /\$ is a link to \/nowhere\/at\/all, which is not there/,
  ],
  "a folder in the place of tasks.db": [
    (data) => mkdirSync(join(data, "tasks.db"), { recursive: true }),
    /\$\/tasks\.db is no file \(.*[Uu]nable to open/,
  ],
  "a link to nowhere in the place of tasks.db": [
    (data) => {
      mkdirSync(data);
      symlinkSync("/nowhere/tasks.db", join(data, "tasks.db"));
    },
    /\$\/tasks\.db is a link to \/nowhere\/tasks\.db, which is not there/,
  ],
  "garbage in tasks.db": [
    (data) => {
      mkdirSync(data);
      writeFileSync(join(data, "tasks.db"), "a diary, not a database".repeat(100));
    },
    /\$\/tasks\.db: its file is no SQLite database \(.*not a database/,
  ],
};

describe("a store that can't be opened names the place, what is wrong there, and the way out", () => {
  for (const [name, [prepare, said]] of Object.entries(grounds)) {
    it(name, async () => {
      const data = name.includes("above") ? join(newPath(), "inside") : newPath();
      prepare(data);
      const error = await open(data).then(
        () => assert.fail("it was opened"),
        (thrown) => thrown,
      );
      assert.equal(error.id, "task_store_unavailable");
      assert.match(error.message.replaceAll(data, "$"), said);
      assert.match(error.fix, /EKIBEN_DATA/);
    });
  }

  it("at the start of the app, before anybody can submit", async () => {
    const data = newPath();
    writeFileSync(data, "x");
    const cwd = join(import.meta.dirname, "fixtures/tasks");
    const env = { EKIBEN_DATA: data, TASK_LOG: join(root, "log") };
    const { status, stderr } = await runCommand(["serve", "--port", "0"], { cwd, env });
    assert.equal(status, 1);
    assert.ok(stderr.includes(`${data} is no folder (EEXIST: file already exists`), stderr);
    assert.match(stderr, /fix:.* EKIBEN_DATA \(--data\)/);
  });

  it("a PostgreSQL that does not answer, without its password", async () => {
    const store = "postgres://me:s3cret@127.0.0.1:1/tasks";
    const error = await openTaskStore({
      settings: { ...settingsOf(""), store },
      appFolder: root,
      log: silentLogger,
    }).then(
      () => assert.fail("it was opened"),
      (thrown) => thrown,
    );
    const said = "PostgreSQL at 127.0.0.1:1, database tasks: it can't be reached (connect ECONNREFUSED 127.0.0.1:1)";
    assert.equal(error.message, `the task store (postgres) can't be used: ${said}`);
    assert.match(error.fix, /EKIBEN_TASKS_STORE/);
  });
});

describe("a folder that others may write to", () => {
  for (const name of ["tasks.db", "values"]) {
    it(`is no place for a link: ${name}`, async () => {
      const [data, target] = [newPath(), newPath()];
      await (await open(target)).close();
      mkdirSync(data);
      symlinkSync(join(target, name), join(data, name));
      chmodSync(data, 0o777);
      await assert.rejects(open(data), {
        id: "task_store_unavailable",
        message: /is a link, and others may write to the folder/,
      });
      chmodSync(data, 0o755);
      await (await open(data)).close();
    });
  }
});

describe("a file system that is read-only", { skip: disk.problem ?? false }, () => {
  const cwd = join(import.meta.dirname, "fixtures/tasks");
  // Runs in a process of its own, which leaves no file of the file system open.
  const list = (data: string) =>
    runCommand(["tasks", "list"], { cwd, env: { EKIBEN_DATA: data, TASK_LOG: join(root, "log") } });

  it("is named when the store is opened, whether there was one or not", async () => {
    const data = join(disk.folder, "store");
    assert.equal((await list(data)).status, 0);
    execFileSync("mount", ["-o", "remount,ro", disk.folder]);
    try {
      for (const folder of [data, join(disk.folder, "another")]) {
        const { status, stderr } = await list(folder);
        assert.equal(status, 1);
        assert.match(stderr, /its file system is read-only \(EROFS: read-only file system/);
        assert.ok(stderr.includes(folder), stderr);
      }
    } finally {
      execFileSync("mount", ["-o", "remount,rw", disk.folder]);
    }
  });

  it("or a single file that is, is found when the store is opened and not at the first submit", async () => {
    const data = newPath();
    assert.equal((await list(data)).status, 0);
    const file = join(data, "tasks.db");
    execFileSync("mount", ["--bind", file, file]);
    execFileSync("mount", ["-o", "remount,bind,ro", file]);
    try {
      const { status, stderr } = await list(data);
      assert.deepEqual([status, /read-only/.test(stderr)], [1, true], stderr);
    } finally {
      execFileSync("umount", [file]);
    }
    assert.equal((await list(data)).status, 0);
  });
});

describe("a store that goes away while it is used", () => {
  it("is told in the log with its place and what the system said, not to callers, and that it is back", async () => {
    const folder = newPath();
    const log = new LogBook();
    const store = await openTaskStore({ settings: settingsOf(folder), appFolder: root, log: log.logger });
    rmSync(join(folder, "values"), { recursive: true });
    const input = new Uint8Array(100_000);
    await assert.rejects(store.submit(aTask({ input })), {
      id: "task_store_unavailable",
      message: "the task store (sqlite) can't be used: a file of it is gone",
    });
    const { fields } = await log.take(/^the task store \(sqlite\) can't be used: a file of it is gone; /);
    assert.equal(fields["store"], join(folder, "tasks.db"));
    assert.match(String((fields["err"] as Error).message), /^ENOENT: .*values/);
    mkdirSync(join(folder, "values"));
    await store.submit(aTask({ input }));
    await log.take("the task store can be used again");
    await store.close();
    await (await openPlace({ engine: "sqlite", folder })).close();
  });
});
