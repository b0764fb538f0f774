import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "../../test/fake-clock.js";
import { RateLimiter, rateLimit } from "./rate-limit.js";

/** Makes calls at once. @returns How many were let through. */
function takeAll(limiter: RateLimiter, clock: FakeClock, key: string, calls: number): number {
  return Array.from({ length: calls }, () => limiter.take(key, clock.now())).filter((wait) => wait === 0).length;
}

describe("a rate limit", () => {
  it("lets as many calls at once as the limit, tells when the next may come, and keeps that promise", () => {
    const clock = new FakeClock();
    const limiter = new RateLimiter({ limit: 60, windowMs: 60_000 });
    assert.equal(takeAll(limiter, clock, "ann", 100), 60);
    assert.equal(limiter.take("ann", clock.now()), 1000);
    clock.advance(999);
    assert.equal(limiter.take("ann", clock.now()), 1);
    clock.advance(1);
    assert.equal(limiter.take("ann", clock.now()), 0);
    assert.equal(limiter.take("ann", clock.now()), 1000);
  });

  it("gives the allowance back evenly, all of it within windowMs and never more", () => {
    const clock = new FakeClock();
    const limiter = new RateLimiter({ limit: 7, windowMs: 1000 });
    assert.equal(takeAll(limiter, clock, "ann", 20), 7);
    clock.advance(500);
    assert.equal(takeAll(limiter, clock, "ann", 20), 3);
    clock.advance(1000);
    assert.equal(takeAll(limiter, clock, "ann", 20), 7);
    clock.advance(1_000_000);
    assert.equal(takeAll(limiter, clock, "ann", 20), 7);
  });

  it("lets no key make more than limit and burst together in any windowMs", () => {
    for (const burst of [1, 5, 20]) {
      const clock = new FakeClock();
      const limiter = new RateLimiter({ limit: 20, windowMs: 1000, burst });
      const passed: number[] = [];
      for (let at = 0; at < 5000; at += 7) {
        if (limiter.take("ann", clock.now()) === 0) passed.push(clock.now());
        clock.advance(7);
      }
      const most = Math.max(
        ...passed.map((from) => passed.filter((time) => time >= from && time < from + 1000).length),
      );
      assert.ok(most <= 20 + burst, `${most} calls with a burst of ${burst}`);
      assert.ok(passed.length >= 90, `${passed.length} calls in 5 s`);
    }
  });

  it("counts each key by itself, and refused calls not at all", () => {
    const clock = new FakeClock();
    const limiter = new RateLimiter({ limit: 2, windowMs: 1000 });
    assert.equal(takeAll(limiter, clock, "ann", 50), 2);
    assert.equal(takeAll(limiter, clock, "bob", 50), 2);
    clock.advance(500);
    assert.equal(takeAll(limiter, clock, "ann", 50), 1);
  });

  it("keeps a bounded number of keys, whatever they are", () => {
    const clock = new FakeClock();
    const limiter = new RateLimiter({ limit: 1, windowMs: 1000, maxKeys: 3 });
    const long = "x".repeat(1_000_000);
    for (const key of ["__proto__", "constructor", long, `${long}y`]) assert.equal(limiter.take(key, clock.now()), 0);
    assert.equal(limiter.size, 3);
    assert.notEqual(limiter.take(`${long}y`, clock.now()), 0);
    assert.notEqual(limiter.take("constructor", clock.now()), 0);
    assert.equal(limiter.take("__proto__", clock.now()), 0, "the key that was not used for the longest was forgotten");
    assert.notEqual(limiter.take("constructor", clock.now()), 0, "a refused key counts as used");
  });

  it("refuses options that can't be meant", () => {
    const problemOf = (options: object) => {
      try {
        rateLimit(options as never);
      } catch (error) {
        return (error as Error).message;
      }
      return undefined;
    };
    assert.match(
      problemOf({ limit: 0, windowMs: 1000 }) ?? "",
      /^option limit is 0 \(rateLimit\(\)\); expected a whole/,
    );
    assert.match(problemOf({ limit: 5 }) ?? "", /^option windowMs is undefined/);
    assert.match(problemOf({ limit: 5, windowMs: 1000, burst: 6 }) ?? "", /burst is 6 .* from 1 to 5$/);
    assert.match(problemOf({ limit: 5, windowMs: 1000, maxKeys: Number.NaN }) ?? "", /maxKeys/);
    assert.equal(problemOf({ limit: 5, windowMs: 1000, burst: 5 }), undefined);
  });
});
