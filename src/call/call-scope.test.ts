import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "../../test/fake-clock.js";
import { fail } from "../failure/failures.js";
import { ServingError } from "../failure/serving-error.js";
import { RequestContext } from "./call.js";
import { CallScope, type CallTime, createCallTime } from "./call-scope.js";

function open(time: CallTime, api: string, deadline: number, parent?: CallScope): CallScope {
  const call = {
    service: "S",
    api,
    deadline,
    caller: { service: "local", api: "" },
    request: parent?.call.request ?? new RequestContext(),
    outside: false,
    priority: "interactive" as const,
  };
  return new CallScope(call, parent, time, time.clock.now());
}

describe("CallScope", () => {
  it("cancels what is below it, deepest too, when it closes (SC2)", () => {
    const time = createCallTime(new FakeClock());
    const root = open(time, "root", Number.POSITIVE_INFINITY);
    const child = open(time, "child", Number.POSITIVE_INFINITY, root);
    const grandchild = open(time, "grandchild", Number.POSITIVE_INFINITY, child);
    const { signal } = grandchild;
    root.close();
    assert.equal(child.reason?.code, "cancelled");
    assert.equal(grandchild.reason?.code, "cancelled");
    assert.equal(signal.aborted, true);
    assert.match(String(signal.reason.message), /S\.root ended without waiting/);
    assert.equal(root.reason, undefined);
  });

  it("leaves its siblings alone and its parent's list whole when one of several ends", () => {
    const time = createCallTime(new FakeClock());
    const root = open(time, "root", Number.POSITIVE_INFINITY);
    const children = ["a", "b", "c", "d"].map((api) => open(time, api, Number.POSITIVE_INFINITY, root));
    children[1]?.close();
    children[3]?.close();
    children[0]?.cancel(fail("cancelled", { reason: "test" }));
    root.close();
    assert.deepEqual(
      children.map((child) => child.reason?.message),
      [
        "the call was cancelled: test",
        undefined,
        "the call was cancelled: S.root ended without waiting for it",
        undefined,
      ],
    );
  });

  it("names what it was waiting for when its deadline passes, and takes it along", () => {
    const clock = new FakeClock();
    const time = createCallTime(clock);
    const deadline = clock.now() + 200;
    const root = open(time, "root", deadline);
    const slow = open(time, "slow", deadline, root);
    clock.advance(210);
    assert.equal(slow.reason, root.reason);
    assert.ok(root.reason instanceof ServingError);
    assert.equal(root.reason.code, "deadline_exceeded");
    assert.match(root.reason.message, /no answer within 200 ms; still waiting for S\.slow/);
  });

  it("names who set the deadline: the outermost call that has it, where that is known", () => {
    const clock = new FakeClock();
    const bare = createCallTime(clock);
    const time = { ...bare, nameLimit: ({ api }: { api: string }, ms: number) => `${ms} ms of ${api}` };
    const outer = open(time, "outer", clock.now() + 1000);
    clock.advance(900);
    const inner = open(time, "inner", outer.expiresAt, outer);
    const late = open(time, "late", inner.expiresAt, inner);
    const unknown = open(bare, "unknown", clock.now() + 50);
    late.expire();
    assert.match(
      late.reason?.message ?? "",
      /^no answer within 1000 ms \(1000 ms of outer\); still waiting for S\.late$/,
    );
    const short = open(time, "short", clock.now() + 50, inner);
    clock.advance(60);
    assert.match(short.reason?.message ?? "", /^no answer within 50 ms \(50 ms of short\); /);
    assert.equal(unknown.reason?.message, "no answer within 50 ms; still waiting for S.unknown");
    assert.equal("setBy" in (unknown.reason?.details ?? {}), false);
  });

  it("ends alone when only its own, shorter deadline passes (SC3)", () => {
    const clock = new FakeClock();
    const time = createCallTime(clock);
    const root = open(time, "root", clock.now() + 1000);
    const short = open(time, "short", clock.now() + 50, root);
    clock.advance(100);
    assert.equal(short.reason?.code, "deadline_exceeded");
    assert.equal(root.reason, undefined);
    assert.equal(Math.round(root.running.remainingMs), 900);
  });

  it("ends once and answers whoever waits once, whichever comes first (SC1, SC5)", () => {
    const time = createCallTime(new FakeClock());
    const heard: unknown[] = [];
    const sink = {
      output: (value: unknown) => heard.push(value),
      failure: (error: ServingError) => heard.push(error.code),
    };
    const first = open(time, "first", Number.POSITIVE_INFINITY);
    first.awaitReply(sink);
    first.cancel(fail("cancelled", { reason: "gone" }));
    first.reply("late");
    const second = open(time, "second", Number.POSITIVE_INFINITY);
    second.awaitReply(sink);
    second.reply("answer");
    second.cancel(fail("cancelled", { reason: "late" }));
    assert.deepEqual(heard, ["cancelled", "answer"]);
  });

  it("runs what was left for its end, and nothing after it (SC4)", () => {
    const time = createCallTime(new FakeClock());
    const scope = open(time, "api", Number.POSITIVE_INFINITY);
    const heard: string[] = [];
    scope.onEnd(() => heard.push("end"));
    scope.onCancel(() => heard.push("cancel"));
    scope.close();
    scope.cancel(fail("cancelled", { reason: "too late" }));
    assert.deepEqual(heard, ["end"]);
    assert.equal(scope.reason, undefined);
  });
});
