import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { silentLogger } from "../src/base/logger.js";
import { connectionConfig, loadPg } from "../src/tasks/postgres/pg-driver.js";
import { NewsListener } from "../src/tasks/postgres/pg-news.js";
import type { TaskNews, TaskStore } from "../src/tasks/task-store.js";
import { LogBook } from "./conformance/suite.js";
import { FakeClock } from "./fake-clock.js";
import { findPostgres, PostgresServer } from "./tasks/postgres-server.js";
import { SmallDisk } from "./tasks/small-disk.js";
import { aClaim, aTask, begin, completed, openPlace, submitAll } from "./tasks/test-stores.js";

const programs = findPostgres();
const skip = programs === undefined ? "PostgreSQL is not installed (Debian: postgresql)" : false;

describe("a store on PostgreSQL", { skip }, () => {
  let server: PostgresServer;
  before(async () => {
    server = await PostgresServer.start(programs as string);
  });
  after(() => server.close());
  const open = (url: string, log = new LogBook()) => openPlace({ engine: "postgres", url }, { log: log.logger });

  it("says that there is no server, no database, or no right, and shows no password", async () => {
    server.query("CREATE ROLE guest LOGIN");
    const socket = encodeURIComponent(server.folder);
    const cases = {
      "it can't be reached": `postgres:///postgres?host=${socket}-not-there&user=me&password=s3cret`,
      "there is no such database": `postgres:///missing?host=${socket}&user=ekiben&password=s3cret`,
      "it refuses the user or the password": `postgres:///postgres?host=${socket}&user=nobody&password=s3cret`,
      "its user may not do this": `postgres:///postgres?host=${socket}&user=guest&password=s3cret`,
    };
    for (const [problem, url] of Object.entries(cases)) {
      await assert.rejects(open(url), (error: Error & { id: string; details: unknown }) => {
        assert.equal(error.id, "task_store_unavailable");
        assert.deepEqual(error.details, { engine: "postgres", problem });
        assert.ok(!JSON.stringify([error.message, String(error.cause)]).includes("s3cret"));
        return true;
      });
    }
  });

  it("refuses a database that a newer ekiben has written", async () => {
    const url = server.createSchema();
    await (await open(url)).close();
    const schema = new URL(url).searchParams.get("options")?.split("=")[1];
    server.query(`UPDATE ${schema}.ekiben_schema SET version = 999`);
    await assert.rejects(open(url), {
      id: "task_store_newer",
      details: { engine: "postgres", version: 999, known: 4 },
    });
  });

  it("is made once when many processes open it at once", async () => {
    const url = server.createSchema();
    const stores = await Promise.all(Array.from({ length: 6 }, () => open(url)));
    await submitAll(stores[0] as TaskStore, [{}]);
    assert.equal((await stores[5]?.list({ limit: 5 }))?.length, 1);
    await Promise.all(stores.map((store) => store.close()));
  });

  it("fails while the server is gone, keeps all it has answered for, and works and hears news when it is back", async () => {
    const log = new LogBook();
    const url = server.createSchema();
    const [store, other] = [await open(url, log), await open(url)];
    let onNews: (() => void) | undefined;
    store.watch(() => onNews?.());
    const heard = () =>
      new Promise<void>((resolve) => {
        onNews = resolve;
      });
    const { lease } = await begin(store);
    const [kept] = await submitAll(store, [{ input: new Uint8Array(100_000).fill(3) }]);
    await server.stop("SIGQUIT");
    await assert.rejects(store.submit(aTask()), { id: "task_store_unavailable", retryable: true });
    await assert.rejects(store.renew(lease, 1000), { id: "task_store_unavailable" });
    await log.take("the connection for task news was lost; connecting again after a pause");
    const isBack = heard();
    await server.start();
    await isBack;
    assert.equal(await store.renew(lease, 1000), "held");
    assert.equal(await store.finish(lease, completed()), true);
    const news = heard();
    await submitAll(other, [{}]);
    await news;
    const [claimed] = await store.claim(aClaim());
    assert.equal(claimed?.record.id, kept);
    assert.ok(claimed?.input.every((byte) => byte === 3));
    await Promise.all([store.close(), other.close()]);
  });

  it("hears news again when only the connection that hears them was cut (PN4)", async () => {
    const log = new LogBook();
    const url = server.createSchema();
    const [store, other] = [await open(url, log), await open(url)];
    let onNews: (() => void) | undefined;
    const heard = () =>
      new Promise<void>((resolve) => {
        onNews = resolve;
      });
    const isListening = heard();
    store.watch(() => onNews?.());
    await isListening;
    const again = heard();
    server.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'");
    await again;
    const news = heard();
    await submitAll(other, [{}]);
    await news;
    await Promise.all([store.close(), other.close()]);
  });

  it("tells its listeners every ten seconds that everything may have changed (PN3)", async () => {
    const { Client } = await loadPg();
    const clock = new FakeClock();
    const heard: TaskNews[] = [];
    let onNews = () => {};
    const next = () =>
      new Promise<void>((resolve) => {
        onNews = resolve;
      });
    const listener = new NewsListener({
      createClient: () => new Client(connectionConfig(server.url())),
      ownId: "own",
      tell: (news) => {
        heard.push(news);
        onNews();
      },
      clock,
      log: silentLogger,
    });
    const isListening = next();
    listener.start();
    await isListening;
    for (let beats = 0; beats < 3; beats++) {
      const beat = next();
      clock.advance(10_000);
      await beat;
    }
    assert.deepEqual(heard, [{}, {}, {}, {}]);
    listener.stop();
    await listener.closed();
  });

  it("takes its times from the server, whatever the clock of a process says (PT5, PG3)", async (test) => {
    const url = server.createSchema();
    const [store, other] = [await open(url), await open(url)];
    const { lease } = await begin(store);
    const serverNow = () => Number(server.query("SELECT extract(epoch FROM clock_timestamp()) * 1000"));
    const hourMs = 3_600_000;
    test.mock.timers.enable({ apis: ["Date"], now: Date.now() + hourMs });
    assert.deepEqual(await other.claim(aClaim()), [], "the lease has not run out");
    const before = serverNow();
    const record = await other.submit(aTask());
    assert.ok(record.createdAt >= Math.floor(before) && record.createdAt <= serverNow(), `${record.createdAt}`);
    assert.equal((await other.claim(aClaim()))[0]?.record.id, record.id);
    assert.equal(await store.finish(lease, completed()), true);
    const { endedAt = 0 } = (await store.get(lease.id)) ?? {};
    assert.ok(endedAt >= Math.floor(before) && endedAt <= serverNow(), `${endedAt}`);
    await Promise.all([store.close(), other.close()]);
  });

  it("ignores what other programs send on its channel", async () => {
    const url = server.createSchema();
    const store = await open(url);
    const heard: unknown[] = [];
    let onNews = () => {};
    const isListening = new Promise<void>((resolve) => {
      onNews = resolve;
    });
    store.watch((news) => {
      heard.push(news);
      onNews();
    });
    await isListening;
    heard.length = 0;
    const all = new Promise<void>((resolve) => {
      onNews = () => heard.length === 3 && resolve();
    });
    const news = ["not json", '{"service":1}', '{"service":"A","api":"b","from":"x","__proto__":{"id":"y"}}'];
    for (const one of news) server.query(`NOTIFY ekiben_tasks, '${one}'`);
    await all;
    assert.deepEqual(heard, [{}, {}, { service: "A", api: "b" }]);
    await store.close();
  });

  it("finds the next of 100,000 waiting tasks by an index, without sorting them", async () => {
    const url = server.createSchema();
    const store = await open(url);
    const schema = new URL(url).searchParams.get("options")?.split("=")[1];
    server.query(`
      INSERT INTO ${schema}.ekiben_tasks (id, namespace, service, api, status, priority, created_at, not_before)
      SELECT md5(n::text), 'app', 'Model', 'train', 'pending', n % 7, 0, 0 FROM generate_series(1, 100000) AS n;
      INSERT INTO ${schema}.ekiben_inputs SELECT seq, '{}', '' FROM ${schema}.ekiben_tasks;
      ANALYZE ${schema}.ekiben_tasks`);
    const plan = server.query(`
      SET search_path = ${schema};
      EXPLAIN SELECT seq FROM ekiben_tasks WHERE namespace = 'app' AND service = 'Model' AND api = 'train' AND status = 'pending'
      AND wake_at IS NULL ORDER BY priority DESC, seq LIMIT 10 FOR UPDATE SKIP LOCKED`);
    assert.match(plan, /Index Scan using ekiben_tasks_ready/);
    assert.doesNotMatch(plan, /Sort|Seq Scan/);
    const claimed = await store.claim(aClaim({ limit: 10 }));
    assert.deepEqual(claimed.map(({ record }) => record.id).length, 10);
    assert.equal((await store.countWaiting({ namespace: "app", service: "Model" })).get("train"), 99_990);
    await store.close();
  });

  const root = mkdtempSync(join(tmpdir(), "ekiben-pg-small-"));
  // The server runs as a user of its own.
  chmodSync(root, 0o755);
  const smallDisk = new SmallDisk(join(root, "small"), 3 * 1024 ** 2);
  after(() => {
    smallDisk.unmount();
    rmSync(root, { recursive: true, force: true });
  });

  it("refuses what has no room on the server's disk, and keeps what it has (PG1)", {
    skip: smallDisk.problem ?? false,
  }, async () => {
    const tables = join(smallDisk.folder, "tables");
    execFileSync("install", ["--directory", "--owner=postgres", "--mode=0700", tables]);
    server.query(`CREATE TABLESPACE small LOCATION '${tables}'`);
    const schema = new URL(server.createSchema()).searchParams.get("options") ?? "";
    const url = new URL(server.url());
    url.searchParams.set("options", `${schema} -c default_tablespace=small`);
    const store = await open(url.href);
    const { lease } = await begin(store);
    const [kept] = await submitAll(store, [{}]);
    smallDisk.fill();
    const large = new Uint8Array(500_000).map((_, at) => at * 7);
    await assert.rejects(store.submit(aTask({ input: large })), { id: "task_store_full", httpStatus: 507 });
    await assert.rejects(store.finish(lease, { status: "completed", output: large }), { id: "task_store_full" });
    assert.equal((await store.get(lease.id))?.status, "in_progress");
    smallDisk.free();
    assert.equal(await store.finish(lease, { status: "completed", output: large }), true);
    assert.deepEqual(
      (await store.list({ limit: 10 })).map(({ id }) => id),
      [kept, lease.id],
    );
    await store.close();
    server.query(`DROP SCHEMA ${schema.split("=")[1]} CASCADE; `);
    server.query("DROP TABLESPACE small");
  });
});
