import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { StoreProcess } from "./tasks/start-process.js";
import { openPlace, submitAll } from "./tasks/test-stores.js";

const folder = mkdtempSync(join(tmpdir(), "ekiben-store-locks-"));
after(() => rmSync(folder, { recursive: true, force: true }));

describe("the files of a store on SQLite", () => {
  // The last process to close a database removes its log. A process gives up its locks on a file, and so is not
  // counted, when it closes any descriptor of that file: so none but SQLite may open the database.
  it("stay as they are when a process comes and goes, also after a second store was opened in this one", async () => {
    const place = { engine: "sqlite", folder } as const;
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
