import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { openCall } from "../../../test/transport/open-call.js";
import { silentLogger } from "../../base/logger.js";
import { runInScope } from "../../call/invoke.js";
import { createTaskId } from "../../call/task-state.js";
import { CallStats } from "../../observe/call-stats.js";
import { openSqliteStore } from "../../tasks/sqlite/open-sqlite.js";
import { packValue } from "../../transport/stored-value.js";
import { TaskApis, TaskWaits } from "./task-apis.js";

it("a caller that waits for a task is woken by an end that comes right after its read (RW1)", async () => {
  const folder = mkdtempSync(join(tmpdir(), "ekiben-task-apis-"));
  const store = await openSqliteStore(folder, { log: silentLogger });
  const place = { namespace: "app", service: "Clerk", api: "run" };
  const id = createTaskId();
  await store.submit({ ...place, id, input: await packValue("a", "input"), context: "", priority: 0 });
  const claim = { limit: 1, owner: "x/one", leaseMs: 60_000, maxAttempts: 1, lostFailure: "lost" };
  const [claimed] = await store.claim({ ...place, ...claim });
  const output = await packValue("A", "output");
  const waits = new TaskWaits();
  const endWatch = store.watch((news) => waits.tell(news.id));
  const read = store.get.bind(store);
  const statuses: unknown[] = [];
  store.get = async (task) => {
    const record = await read(task);
    statuses.push(record?.status);
    if (claimed !== undefined) await store.finish(claimed.lease, { status: "completed", output });
    return record;
  };
  const apis = new TaskApis({
    ...place,
    name: place.api,
    store,
    waits,
    stats: new CallStats().task(place.service, place.api),
    isOwn: () => true,
    keepHeaders: [],
    keyScope: [],
    checkInput: (input) => input,
    contract: "",
    isOver: () => false,
  });
  const { scope } = openCall("run:result");
  assert.equal(await runInScope(scope, (query) => apis.result(query), { id, waits: true }), "A");
  assert.deepEqual([statuses, waits.size], [["in_progress", "completed"], 0]);
  endWatch();
  await store.close();
  rmSync(folder, { recursive: true });
});
