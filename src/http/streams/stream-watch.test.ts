import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "../../../test/fake-clock.js";
import { StreamWatch, type WatchedStream } from "./stream-watch.js";

/** A stream that records the calls of the watch. */
class Watched implements WatchedStream {
  hasMoved = false;
  hasSent = false;
  beats = 0;
  expired: number | undefined;

  beat(): void {
    this.beats++;
  }

  expire(idleMs: number): void {
    this.expired = idleMs;
  }
}

function watch(idleMs: number, heartbeatMs: number) {
  const clock = new FakeClock();
  const streams = new StreamWatch(clock, { idleMs, heartbeatMs });
  const stream = new Watched();
  streams.add(stream);
  return { clock, streams, stream };
}

describe("StreamWatch", () => {
  it("ends a stream on which nothing moves, once, a quarter late at most", () => {
    const { clock, stream } = watch(4000, 0);
    clock.advance(3999);
    assert.equal(stream.expired, undefined);
    clock.advance(1001);
    assert.equal(stream.expired, 4000);
    stream.expired = undefined;
    clock.advance(60_000);
    assert.equal(stream.expired, undefined);
  });

  it("leaves alone what moves, in either direction", () => {
    const { clock, stream } = watch(4000, 0);
    for (let i = 0; i < 20; i++) {
      clock.advance(3000);
      stream.hasMoved = true;
    }
    clock.advance(1000);
    assert.equal(stream.expired, undefined);
    clock.advance(5000);
    assert.equal(stream.expired, 4000);
  });

  it("beats while nothing was written, whatever else moves, and not while something was", () => {
    const { clock, stream } = watch(0, 2000);
    for (let i = 0; i < 5; i++) {
      clock.advance(1000);
      stream.hasMoved = true;
    }
    assert.equal(stream.beats, 2);
    for (let i = 0; i < 5; i++) {
      stream.hasSent = true;
      clock.advance(1000);
    }
    assert.equal(stream.beats, 2);
  });

  it("has no timer where it watches nothing, or is to do nothing", () => {
    const { clock, streams, stream } = watch(4000, 2000);
    assert.equal(clock.pendingTimers, 1);
    streams.remove(stream);
    assert.equal(clock.pendingTimers, 0);
    assert.equal(watch(0, 0).clock.pendingTimers, 0);
  });
});
