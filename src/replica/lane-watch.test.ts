import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "../../test/fake-clock.js";
import { type Logger, silentLogger } from "../base/logger.js";
import type { CallScope } from "../call/call-scope.js";
import { LaneWatch } from "./lane-watch.js";

describe("LaneWatch", () => {
  it("says once a minute which api is held by calls that nobody waits for, and looks only while something runs", () => {
    const clock = new FakeClock();
    const lines: string[] = [];
    const log = { warn: (_: object, message: string) => lines.push(message) } as unknown as Logger;
    const watch = new LaneWatch(clock, log);
    const lane = {
      name: "Model.hang",
      slots: 2,
      running: 2,
      queued: 0,
      overdue: [{}, {}] as CallScope[],
      deadSlots: 2,
      starvedSince: undefined as number | undefined,
      gate: { isOverloaded: false, answerMs: 10, refused: 0 },
      look: () => {},
    };
    watch.add(lane);
    watch.start();
    for (let second = 0; second < 5; second++) clock.advance(1000);
    assert.deepEqual(lines, []);
    for (let second = 0; second < 70; second++) clock.advance(1000);
    assert.equal(lines.length, 2);
    assert.match(
      lines[0] ?? "",
      /^Model\.hang still runs 2 calls that timed out or were cancelled, one for 5 s, and they keep/,
    );
    lane.overdue = [];
    lane.queued = 1;
    lane.starvedSince = clock.now();
    for (let second = 0; second < 9; second++) clock.advance(1000);
    assert.equal(lines.length, 2);
    for (let second = 0; second < 70; second++) clock.advance(1000);
    assert.equal(lines.length, 4);
    assert.match(
      lines[2] ?? "",
      /^all 2 slots of Model\.hang are held by calls that have had no input for 10 s, and 1 call waits for a slot\. /,
    );
    lane.running = 0;
    clock.advance(1000);
    assert.deepEqual([watch.isOn, clock.pendingTimers], [false, 0]);
  });

  it("tells of each api that is asked too much, with what it refused since that was last asked", () => {
    const clock = new FakeClock();
    const watch = new LaneWatch(clock, silentLogger);
    const own = {
      slots: 2,
      running: 2,
      queued: 3,
      overdue: [] as CallScope[],
      deadSlots: 0,
      starvedSince: undefined,
      look: () => {},
    };
    const calm = { isOverloaded: false, answerMs: 10, refused: 0 };
    const busy = { ...own, name: "Model.busy", gate: { ...calm, isOverloaded: true, refused: 100 } };
    const stuck = { ...own, name: "Model.stuck", gate: calm, deadSlots: 2 };
    for (const lane of [busy, stuck, { ...own, name: "Model.calm", gate: calm }]) watch.add(lane);
    clock.advance(1000);
    const held = "all of its 2 slots are held by calls that timed out or were cancelled and have not ended";
    const tell = (perSecond: number) => [
      `Model.busy: calls arrive faster than they are answered: 3 wait, one is answered every 10 ms, ${perSecond} a second are refused`,
      `Model.stuck: ${held}; 3 wait`,
    ];
    assert.deepEqual(watch.readStrains(), tell(100));
    busy.gate.refused += 50;
    clock.advance(500);
    assert.deepEqual(watch.readStrains(), tell(100));
    clock.advance(500);
    assert.deepEqual(watch.readStrains(), tell(0));
  });
});
