import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { silentLogger } from "../base/logger.js";
import type { TaskSettings } from "../options/settings.js";
import { openTaskStore, resolveStoreFolder } from "./open-store.js";

const usual: TaskSettings = {
  data: "",
  store: "sqlite",
  namespace: "",
  maxConnections: 4,
  keepHeaders: [],
  keyScope: [],
  retentionMs: 1000,
  schedules: true,
  leaseMs: 45_000,
};

describe("resolveStoreFolder", () => {
  it("takes the folder given, else one beside the app", () => {
    assert.equal(resolveStoreFolder("", "/srv/app"), "/srv/app/.ekiben");
    assert.equal(resolveStoreFolder("/var/lib/app", "/srv/app"), "/var/lib/app");
    assert.equal(resolveStoreFolder("kept", "/srv/app"), join(process.cwd(), "kept"));
  });
});

describe("openTaskStore", () => {
  let appFolder: string;
  before(() => {
    appFolder = mkdtempSync(join(tmpdir(), "ekiben-open-"));
  });
  after(() => rmSync(appFolder, { recursive: true, force: true }));

  it("keeps tasks beside the app, where only their owner can read them", async () => {
    const store = await openTaskStore({ settings: usual, appFolder, log: silentLogger });
    const input = new Uint8Array(100_000);
    await store.submit({
      id: "0".repeat(32),
      namespace: "",
      service: "A",
      api: "b",
      input,
      context: "{}",
      priority: 0,
    });
    const data = join(appFolder, ".ekiben");
    const modes = new Map(
      [".", ...(readdirSync(data, { recursive: true }) as string[])].map((name) => {
        const { mode } = statSync(join(data, name));
        return [name.replace(/[0-9a-f]{32}/, "file"), (mode & 0o777).toString(8)];
      }),
    );
    await store.close();
    const files = { "tasks.db": "600", "tasks.db-wal": "600", "tasks.db-shm": "600" };
    assert.deepEqual(Object.fromEntries(modes), { ".": "700", ...files, values: "700", "values/file": "600" });
  });
});
