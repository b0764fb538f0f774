import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "../../../test/fake-clock.js";
import { type VersionEvents, type VersionNews, Versions } from "./versions.js";

const ready = { kind: "ready", url: "http://127.0.0.1:3000", apis: "" } as const;
const failure = { code: 1, how: "ended with exit code 1" };
const drained = { code: 0, how: "ended with exit code 0" };

/** Versions whose processes are told what to do, and do nothing by themselves. */
function createVersions() {
  const clock = new FakeClock();
  const told: string[] = [];
  const news: VersionNews[] = [];
  const processes: VersionEvents[] = [];
  const versions = new Versions({
    clock,
    tell: (event) => news.push(event),
    run(events) {
      const number = processes.push(events);
      return {
        drain: (isReplaced) => told.push(`drain ${number}${isReplaced ? ", replaced" : ""}`),
        drop: () => told.push(`drop ${number}`),
        kill: () => told.push(`kill ${number}`),
      };
    },
  });
  const version = (number: number) => processes[number - 1] as VersionEvents;
  return { clock, told, news, versions, version, count: () => processes.length };
}

describe("Versions", () => {
  it("drains a version when the next is ready, and not before (WV1)", () => {
    const { clock, told, news, versions, version } = createVersions();
    versions.startNext();
    clock.advance(500);
    version(1).onReady(ready);
    versions.startNext();
    clock.advance(312);
    assert.deepEqual(told, []);
    version(2).onReady(ready);
    assert.deepEqual(told, ["drain 1, replaced"]);
    clock.advance(20);
    version(1).onEnded(drained);
    assert.deepEqual(news, [
      { kind: "ready", number: 1, ms: 500, ready, replaced: undefined },
      { kind: "ready", number: 2, ms: 312, ready, replaced: 1 },
      { kind: "drained", number: 1, ms: 20 },
    ]);
  });

  it("drops a starting version for a newer one, and ignores its later events (WV2)", () => {
    const { told, news, versions, version } = createVersions();
    versions.startNext();
    version(1).onReady(ready);
    versions.startNext();
    versions.startNext();
    assert.deepEqual(told, ["drop 2"]);
    version(2).onReady(ready);
    version(2).onEnded(failure);
    version(3).onReady(ready);
    assert.deepEqual(told, ["drop 2", "drain 1, replaced"]);
    assert.deepEqual(
      news.map(({ kind, number }) => `${kind} ${number}`),
      ["ready 1", "ready 3"],
    );
  });

  it("keeps the serving version when the next one fails (WV3)", () => {
    const { told, news, versions, version } = createVersions();
    versions.startNext();
    version(1).onReady(ready);
    versions.startNext();
    version(2).onEnded(failure);
    assert.deepEqual(news.at(-1), { kind: "failed", number: 2, end: failure, serving: 1 });
    versions.startNext();
    version(3).onReady(ready);
    assert.deepEqual(told, ["drain 1, replaced"]);
  });

  it("waits when the first version fails, and restarts one that served and ended by itself (WV4)", () => {
    const { clock, news, versions, version, count } = createVersions();
    versions.startNext();
    version(1).onEnded(failure);
    assert.deepEqual(news.at(-1), { kind: "failed", number: 1, end: failure, serving: undefined });
    versions.startNext();
    version(2).onReady(ready);
    version(2).onEnded(failure);
    assert.deepEqual(news.at(-1), { kind: "ended", number: 2, end: failure, restartMs: 500 });
    clock.advance(499);
    assert.equal(count(), 2);
    clock.advance(1);
    version(3).onReady(ready);
    assert.deepEqual(news.at(-1), { kind: "ready", number: 3, ms: 0, ready, replaced: undefined });
    for (const [servedMs, restartMs] of [
      [9_999, 1_000],
      [1, 2_000],
      [1, 4_000],
      [1, 8_000],
      [1, 10_000],
      [1, 10_000],
      [10_000, 0],
      [1, 500],
    ] as const) {
      clock.advance(servedMs);
      version(count()).onEnded(failure);
      assert.deepEqual(news.at(-1), { kind: "ended", number: count(), end: failure, restartMs });
      clock.advance(Math.max(1, restartMs));
      version(count()).onReady(ready);
    }
  });

  it("starts nothing again for a version whose successor starts, after a change meanwhile, or after the stop (WV4)", async () => {
    const { clock, news, versions, version, count } = createVersions();
    versions.startNext();
    version(1).onReady(ready);
    versions.startNext();
    version(1).onEnded(failure);
    assert.deepEqual(news.at(-1), { kind: "ended", number: 1, end: failure, restartMs: undefined });
    version(2).onReady(ready);
    version(2).onEnded(failure);
    versions.startNext();
    clock.advance(60_000);
    assert.equal(count(), 3);
    version(3).onReady(ready);
    version(3).onEnded(failure);
    assert.equal(await versions.stop(), 0);
    clock.advance(60_000);
    assert.deepEqual([count(), clock.pendingTimers], [3, 0]);
  });

  it("stops when all have ended, with the exit code of the one that served", async () => {
    const { told, news, versions, version } = createVersions();
    versions.startNext();
    version(1).onReady(ready);
    versions.startNext();
    version(2).onReady(ready);
    versions.startNext();
    const before = news.length;
    const stopped = versions.stop();
    assert.deepEqual(told, ["drain 1, replaced", "drop 3", "drain 2"]);
    versions.startNext();
    for (const number of [3, 1]) version(number).onEnded({ ...drained, code: number === 3 ? 1 : 0 });
    version(2).onEnded({ code: 1, how: "ended with exit code 1" });
    assert.equal(await stopped, 1);
    assert.equal(news.length, before);
  });

  it("stops at once when nothing runs, and kills running versions on request", async () => {
    const { told, versions, version } = createVersions();
    versions.startNext();
    versions.kill();
    assert.deepEqual(told, ["kill 1"]);
    version(1).onEnded({ code: 1, how: "was ended by SIGKILL" });
    assert.equal(await versions.stop(), 0);
  });
});
