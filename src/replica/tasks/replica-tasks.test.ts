import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { FakeClock } from "../../../test/fake-clock.js";
import { oldValues } from "../../../test/tasks/old-values.js";
import { silentLogger } from "../../base/logger.js";
import { type CallScope, createCallTime, type ReplySink } from "../../call/call-scope.js";
import { createTaskId } from "../../call/task-state.js";
import { CallStats } from "../../observe/call-stats.js";
import type { ApiSettings } from "../../options/settings.js";
import { EndedLives } from "../../tasks/lease-grace.js";
import { openSqliteStore } from "../../tasks/sqlite/open-sqlite.js";
import { packValue, unpackValue } from "../../transport/stored-value.js";
import { decodeError } from "../../transport/wire-error.js";
import { ReplicaTasks } from "./replica-tasks.js";

const root = mkdtempSync(join(tmpdir(), "ekiben-tasks-"));
const settings = {
  attempts: 5,
  idempotent: true,
  maxConcurrent: 2,
  maxQueued: 10,
  timeoutMs: 60_000,
  retryBackoffMs: 1000,
} as ApiSettings;

/** An attempt that the host was asked to serve. */
interface Served {
  readonly scope: CallScope;
  readonly input: unknown;
  readonly reply: ReplySink;
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setImmediate(resolve));
}

let stages = 0;

/** Tasks over a real store, for a host that is no replica: the test ends what it serves. */
async function createStage() {
  const clock = new FakeClock();
  const store = await openSqliteStore(join(root, String(++stages)), { log: silentLogger, clock });
  const running: Served[] = [];
  const time = createCallTime(clock);
  const host = { id: "Clerk#0", service: "Clerk", index: 0, log: silentLogger, time, stats: new CallStats() };
  const bounds = { namespace: "app", life: "one", isOwn: () => true, census: undefined, endedLives: new EndedLives() };
  const tasks = new ReplicaTasks(host, store, {
    ...bounds,
    leaseMs: 900,
    retentionMs: 1,
    schedules: true,
    keepHeaders: [],
    keyScope: [],
    isAlive: () => true,
  });
  tasks.add({
    name: "run",
    settings,
    checkInput: (input) => input,
    contract: "its contract",
    countFreeSlots: () => settings.maxConcurrent - running.length,
    serve: (scope, input, reply) => running.push({ scope, input, reply }),
  });
  tasks.begin();
  const submit = async (input: Uint8Array): Promise<string> => {
    const task = { id: createTaskId(), namespace: "app", service: "Clerk", api: "run", context: "", priority: 0 };
    return (await store.submit({ ...task, input })).id;
  };
  const answer = (output: unknown): void => {
    const { scope, reply } = running.shift() as Served;
    scope.close();
    reply.output(output);
  };
  const close = async () => {
    await tasks.stop();
    await store.close();
  };
  return { store, running, submit, answer, close };
}

describe("durable tasks on a host", () => {
  after(() => rmSync(root, { recursive: true, force: true }));

  it("begin no more attempts than it has free slots, and the next when one has ended (RN1, RT1)", async () => {
    const { store, running, submit, answer, close } = await createStage();
    const ids: string[] = [];
    for (const text of ["a", "b", "c"]) ids.push(await submit(await packValue(text, "input")));
    await until(() => running.length === 2);
    assert.equal((await store.get(ids[2] as string))?.status, "pending");
    answer("A");
    await until(() => running.length === 2);
    assert.deepEqual(
      running.map(({ input }) => input),
      ["b", "c"],
    );
    assert.equal(unpackValue((await store.result(ids[0] as string))?.output as Uint8Array), "A");
    await close();
  });

  it("run with inputs that were stored before values had a version", async () => {
    const { store, running, submit, answer, close } = await createStage();
    for (const { value, bytes } of oldValues) {
      const id = await submit(bytes);
      await until(() => running.length === 1);
      assert.deepEqual(running[0]?.input, value);
      answer(running[0]?.input);
      await until(async () => (await store.get(id))?.status === "completed");
      assert.deepEqual(unpackValue((await store.result(id))?.output as Uint8Array), value);
    }
    await close();
  });

  it("are held when their input is of a newer version, and can be retried with it (RA4)", async () => {
    const { store, running, submit, close } = await createStage();
    const input = Uint8Array.from(await packValue("later", "input"));
    input[4] = 0x82;
    const id = await submit(input);
    const isHeld = async () => (await store.get(id))?.isHeld === true;
    await until(isHeld);
    const record = await store.get(id);
    assert.deepEqual(
      [decodeError(record?.failure ?? "").id, record?.status, record?.attempt, running.length],
      ["stored_value_newer", "pending", 0, 0],
    );
    assert.equal(await store.resume({ id }), 1);
    assert.equal((await store.get(id))?.isHeld, false);
    await until(isHeld);
    await close();
  });
});
