import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "../../test/fake-clock.js";
import { BodyWatch, type WatchedBody } from "./body-watch.js";

class Body implements WatchedBody {
  deadline = 0;
  previous: WatchedBody | undefined = undefined;
  next: WatchedBody | undefined = undefined;
  expirations = 0;

  expire(): void {
    this.expirations++;
  }
}

describe("BodyWatch", () => {
  it("gives each body its time, and at most half as much again", () => {
    const clock = new FakeClock(0);
    const watch = new BodyWatch(clock, 100);
    const [first, second] = [new Body(), new Body()];
    watch.add(first);
    clock.advance(60);
    watch.add(second);
    clock.advance(39);
    assert.equal(first.expirations, 0);
    clock.advance(51);
    assert.deepEqual([first.expirations, second.expirations], [1, 0]);
    clock.advance(60);
    assert.deepEqual([first.expirations, second.expirations], [1, 1]);
    clock.advance(100);
    assert.deepEqual([first.expirations, second.expirations], [1, 1]);
    assert.equal(clock.pendingTimers, 0);
  });

  it("takes bodies out from every place", () => {
    const clock = new FakeClock(0);
    for (const removed of [0, 1, 2]) {
      const watch = new BodyWatch(clock, 100);
      const bodies = [new Body(), new Body(), new Body()];
      for (const body of bodies) watch.add(body);
      watch.remove(bodies[removed] as Body);
      clock.advance(150);
      assert.deepEqual(
        bodies.map((body) => body.expirations),
        [0, 1, 2].map((i) => (i === removed ? 0 : 1)),
      );
    }
  });

  it("gives a body its whole time anew when it moves, and stops looking when nothing is left", () => {
    const clock = new FakeClock(0);
    const watch = new BodyWatch(clock, 100);
    const body = new Body();
    watch.add(body);
    clock.advance(90);
    body.deadline = 0;
    clock.advance(90);
    assert.equal(body.expirations, 0);
    watch.remove(body);
    clock.advance(100);
    assert.equal(body.expirations, 0);
    assert.equal(clock.pendingTimers, 0);
  });
});
