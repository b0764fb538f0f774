import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "../../test/fake-clock.js";
import { createDeferred, within } from "./clock.js";

describe("within", () => {
  it("settles as the work does, and leaves no timer behind", async () => {
    const clock = new FakeClock();
    assert.equal(await within(clock, 10, Promise.resolve("done"), () => "late"), "done");
    await assert.rejects(
      within(clock, 10, Promise.reject(new Error("broken")), () => "late"),
      /broken/,
    );
    assert.equal(clock.pendingTimers, 0);
  });

  it("gives up at its limit, by a value or by a throw", async () => {
    const clock = new FakeClock();
    const never = createDeferred<string>().promise;
    const value = within(clock, 10, never, () => "late");
    const thrown = within(clock, 10, never, () => {
      throw new Error("too late");
    });
    const rejected = assert.rejects(thrown, /too late/);
    clock.advance(10);
    assert.equal(await value, "late");
    await rejected;
  });
});
