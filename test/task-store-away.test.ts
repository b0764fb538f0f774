import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { z } from "zod";
import { currentCall, Service, task } from "../src/index.js";
import { compose } from "../src/testing.js";
import { failureOf, LogBook } from "./conformance/suite.js";
import { findPostgres, PostgresServer } from "./tasks/postgres-server.js";

const programs = findPostgres();

/** Task that runs until it is released. */
function createClerk() {
  let begin!: () => void;
  let release!: () => void;
  const begun = new Promise<void>((resolve) => (begin = resolve));
  const released = new Promise<void>((resolve) => (release = resolve));
  const attempts: string[] = [];
  class Clerk extends Service() {
    hold = task({ input: z.string(), output: z.string(), attempts: 1 }, async (text) => {
      attempts.push(text);
      begin();
      const { signal } = currentCall();
      await Promise.race([released, new Promise((resolve) => signal.addEventListener("abort", resolve))]);
      signal.throwIfAborted();
      return text.toUpperCase();
    });
  }
  return { Clerk, begun, release, attempts };
}

describe("a database that is away", { skip: programs === undefined ? "PostgreSQL is not installed" : false }, () => {
  let server: PostgresServer;
  before(async () => {
    server = await PostgresServer.start(programs as string);
  });
  after(() => server.close());

  it("is waited for by an app that starts, with a line in the log", async () => {
    const { Clerk, release } = createClerk();
    release();
    const store = server.createSchema();
    await server.stop();
    const log = new LogBook();
    const starting = compose(Clerk, { options: { tasks: { store } }, log: log.logger });
    const { fields } = await log.take("the task store can't be used yet; waiting for it");
    assert.match(String((fields["err"] as Error).message), /PostgreSQL at .*: it can't be reached/);
    await server.start();
    await using app = await starting;
    assert.equal(await app.entry.hold("started"), "STARTED");
  });

  it("for longer than a lease fails no task that runs and begins none twice; submits fail meanwhile, and may be sent again", async () => {
    const { Clerk, begun, release, attempts } = createClerk();
    // One attempt and a short lease: if another replica took it over, it would fail as lost.
    const options = { tasks: { store: server.createSchema(), leaseMs: 1500 } };
    const log = new LogBook();
    await using app = await compose(Clerk, { options, log: log.logger });
    const { id } = await app.entry.hold.submit("running");
    await begun;
    await server.stop("SIGQUIT");
    const error = await failureOf(app.entry.hold.submit("meanwhile", { key: "once" }));
    assert.deepEqual([error.id, error.httpStatus, error.retryable], ["task_store_unavailable", 503, true]);
    await log.take(/^the task store \(postgres\) can't be used: /);
    // Each renewal that fails says so: by the third, the lease has long run out.
    for (let i = 0; i < 12; i++) await log.take("the lease of a task could not be renewed; trying again");
    await server.start();
    await log.take("the task store can be used again");
    const waiting = await app.entry.hold.submit("meanwhile", { key: "once" });
    assert.equal((await app.entry.hold.status(id)).attempt, 1);
    release();
    assert.equal(await app.entry.hold.result(id), "RUNNING");
    assert.equal(await app.entry.hold.result(waiting.id), "MEANWHILE");
    assert.deepEqual(attempts, ["running", "meanwhile"]);
  });
});
