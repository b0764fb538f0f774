import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { FakeClock } from "../../test/fake-clock.js";
import { silentLogger } from "../base/logger.js";
import { LeaseGrace } from "./lease-grace.js";
import { openSqliteStore } from "./sqlite/open-sqlite.js";
import type { Lease } from "./task-store.js";

const leaseMs = 45_000;
const root = mkdtempSync(join(tmpdir(), "ekiben-grace-"));
after(() => rmSync(root, { recursive: true, force: true }));

describe("LeaseGrace", () => {
  it("spares leases for a lease's time after an outage, counted from when the store is back (PT6)", () => {
    let now = 1000;
    const grace = new LeaseGrace(() => now);
    assert.deepEqual([grace.spares(leaseMs), grace.leftMs], [false, 0]);
    grace.noteOutage();
    now += 600_000;
    assert.deepEqual([grace.spares(leaseMs), grace.leftMs], [true, leaseMs]);
    now += leaseMs - 1;
    assert.equal(grace.spares(leaseMs), true);
    now += 1;
    assert.deepEqual([grace.spares(leaseMs), grace.leftMs], [false, 0]);
  });

  it("spares them for a lease's time after the server's own start", () => {
    const grace = new LeaseGrace(() => 0);
    grace.noteAge(5000, leaseMs);
    assert.equal(grace.leftMs, leaseMs - 5000);
    grace.noteAge(leaseMs, leaseMs);
    assert.equal(grace.leftMs, leaseMs - 5000);
  });

  it("spares them when the store's clock is set forward, and says when it is set back", () => {
    let now = 0;
    const grace = new LeaseGrace(() => now);
    assert.equal(grace.noteTime(1_700_000_000_000, leaseMs), false);
    now += 10;
    assert.equal(grace.noteTime(1_700_000_000_500, leaseMs), false);
    assert.equal(grace.spares(leaseMs), false);
    assert.equal(grace.noteTime(1_700_003_600_510, leaseMs), false);
    assert.equal(grace.spares(leaseMs), true);
    now += leaseMs;
    assert.equal(grace.noteTime(1_700_000_000_000, leaseMs), true);
    assert.equal(grace.spares(leaseMs), false);
  });
});

describe("a store whose machine's clock is set", () => {
  const place = { namespace: "app", service: "Model", api: "train" };
  const request = { ...place, limit: 9, owner: "x/one", leaseMs, maxAttempts: 1, lostFailure: "lost" };
  let places = 0;

  async function createStage() {
    const clock = new FakeClock(1_700_000_000_000);
    let steady = 0;
    const folder = join(root, String(++places));
    const store = await openSqliteStore(folder, { log: silentLogger, clock, steadyNow: () => steady });
    const pass = (ms: number) => {
      clock.advance(ms);
      steady += ms;
    };
    await store.submit({ ...place, id: "1".repeat(32), input: new Uint8Array(), context: "{}", priority: 0 });
    const [claimed] = await store.claim(request);
    return { store, clock, pass, lease: claimed?.lease as Lease };
  }

  it("an hour forward: a task that runs is not taken over, nor failed as lost, as long as its lease is renewed", async () => {
    const { store, clock, pass, lease } = await createStage();
    clock.advance(3_600_000);
    assert.deepEqual(await store.claim(request), []);
    assert.ok(((await store.nextDueMs(place)) ?? 0) > 0);
    pass(15_000);
    assert.deepEqual(await store.claim(request), []);
    assert.equal(await store.renew(lease, leaseMs), "held");
    for (let i = 0; i < 5; i++) {
      pass(15_000);
      assert.deepEqual(await store.claim(request), []);
      assert.equal(await store.renew(lease, leaseMs), "held");
    }
    assert.equal((await store.get(lease.id))?.status, "in_progress");
    pass(leaseMs);
    await store.claim(request);
    assert.equal((await store.get(lease.id))?.status, "failed");
    await store.close();
  });

  it("an hour back: a task whose replica is gone is taken over after a lease's time, not an hour later", async () => {
    const { store, clock, pass, lease } = await createStage();
    clock.advance(-3_600_000);
    assert.deepEqual(await store.claim(request), []);
    pass(leaseMs - 1);
    await store.claim(request);
    assert.equal((await store.get(lease.id))?.status, "in_progress");
    pass(1);
    await store.claim(request);
    assert.equal((await store.get(lease.id))?.status, "failed");
    await store.close();
  });
});
