import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Logger } from "../base/logger.js";
import type { CallScope } from "../call/call-scope.js";
import { FakeClock } from "../testing/fake-clock.js";
import { LaneWatch } from "./lane-watch.js";

describe("LaneWatch", () => {
  it("says once a minute which api is held by calls that nobody waits for, and looks only while something runs", () => {
    const clock = new FakeClock();
    const lines: string[] = [];
    const log = { warn: (_: object, message: string) => lines.push(message) } as unknown as Logger;
    const watch = new LaneWatch(clock, log);
    const places = {
      name: "Model.hang",
      places: 2,
      running: 2,
      queued: 0,
      overdue: [{}, {}] as CallScope[],
      starvedSince: undefined as number | undefined,
      look: () => {},
    };
    watch.add(places);
    watch.start();
    for (let second = 0; second < 5; second++) clock.advance(1000);
    assert.deepEqual(lines, []);
    for (let second = 0; second < 70; second++) clock.advance(1000);
    assert.equal(lines.length, 2);
    assert.match(
      lines[0] ?? "",
      /^Model\.hang still runs 2 calls that timed out or were cancelled, one for 5 s, and they keep/,
    );
    places.overdue = [];
    places.queued = 1;
    places.starvedSince = clock.now();
    for (let second = 0; second < 9; second++) clock.advance(1000);
    assert.equal(lines.length, 2);
    for (let second = 0; second < 70; second++) clock.advance(1000);
    assert.equal(lines.length, 4);
    assert.match(
      lines[2] ?? "",
      /^all 2 places of Model\.hang are held by calls that have had no input for 10 s, and 1 call waits for a place\. /,
    );
    places.running = 0;
    clock.advance(1000);
    assert.deepEqual([watch.isOn, clock.pendingTimers], [false, 0]);
  });
});
