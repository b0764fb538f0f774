import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createHello, readHello } from "./channel.js";
import { frameKinds, maxFrameBytes, noTails, wireVersion } from "./frame.js";

const helloOf = (head: string) => ({ kind: frameKinds.hello, flags: 0, id: 0, head, tails: noTails });
const helloWith = (fields: object) => helloOf(JSON.stringify({ ekiben: wireVersion, replica: "Model#0", ...fields }));

describe("hello", () => {
  it("is understood by the other side", () => {
    const hello = createHello("Model#0");
    assert.deepEqual(JSON.parse(hello.head), { ekiben: wireVersion, replica: "Model#0", maxFrameBytes });
    readHello(hello, "Model#0");
  });

  it("may say more than is known", () => {
    readHello(helloWith({ features: ["later"] }), "Model#0");
  });

  it("is refused with both versions named when they differ", () => {
    for (const theirs of [0, 1, 1.5, 99]) {
      assert.throws(() => readHello(helloWith({ ekiben: theirs }), "Model#0"), {
        id: "wire_version",
        code: "failed_precondition",
        details: { theirs, ours: wireVersion },
      });
    }
  });

  it("is refused from another replica, whose address this once was", () => {
    assert.throws(() => readHello(helloWith({ replica: "Model#1" }), "Model#0"), {
      id: "malformed_frame",
      message: /it answers for Model#1, not Model#0/,
    });
  });

  it("is refused when it is none", () => {
    for (const head of ["", "{", "null", "7", '"1"', "[]", "{}", '{"ekiben":"1"}', '{"ekiben":null}']) {
      assert.throws(() => readHello(helloOf(head), "Model#0"), { id: "malformed_frame" }, head);
    }
    assert.throws(() => readHello({ ...createHello("Model#0"), kind: frameKinds.call }, "Model#0"), {
      id: "malformed_frame",
      message: /the first frame is of kind 2, not a hello/,
    });
  });
});
