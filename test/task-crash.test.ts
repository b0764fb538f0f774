import { after, before, describe, it } from "node:test";
import { runCrashes } from "./task-crash/run-crashes.js";
import { findPostgres, PostgresServer } from "./tasks/postgres-server.js";

const skip = process.platform === "linux" ? false : "it finds processes in /proc, which only Linux has";

describe("tasks whose replicas and supervisor are killed", { skip }, () => {
  it("are all completed, and each recorded once, on SQLite", async (test) => {
    await runCrashes({ tasks: 100, seed: 1, kills: 8, print: (line) => test.diagnostic(line) });
  });

  const programs = findPostgres();
  if (programs === undefined) {
    it("and on PostgreSQL", { skip: "PostgreSQL is not installed (Debian: postgresql)" });
    return;
  }
  describe("on PostgreSQL", () => {
    let server: PostgresServer;
    before(async () => {
      server = await PostgresServer.start(programs);
    });
    after(() => server?.close());

    it("are all completed, and each recorded once", async (test) => {
      const url = server.createSchema();
      await runCrashes({ tasks: 100, seed: 2, url, kills: 8, print: (line) => test.diagnostic(line) });
    });
  });
});
