import assert from "node:assert/strict";
import { it } from "node:test";
import { ServingError } from "ekiben";
import type { ComposedApp } from "ekiben/testing";
import { Leaf, type Top } from "./services.js";

export function testFailures(app: ComposedApp<Top>): void {
  const leaf = app.service(Leaf);

  for (const [hops, call] of [
    ["one hop", () => leaf.fail("own")],
    ["three hops", () => app.entry.fail("own")],
  ] as const) {
    it(`brings a ServingError with every field over ${hops}`, async () => {
      const error = await call().then(assert.fail, (thrown: unknown) => thrown);
      assert.ok(error instanceof ServingError);
      const { code, id, message, details, service, api, retryable, httpStatus } = error;
      assert.deepEqual(
        { code, id, message, details, service, api, retryable, httpStatus },
        {
          code: "not_found",
          id: "no_such_page",
          message: "page 7 is not there",
          details: { page: 7, tried: ["a", { b: null }] },
          service: "Leaf",
          api: "fail",
          retryable: false,
          httpStatus: 404,
        },
      );
    });
  }

  it("makes anything else that is thrown internal, with its message and an incident", async () => {
    for (const [kind, message] of [
      ["error", /boom/],
      ["string", /a text/],
      ["undefined", /undefined/],
    ] as const) {
      const error = await app.entry.fail(kind).then(assert.fail, (thrown: unknown) => thrown);
      assert.ok(error instanceof ServingError);
      assert.deepEqual([error.code, error.id, error.service], ["internal", "unhandled_error", "Leaf"]);
      assert.match(error.message, message);
      assert.match(error.incident ?? "", /^[0-9a-f]{12}$/);
    }
  });

  it("shows in one stack where it was thrown and who called", async () => {
    const callFromHere = async () => app.entry.fail("error").then((value) => value);
    const error = await (async () => await callFromHere())().then(assert.fail, (thrown: unknown) => thrown as Error);
    assert.match(error.stack ?? "", /services\.ts:\d+/);
    assert.match(error.stack ?? "", /called by/);
  });

  it("lets a caller catch and go on", async () => {
    assert.equal(await app.entry.recover("own"), "no_such_page of Leaf.fail");
    assert.equal(await app.entry.recover("error"), "unhandled_error of Leaf.fail");
  });

  it("fails at the deadline of the call, of the api and of the edge, whichever is first", async () => {
    const late = { id: "deadline_exceeded", code: "deadline_exceeded" };
    await assert.rejects(leaf.hold("late 1", { timeoutMs: 30 }), late);
    assert.equal(await leaf.aborted("late 1"), 1);
    await assert.rejects(leaf.short("late 2"), late);
    await assert.rejects(app.entry.hurry("late 3"), late);
    assert.equal(await leaf.aborted("late 3"), 1);
    await assert.rejects(leaf.echo(1, { timeoutMs: 0 }), late);
    const error = await app.entry
      .hold("late 4", { timeoutMs: 30 })
      .then(assert.fail, (thrown) => thrown as ServingError);
    assert.match(error.message, /no answer within \d+ ms; still waiting for \w+\.hold/);
    assert.equal(await leaf.aborted("late 4"), 1);
  });

  it("leaves a callee no more time than its caller has", async () => {
    const { below, own } = await app.entry.remaining();
    assert.ok(below > 0 && below <= 60_000 && own <= 60_000);
    assert.ok((await leaf.remaining(undefined, { timeoutMs: 5_000 })) <= 5_000);
  });

  it("takes a caller's abort through three hops, and answers at once", async () => {
    const controller = new AbortController();
    const held = app.entry.hold("given up", { signal: controller.signal });
    await leaf.begun("given up");
    controller.abort();
    await assert.rejects(held, { id: "cancelled" });
    assert.equal(await leaf.aborted("given up"), 1);
    await assert.rejects(leaf.echo(1, { signal: AbortSignal.abort() }), { id: "cancelled" });
  });

  it("cancels what an api leaves behind, but not what it detached", async () => {
    assert.equal(await app.entry.leave("orphan"), "left");
    assert.equal(await leaf.aborted("orphan"), 1);
    assert.equal(await app.entry.detach("free"), "left");
    await leaf.release("free");
    assert.equal(await leaf.hold("free"), `free held by ${await leaf.replica()}`);
  });

  it("refuses at once what a full lane can't take, and never runs what was cancelled while it waited", async () => {
    const before = await leaf.calls();
    const running = leaf.narrow("lane 1");
    await leaf.begun("lane 1");
    const controller = new AbortController();
    const waiting = leaf.narrow("lane 2", { signal: controller.signal });
    const refused = await leaf.narrow("lane 3").then(assert.fail, (thrown) => thrown as ServingError);
    assert.deepEqual([refused.id, refused.code], ["lane_full", "resource_exhausted"]);
    assert.deepEqual([refused.details["running"], refused.details["maxQueued"]], [1, 1]);
    assert.equal(await leaf.echo("meanwhile"), "meanwhile");
    controller.abort();
    await assert.rejects(waiting, { id: "cancelled" });
    await leaf.release("lane 4");
    const next = leaf.narrow("lane 4");
    await leaf.release("lane 1");
    assert.deepEqual(await Promise.all([running, next]), ["lane 1", "lane 4"]);
    assert.equal(await leaf.calls(), before + 2);
  });

  it("keeps the context over hops and awaits", async () => {
    const top = await app.entry.where();
    const { below } = top;
    assert.deepEqual(top.caller, { service: "local", api: "" });
    assert.deepEqual(below.caller, { service: "Middle", api: "where" });
    assert.deepEqual([below.requestId, below.traceId, below.headers], [top.requestId, top.traceId, top.headers]);
    assert.equal(below.isSame, true);
    assert.ok(below.deadline <= top.deadline);
  });

  it("shares one deployment between both ways of a diamond, and lets start() call", async () => {
    assert.deepEqual(await app.entry.both(), ["Leaf#0", "Leaf#0"]);
    assert.equal(await app.entry.started(), "Leaf#0");
  });
}
