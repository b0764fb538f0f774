import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { FakeClock } from "../../test/fake-clock.js";
import { silentLogger } from "../base/logger.js";
import { openSqliteStore } from "./sqlite/open-sqlite.js";
import { StoreCensus } from "./store-census.js";
import type { HeldTasks, OpenTasks, TaskPlace, TaskStore } from "./task-store.js";

const root = mkdtempSync(join(tmpdir(), "ekiben-census-"));
after(() => rmSync(root, { recursive: true, force: true }));

const own: TaskPlace = { namespace: "app", service: "Model", api: "train" };
let places = 0;
let tasks = 0;

async function createStage() {
  const clock = new FakeClock();
  const store = await openSqliteStore(join(root, String(++places)), { log: silentLogger, clock });
  const lines: string[] = [];
  const write = (level: string) => (_: object, message?: string) => void lines.push(`${level}: ${message}`);
  const log = { ...silentLogger, info: write("info"), warn: write("warn") };
  const counted: (readonly OpenTasks[])[] = [];
  const heldOnes: (readonly HeldTasks[])[] = [];
  const create = (id: string, { pid = 1, host = "here", session = id, namespace = "app" } = {}) =>
    new StoreCensus({
      run: { id, pid, host, session, namespace },
      own: [{ ...own, namespace }],
      place: "somewhere",
      log,
      clock,
      onOrphans: (orphans) => counted.push(orphans),
      onHeld: (held) => heldOnes.push(held),
      isAlive: (other) => other !== 666,
      lostFailure: "lost",
    });
  const submit = async (place: Partial<TaskPlace> = {}) => {
    const id = String(++tasks).padStart(32, "0");
    await store.submit({ ...own, ...place, id, input: new Uint8Array(), context: "{}", priority: 0 });
    return id;
  };
  return { clock, store, lines, counted, heldOnes, create, submit };
}

const claim = (store: TaskStore, place: Partial<TaskPlace>) =>
  store.claim({ ...own, ...place, limit: 9, owner: "x/one", leaseMs: 1000, maxAttempts: 3, lostFailure: "lost" });

describe("a census of a store", () => {
  it("says nothing of the app's own tasks, and adopts those of a version without namespaces", async () => {
    const { store, lines, counted, create, submit } = await createStage();
    const [mine, older] = [await submit(), await submit({ namespace: "" })];
    await create("one").look(store);
    assert.deepEqual([lines, counted], [[], [[]]]);
    assert.deepEqual(
      (await store.list({ limit: 9, namespace: "app" })).map(({ id }) => id),
      [older, mine],
    );
    await store.close();
  });

  it("tells of tasks that nobody runs once, and again when others are found (NC1, NC2)", async () => {
    const { store, lines, counted, create, submit } = await createStage();
    await submit({ api: "gone" });
    await submit({ namespace: "", service: "Gone" });
    await submit({ namespace: "old" });
    const census = create("one");
    await census.look(store);
    const orphans = "2 tasks wait for apis that this app does not have: Gone.train (1), Model.gone (1)";
    const foreign = "1 tasks wait in namespaces that no running program has: old (1)";
    assert.ok(lines[0]?.startsWith(`warn: ${orphans}; move them: ekiben tasks move Gone.train `), lines[0]);
    assert.ok(lines[1]?.startsWith(`warn: ${foreign}; `), lines[1]);
    assert.deepEqual(
      counted[0]?.map(({ api, waiting }) => [api, waiting]),
      [
        ["train", 1],
        ["gone", 1],
      ],
    );
    await submit({ api: "gone" });
    await census.look(store);
    assert.equal(lines.length, 2);
    assert.equal(counted[1]?.find(({ api }) => api === "gone")?.waiting, 2);
    await submit({ api: "gone too" });
    await census.look(store);
    assert.equal(lines.length, 4);
    await store.close();
  });

  it("leaves tasks alone whose program runs", async () => {
    const { store, lines, create, submit } = await createStage();
    await submit({ namespace: "old" });
    await create("theirs", { namespace: "old", pid: 2 }).look(store);
    await create("one").look(store);
    assert.deepEqual(lines, []);
    await store.close();
  });

  it("ends leases of tasks that no api claims, when they have run out (NC3)", async () => {
    const { clock, store, create, submit } = await createStage();
    const id = await submit({ api: "gone" });
    await claim(store, { api: "gone" });
    const census = create("one");
    await census.look(store);
    assert.equal((await store.get(id))?.status, "in_progress");
    clock.advance(1000);
    await census.look(store);
    assert.equal((await store.get(id))?.status, "pending");
    await store.close();
  });

  it("tells of other programs that run the same tasks, once each, but for its own next version and for dead ones", async () => {
    const { store, lines, create } = await createStage();
    await create("dead", { pid: 666 }).look(store);
    await create("far", { host: "there", pid: 666 }).look(store);
    await create("older", { session: "watch" }).look(store);
    lines.length = 0;
    const census = create("one", { session: "watch" });
    await census.look(store);
    const text = "another program runs the tasks of this namespace too";
    assert.deepEqual(lines, [`info: ${text}, on another machine`]);
    await create("beside", { pid: 3 }).look(store);
    lines.length = 0;
    await census.look(store);
    assert.deepEqual(lines, [`warn: ${text}; unless both are the same app, give one its own tasks.namespace`]);
    await census.look(store);
    assert.equal(lines.length, 1);
    await store.close();
  });

  it("looks each minute until it is stopped, and takes its name from the store then", async () => {
    const { clock, store, lines, counted, create } = await createStage();
    const census = create("one");
    census.start(store);
    assert.deepEqual(lines, ["info: durable tasks are kept"]);
    while (counted.length < 1) await new Promise((resolve) => setImmediate(resolve));
    clock.advance(60_000);
    while (counted.length < 2) await new Promise((resolve) => setImmediate(resolve));
    await census.stop(store);
    assert.equal(clock.pendingTimers, 0);
    assert.deepEqual(await store.enroll({ id: "x", pid: 1, host: "here", session: "x", namespace: "app" }), []);
    await store.close();
  });
});
