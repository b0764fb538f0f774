import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Caller } from "../placement/placement.js";
import { CallerCounts } from "./replica-registry.js";

describe("CallerCounts", () => {
  it("adds up what each caller said last, and what the own thread has in flight now", () => {
    const own = { Model: 1 };
    const counts = new CallerCounts(() => own);
    const [a, b] = [{}, {}] as [Caller, Caller];
    counts.note(a, { Model: 5, Other: 2 });
    counts.note(a, { Model: 3 });
    counts.note(b, { Model: 4 });
    assert.deepEqual([counts.of("Model"), counts.of("Other")], [8, 0]);
    own.Model = 2;
    counts.forget(b);
    assert.equal(counts.of("Model"), 5);
  });
});
