import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { findPostgres, PostgresServer } from "./tasks/postgres-server.js";
import { testRollout } from "./tasks/rollout-tests.js";

describe("versions of an app over one SQLite store", () => {
  const folder = mkdtempSync(join(tmpdir(), "ekiben-rollout-"));
  let places = 0;
  after(() => rmSync(folder, { recursive: true, force: true }));

  testRollout(() => ({ data: join(folder, String(++places)) }));
});

const programs = findPostgres();
if (programs === undefined) {
  it("versions of an app over one PostgreSQL store", { skip: "PostgreSQL is not installed (Debian: postgresql)" });
} else {
  describe("versions of an app over one PostgreSQL store", () => {
    let server: PostgresServer;
    before(async () => {
      server = await PostgresServer.start(programs);
    });
    after(() => server.close());

    testRollout(() => ({ tasks: { store: server.createSchema() } }));
  });
}
