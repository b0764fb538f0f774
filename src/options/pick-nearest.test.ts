import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { options } from "./options.js";
import { pickNearest } from "./pick-nearest.js";

describe("pickNearest", () => {
  const cases: readonly (readonly [name: string, nearest: string | undefined])[] = [
    ["timeout", "timeoutMs"],
    ["replica", "replicas"],
    ["rpelicas", "replicas"],
    ["maxconcurrent", "maxConcurrent"],
    ["prot", "port"],
    ["placment", "placement"],
    ["x", undefined],
    ["concurrency", undefined],
  ];
  for (const [name, nearest] of cases) {
    it(`takes ${name} for ${nearest ?? "nothing known"}`, () => {
      assert.equal(pickNearest(name, options.keys()), nearest);
    });
  }
});
