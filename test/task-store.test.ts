import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { findPostgres, PostgresServer } from "./tasks/postgres-server.js";
import { testStore } from "./tasks/store-conformance.js";
import { sqliteDrivers } from "./tasks/test-stores.js";

for (const driver of sqliteDrivers) {
  describe(`the task store on SQLite by ${driver}`, () => {
    const folder = mkdtempSync(join(tmpdir(), "ekiben-tasks-"));
    let places = 0;
    after(() => rmSync(folder, { recursive: true, force: true }));

    testStore({
      createPlace: () => ({ engine: "sqlite", folder: join(folder, String(++places)), driver }),
    });
  });
}

const programs = findPostgres();
if (programs === undefined) {
  it("the task store on PostgreSQL", { skip: "PostgreSQL is not installed (Debian: postgresql)" });
} else {
  describe("the task store on PostgreSQL", () => {
    let server: PostgresServer;
    before(async () => {
      server = await PostgresServer.start(programs);
    });
    after(() => server.close());

    testStore({ createPlace: () => ({ engine: "postgres", url: server.createSchema() }) });
  });
}
