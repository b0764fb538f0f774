import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { depends } from "../define/depends.js";
import { Service } from "../define/service.js";
import { planApp } from "./plan-app.js";
import { findInspectOrder, liftStartLimits } from "./remote-runtimes.js";

class Model extends Service({ replicas: 2 }) {}
class Tokens extends Service({ placement: "inline" }) {}
class Entry extends Service() {
  model = depends(Model);
  tokens = depends(Tokens);
}

const plan = (inspect: string) => planApp(Entry, { flags: {}, env: { EKIBEN_INSPECT: inspect } });
const problemsOf = (inspect: string) => plan(inspect).notices.filter((notice) => notice.endsWith("(inspect)"));

describe("replicas to debug", () => {
  it("are none of the app's: the notice says which there are", () => {
    assert.deepEqual(problemsOf("Model#1,Entry"), []);
    assert.deepEqual(problemsOf("Modle"), [
      "Modle#0 can't be debugged: the app has no service Modle, only Model, Tokens, Entry (inspect)",
    ]);
    assert.deepEqual(problemsOf("Model#2"), ["Model#2 can't be debugged: Model has at most 2 replicas (inspect)"]);
  });

  it("are inline: the notice names the replica to debug instead", () => {
    assert.deepEqual(problemsOf("Tokens"), [
      "Tokens#0 can't be debugged by itself: Tokens is inline in its callers; name Entry#0 (inspect)",
    ]);
  });

  it("are found by what lives in a thread or process, waiting ones first", () => {
    const sources = { flags: {}, env: { EKIBEN_INSPECT: "Model#1=9230,Entry", EKIBEN_INSPECT_WAIT: "Entry" } };
    const { settings } = planApp(Entry, sources);
    assert.deepEqual(findInspectOrder(settings, ["Model"], 1), { port: 9230, waits: false });
    assert.deepEqual(findInspectOrder(settings, ["Model", "Entry"], 0), { port: 0, waits: true });
    assert.equal(findInspectOrder(settings, ["Model"], 0), undefined);
  });

  it("may take a day to start", () => {
    const { settings } = plan("Model");
    assert.equal(liftStartLimits(settings).services.get("Entry")?.startTimeoutMs, 24 * 3_600_000);
  });
});
