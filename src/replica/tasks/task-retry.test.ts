import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ServingError } from "../../failure/serving-error.js";
import { decideRetry, type FailedAttempt } from "./task-attempt.js";

const error = (code: ServingError["code"], details = {}) => new ServingError({ code, message: "x", details });
const failed = (own: Partial<FailedAttempt> = {}): FailedAttempt => ({
  error: error("internal"),
  attempt: 1,
  attempts: 3,
  isIdempotent: true,
  backoffMs: 100,
  ...own,
});

describe("a task that failed", () => {
  it("is begun again while attempts are left, after a wait that doubles", () => {
    const waits = [1, 2, 3, 4].map((attempt) => decideRetry(failed({ attempt, attempts: 4 }), 0));
    assert.deepEqual(waits, [100, 200, 400, undefined]);
  });

  it("is not when it may not run twice, or when its input is to blame", () => {
    assert.equal(decideRetry(failed({ isIdempotent: false }), 0), undefined);
    for (const code of ["invalid_argument", "not_found", "unimplemented", "out_of_range"] as const) {
      assert.equal(decideRetry(failed({ error: error(code) }), 0), undefined, code);
    }
  });

  it("waits no more than five minutes and a quarter, nor less than the failure asks for", () => {
    const late = failed({ attempt: 40, attempts: 50 });
    assert.deepEqual([decideRetry(late, 0), decideRetry(late, 1)], [300_000, 375_000]);
    const asked = (retryAfterMs: unknown) => decideRetry(failed({ error: error("unavailable", { retryAfterMs }) }), 0);
    assert.deepEqual([asked(5_000), asked(10), asked("soon"), asked(1e12)], [5_000, 100, 100, 300_000]);
  });
});
