import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { detectDevices } from "./assign-devices.js";

const visible = (value: string) => detectDevices("auto", { CUDA_VISIBLE_DEVICES: value });

describe("detectDevices", () => {
  it("takes the devices the app names, before anything the machine says", () => {
    assert.deepEqual(detectDevices([3, 1], { CUDA_VISIBLE_DEVICES: "0" }), [3, 1]);
    assert.deepEqual(detectDevices([], { CUDA_VISIBLE_DEVICES: "0" }), []);
  });

  it("takes those of CUDA_VISIBLE_DEVICES, in its order", () => {
    assert.deepEqual(visible("0"), [0]);
    assert.deepEqual(visible("2,0, 1"), [2, 0, 1]);
  });

  it("has none where the variable hides all of them", () => {
    assert.deepEqual(visible(""), []);
    assert.deepEqual(visible("-1"), []);
    assert.deepEqual(visible("NoDevFiles"), []);
  });

  it("sees, as CUDA does, those before the first name that is none", () => {
    assert.deepEqual(visible("1,-1,0"), [1]);
    assert.deepEqual(visible("1,,0"), [1]);
  });

  it("counts what the driver lists where nobody says anything, which may be nothing", () => {
    const found = detectDevices("auto", {});
    assert.deepEqual(
      found,
      found.map((_, id) => id),
    );
  });
});
