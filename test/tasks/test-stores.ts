import { randomBytes } from "node:crypto";
import { isBuiltin } from "node:module";
import { type Logger, silentLogger } from "../../src/base/logger.js";
import { openPgStore } from "../../src/tasks/postgres/open-pg.js";
import { openSqliteStore } from "../../src/tasks/sqlite/open-sqlite.js";
import type { SqliteDriver } from "../../src/tasks/sqlite/sqlite-driver.js";
import { lookIntervalMs } from "../../src/tasks/sqlite/sqlite-store.js";
import type {
  ClaimedTask,
  ClaimRequest,
  NewTask,
  TaskOutcome,
  TaskPlace,
  TaskRecord,
  TaskStore,
} from "../../src/tasks/task-store.js";
import { FakeClock } from "../fake-clock.js";

/** Location of a store, as plain data that one process can send to another. */
export type StorePlace =
  | { readonly engine: "sqlite"; readonly folder: string; readonly driver?: SqliteDriver }
  | { readonly engine: "postgres"; readonly url: string };

/** True where Node has its own SQLite, which then is the default driver. */
export const hasNodeSqlite: boolean = isBuiltin("node:sqlite");

/** Drivers of SQLite that can be tested here. */
export const sqliteDrivers: readonly SqliteDriver[] = hasNodeSqlite ? ["node:sqlite", "libsql"] : ["libsql"];

/** Engine of task stores, to be tested. */
export interface StoreEngine {
  /** Creates an empty location; it is removed when the tests end. */
  createPlace(): StorePlace;
}

export interface OpenOptions {
  /** Clock of the store. Default: the engine's own. */
  readonly clock?: FakeClock;
  readonly log?: Logger;
}

export function openPlace(place: StorePlace, { log = silentLogger, clock }: OpenOptions = {}): Promise<TaskStore> {
  const options = { log, ...(clock && { clock }) };
  return place.engine === "sqlite"
    ? openSqliteStore(place.folder, { ...options, driver: place.driver })
    : openPgStore(place.url, { ...options, maxConnections: 4, leaseMs: 0 });
}

/** Stores of one test on one location. Their clock stands still until the test moves it. */
export class TestStores implements AsyncDisposable {
  readonly clock = new FakeClock(1_700_000_000_000);
  readonly place: StorePlace;
  readonly #stores: TaskStore[] = [];

  private constructor(place: StorePlace) {
    this.place = place;
  }

  static create(engine: StoreEngine): TestStores {
    return new TestStores(engine.createPlace());
  }

  /** Opens one more store on the same location, as another process would. */
  async open(options: Omit<OpenOptions, "clock"> = {}): Promise<TaskStore> {
    const store = await openPlace(this.place, { ...options, clock: this.clock });
    this.#stores.push(store);
    return store;
  }

  /** Waits for the effects of other stores' task events; moves time on meanwhile for an engine that polls. */
  async letNewsCome(happened: Promise<void>): Promise<void> {
    let isOver = false;
    const over = happened.then(() => {
      isOver = true;
    });
    while (!isOver) {
      this.clock.advance(lookIntervalMs);
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    await over;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const store of this.#stores) await store.close();
  }
}

export const newId = (): string => randomBytes(16).toString("hex");

export const aPlace: TaskPlace = { namespace: "app", service: "Model", api: "train" };

export const aTask = (fields: Partial<NewTask> = {}): NewTask => ({
  id: newId(),
  ...aPlace,
  input: Buffer.from("an input"),
  context: "{}",
  priority: 0,
  ...fields,
});

export const aClaim = (fields: Partial<ClaimRequest> = {}): ClaimRequest => ({
  ...aPlace,
  limit: 1,
  owner: "Model#0@here:1/a1",
  leaseMs: 30_000,
  maxAttempts: 3,
  lostFailure: "lost",
  ...fields,
});

/** Submits tasks one after the other, so that they are stored in this order. */
export async function submitAll(store: TaskStore, tasks: readonly Partial<NewTask>[]): Promise<string[]> {
  const ids: string[] = [];
  for (const fields of tasks) ids.push((await store.submit(aTask(fields))).id);
  return ids;
}

/** Submits one task and claims it. */
export async function begin(store: TaskStore, fields: Partial<NewTask> = {}): Promise<ClaimedTask> {
  const { id } = await store.submit(aTask(fields));
  const [claimed] = await store.claim(aClaim());
  if (claimed?.record.id !== id) throw new Error("the task that was submitted was not the one to be claimed");
  return claimed;
}

/** Submits one task and ends it. */
export async function end(store: TaskStore, outcome: TaskOutcome, fields?: Partial<NewTask>): Promise<TaskRecord> {
  const { lease } = await begin(store, fields);
  await store.finish(lease, outcome);
  return (await store.get(lease.id)) as TaskRecord;
}

export const completed = (text = "an output"): TaskOutcome => ({ status: "completed", output: Buffer.from(text) });
