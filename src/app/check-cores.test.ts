import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type CoreWish, describeCores } from "./assign-devices.js";

const wish = (service: string, replicas: number, cpu?: number): CoreWish => ({ service, replicas, cpu });

describe("describeCores", () => {
  it("says what services ask for in all, the most first, and what there is", () => {
    assert.equal(
      describeCores([wish("Ocr", 1, 2), wish("Front", 1), wish("Model", 2, 2)], 2),
      "services ask for 6 cores in all (Model 2 x 2, Ocr 1 x 2); this machine has 2: " +
        "replicas that compute at the same time slow one another down",
    );
  });

  it("says so for one service too, and for fractions", () => {
    assert.match(describeCores([wish("Model", 1, 4)], 2) ?? "", /ask for 4 cores in all \(Model 1 x 4\)/);
    assert.match(describeCores([wish("Small", 7, 0.3)], 2) ?? "", /ask for 2\.1 cores in all \(Small 7 x 0\.3\)/);
  });

  it("is silent while all fit", () => {
    assert.equal(describeCores([wish("Model", 2, 1)], 2), undefined);
    assert.equal(describeCores([wish("Small", 10, 0.1), wish("Tiny", 10, 0.1)], 2), undefined);
    assert.equal(describeCores([], 1), undefined);
  });

  it("does not count services that declare no cores, however many there are", () => {
    const services = ["A", "B", "C", "D", "E"].map((name) => wish(name, 2));
    assert.equal(describeCores(services, 2), undefined);
    assert.equal(describeCores([...services, wish("Model", 1, 2)], 2), undefined);
  });
});
