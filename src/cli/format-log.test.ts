import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { formatLog } from "./run-serve.js";
import { createOutput } from "./terminal.js";

const output = createOutput({ write: () => undefined }, {});
const time = new Date(2025, 0, 31, 9, 5, 7).getTime();
const format = (fields: object) => formatLog(`${JSON.stringify({ time, pid: 1, hostname: "h", ...fields })}\n`, output);

describe("formatLog", () => {
  it("writes a line of pino for a person: time, level, replica, message, fields", () => {
    assert.equal(
      format({ level: 30, service: "Model", replica: "Model#0", msg: "loaded", rows: 3, kind: "a" }),
      "09:05:07 info  Model#0 loaded rows=3 kind=a\n",
    );
  });

  it("puts the stack of an error below", () => {
    assert.equal(
      format({ level: 50, msg: "failed", err: { stack: "Error: x\n    at y" } }),
      "09:05:07 error failed\nError: x\n    at y\n",
    );
  });

  it("leaves other text unchanged", () => {
    assert.equal(formatLog("hello\n", output), "hello\n");
  });
});
