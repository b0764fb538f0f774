import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type CoreWish, formatCoreExcess } from "./assign-devices.js";

const wish = (service: string, replicas: number, cpu?: number): CoreWish => ({ service, replicas, cpu });

describe("formatCoreExcess", () => {
  it("says what services ask for in all, the most first, and what there is", () => {
    assert.equal(
      formatCoreExcess([wish("Ocr", 1, 2), wish("Front", 1), wish("Model", 2, 2)], 2),
      "services ask for 6 cores in all (Model 2 x 2, Ocr 1 x 2); this machine has 2: " +
        "replicas that compute at the same time slow one another down",
    );
  });

  it("says so for one service too, and for fractions", () => {
    assert.match(formatCoreExcess([wish("Model", 1, 4)], 2) ?? "", /ask for 4 cores in all \(Model 1 x 4\)/);
    assert.match(formatCoreExcess([wish("Small", 7, 0.3)], 2) ?? "", /ask for 2\.1 cores in all \(Small 7 x 0\.3\)/);
  });

  it("is silent while all fit", () => {
    assert.equal(formatCoreExcess([wish("Model", 2, 1)], 2), undefined);
    assert.equal(formatCoreExcess([wish("Small", 10, 0.1), wish("Tiny", 10, 0.1)], 2), undefined);
    assert.equal(formatCoreExcess([], 1), undefined);
  });

  it("does not count services that declare no cores, however many there are", () => {
    const services = ["A", "B", "C", "D", "E"].map((name) => wish(name, 2));
    assert.equal(formatCoreExcess(services, 2), undefined);
    assert.equal(formatCoreExcess([...services, wish("Model", 1, 2)], 2), undefined);
  });
});
