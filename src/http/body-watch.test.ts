import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "../testing/fake-clock.js";
import { BodyWatch, type WatchedBody } from "./body-watch.js";

class Body implements WatchedBody {
  deadline: number;
  previous: WatchedBody | undefined = undefined;
  next: WatchedBody | undefined = undefined;
  expirations = 0;

  constructor(deadline: number) {
    this.deadline = deadline;
  }

  expire(): void {
    this.expirations++;
  }
}

describe("BodyWatch", () => {
  it("expires a body once its deadline has passed, and no other", () => {
    const clock = new FakeClock(0);
    const watch = new BodyWatch(clock, 10);
    const [early, late] = [new Body(25), new Body(100)];
    watch.add(early);
    watch.add(late);
    clock.advance(20);
    assert.equal(early.expirations, 0);
    clock.advance(10);
    assert.deepEqual([early.expirations, late.expirations], [1, 0]);
    clock.advance(200);
    assert.deepEqual([early.expirations, late.expirations], [1, 1]);
    assert.equal(clock.pendingTimers, 0);
  });

  it("takes bodies out from every place", () => {
    const clock = new FakeClock(0);
    for (const removed of [0, 1, 2]) {
      const watch = new BodyWatch(clock, 10);
      const bodies = [new Body(0), new Body(0), new Body(0)];
      for (const body of bodies) watch.add(body);
      watch.remove(bodies[removed] as Body);
      clock.advance(10);
      assert.deepEqual(
        bodies.map((body) => body.expirations),
        [0, 1, 2].map((i) => (i === removed ? 0 : 1)),
      );
    }
  });

  it("follows a deadline that moves, and stops looking when nothing is left", () => {
    const clock = new FakeClock(0);
    const watch = new BodyWatch(clock, 10);
    const body = new Body(15);
    watch.add(body);
    clock.advance(10);
    body.deadline = 1000;
    clock.advance(500);
    assert.equal(body.expirations, 0);
    watch.remove(body);
    clock.advance(10);
    assert.equal(clock.pendingTimers, 0);
  });
});
