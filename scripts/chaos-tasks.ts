// Submits tasks while replicas and the supervisor are killed.
// npm run chaos:tasks -- [tasks] [seed] [sqlite|postgres]
//
// Without an engine, runs on both. The same seed kills at the same moments again, as far as the machine allows.
import { runCrashes } from "../test/task-crash/run-crashes.js";
import { findPostgres, PostgresServer } from "../test/tasks/postgres-server.js";

const tasks = Number(process.argv[2] ?? 1000);
const seed = Number(process.argv[3] ?? Math.floor(Math.random() * 2 ** 31));
const engine = process.argv[4];
/** Number of kills: some of them come while the last results are awaited. */
const kills = Math.ceil(tasks / 10);

if (engine !== "postgres") await runCrashes({ tasks, seed, kills, print: console.log });
if (engine !== "sqlite") {
  const programs = findPostgres();
  if (programs === undefined) throw new Error("PostgreSQL is not installed (Debian: postgresql)");
  const server = await PostgresServer.start(programs, { fsync: true });
  try {
    await runCrashes({ tasks, seed, url: server.createSchema(), kills, print: console.log });
  } finally {
    await server.close();
  }
}
