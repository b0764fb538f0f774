import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fail } from "../failure/failures.js";
import type { Graph } from "../graph/graph.js";
import { ProgressView } from "./progress-view.js";
import { createOutput } from "./terminal.js";

const graph = {
  entry: "App",
  edges: [],
  services: new Map([
    ["Model", {}],
    ["App", {}],
  ]),
} as unknown as Graph;

function createView(isTTY: boolean) {
  let text = "";
  const output = createOutput({ isTTY, write: (chunk) => (text += chunk) }, { NO_COLOR: "1" });
  const view = new ProgressView(graph, (name) => (name === "Model" ? 2 : 1), output);
  return {
    view,
    /** Text written since the last reading. */
    read: () => {
      const written = text.replaceAll(erase, "<erase>").replace(/starting [\d.]+ m?s/, "starting");
      text = "";
      return written;
    },
  };
}

/** Goes up two lines and clears what is below. */
const erase = "\u001b[2A\u001b[0J";
const model = { service: "Model", replica: "Model#0" };

describe("ProgressView", () => {
  it("writes one line for each service on a stream, when its last replica has started", () => {
    const { view, read } = createView(false);
    view.show({ kind: "starting", ...model });
    view.show({ kind: "started", ...model, ms: 5 });
    assert.equal(read(), "");
    view.show({ kind: "started", service: "Model", replica: "Model#1", ms: 1234 });
    assert.equal(read(), "✓ Model  started in 1.2 s  2 replicas\n");
    view.end();
  });

  it("redraws a list on a terminal, and lets the log through above it", () => {
    const { view, read } = createView(true);
    view.show({ kind: "starting", ...model });
    assert.equal(read(), "○ Model  starting  0/2\n· App    waiting\n");
    view.show({ kind: "started", ...model, ms: 5 });
    assert.equal(read(), "<erase>○ Model  starting  1/2\n· App    waiting\n");
    view.aside(() => undefined);
    assert.match(read(), /^<erase>○ Model/);
    view.show({ kind: "started", ...model, ms: 9 });
    assert.match(read(), /✓ Model {2}started in 9 ms {2}2 replicas\n· App {4}waiting\n$/);
    view.end();
    view.aside(() => undefined);
    assert.equal(read(), "", "the list stays as it was left");
  });

  it("shows the hook, the error and the fix when a service fails", () => {
    const { view, read } = createView(false);
    const error = fail("start_failed", { hook: "start", error: "no weights" }, { cause: new Error("no weights") });
    view.show({ kind: "failed", ...model, hook: "start", error, ms: 7 });
    assert.equal(
      read(),
      [
        "✗ Model  failed in start() after 7 ms  0/2",
        "    start() threw: no weights",
        `    fix: ${error.fix}`,
        "    docs: docs/reference/failures.md#start_failed",
        "",
      ].join("\n"),
    );
    view.end();
  });
});
