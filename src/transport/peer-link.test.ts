import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Random } from "../../test/http/random.js";
import { FakeChannel } from "../../test/transport/fake-channel.js";
import { type OpenCall, openCall, stillTime } from "../../test/transport/open-call.js";
import { openItems } from "../../test/transport/open-items.js";
import { RequestContext } from "../call/call.js";
import { fail } from "../failure/failures.js";
import { ServingError } from "../failure/serving-error.js";
import { createHello } from "./channel.js";
import { frameFlags, malformed, maxFrameBytes } from "./frame.js";
import { PeerLink } from "./peer-link.js";
import { encodeError } from "./wire-error.js";

/** A link whose other side is the test, and what its watcher has heard. */
function openLink() {
  const channel = new FakeChannel();
  const heard: string[] = [];
  const link = new PeerLink("Wire#0", channel, {
    opened: () => heard.push("opened"),
    draining: () => heard.push("draining"),
    closed: (reason) => heard.push(`closed ${reason?.id ?? "in order"}`),
  });
  channel.greet("Wire#0");
  return { channel, link, heard };
}

const settle = () => new Promise(setImmediate);
const gone = fail("cancelled", { reason: "the client has gone" });
const lost = (more: object = {}) => ({ id: "replica_lost", service: "Wire", api: "echo", ...more });

describe("PeerLink", () => {
  it("says hello, and opens when the other side has", () => {
    const channel = new FakeChannel();
    const heard: string[] = [];
    new PeerLink("Wire#0", channel, {
      opened: () => heard.push("opened"),
      draining: () => {},
      closed: () => {},
    });
    assert.deepEqual(channel.sent, [createHello("Wire#0")]);
    assert.deepEqual(heard, []);
    channel.greet("Wire#0");
    assert.deepEqual(heard, ["opened"]);
  });

  it("sends a call as six texts: api, time left, caller's service and api, context, value", () => {
    const { channel, link } = openLink();
    const request = new RequestContext({ "x-request-id": "r1" }, "r1");
    link.send(openCall("echo", { a: "x\ny" }, { deadline: stillTime.clock.now() + 1234.5678, request }).scope);
    const [frame] = channel.sentOf("call");
    assert.equal(frame?.id, 1);
    assert.equal(frame?.flags, frameFlags.lent);
    assert.deepEqual(frame?.head.split("\n"), ["echo", "1235", "Caller", "ask", request.wireText, '{"a":"x\\ny"}']);
  });

  it("keeps the response that the api of an HTTP request has set, and no other", async () => {
    const { channel, link } = openLink();
    const [request, other] = [new RequestContext(), new RequestContext()];
    const { scope, answer } = openCall("echo", 1, { request, from: "http" });
    link.send(scope);
    link.send(openCall("echo", 1, { request: other }).scope);
    for (const id of [1, 2, 99]) channel.receive("response", id, '[201,[["x-a","1"]]]');
    channel.receive("reply", 1, "7");
    assert.equal(await answer, 7);
    assert.deepEqual([request.response?.status, request.response?.headers], [201, [["x-a", "1"]]]);
    assert.equal(other.response, undefined);
    for (const head of ["", "[]", '[200,[["a","1\\r\\nb: 2"]]]']) {
      assert.throws(() => channel.receive("response", 2, head), { id: "malformed_frame" }, head);
    }
  });

  it("marks a background call, and no other", () => {
    const { channel, link } = openLink();
    for (const priority of ["background", "interactive"] as const) link.send(openCall("echo", 1, { priority }).scope);
    assert.deepEqual(
      channel.sentOf("call").map(({ flags }) => flags),
      [frameFlags.background | frameFlags.lent, frameFlags.lent],
    );
  });

  it("takes the input of a refused call back, unless it was kept (TP6)", async () => {
    const { channel, link } = openLink();
    const input = { list: [1] };
    const lent = openCall("echo", input);
    const kept = openCall("echo", [1]);
    kept.scope.input.keep();
    for (const { scope } of [lent, kept]) link.send(scope);
    assert.deepEqual(
      channel.sentOf("call").map(({ flags }) => flags),
      [frameFlags.lent, 0],
    );
    input.list.push(2);
    const refusal = encodeError(fail("draining", { what: "replica Wire#0" }, { service: "Wire", api: "echo" }));
    for (const id of [1, 2]) channel.receive("failure", id, `${refusal}\n{"list":[1]}`, { flags: frameFlags.lent });
    for (const { answer } of [lent, kept]) await assert.rejects(answer, { id: "draining", service: "Wire" });
    assert.deepEqual([lent.scope.input.value, kept.scope.input.value], [{ list: [1] }, [1]]);
    const broken = openCall("echo", input);
    link.send(broken.scope);
    channel.receive("failure", 3, `${refusal}\n{"list"`, { flags: frameFlags.lent });
    await assert.rejects(broken.answer, { id: "malformed_frame" });
  });

  it("gives each answer to its own call, in whatever order they come (TP1)", async () => {
    const { channel, link } = openLink();
    const random = new Random(1);
    const calls = Array.from({ length: 200 }, (_, i) => openCall("echo", i));
    for (const { scope } of calls) link.send(scope);
    assert.equal(link.inFlight, 200);
    const frames = channel.sentOf("call");
    assert.equal(new Set(frames.map(({ id }) => id)).size, 200);
    while (frames.length > 0) {
      const [frame] = frames.splice(random.between(0, frames.length - 1), 1) as [(typeof frames)[0]];
      channel.receive("reply", frame.id, frame.head.split("\n")[5] as string);
    }
    assert.deepEqual(await Promise.all(calls.map(({ answer }) => answer)), [...calls.keys()]);
    assert.equal(link.inFlight, 0);
  });

  it("gives no number to two calls (TP1)", () => {
    const { channel, link } = openLink();
    for (let i = 0; i < 1000; i++) {
      link.send(openCall("echo").scope);
      if (i % 3 === 0) channel.receive("reply", i, "null");
    }
    assert.equal(new Set(channel.sentOf("call").map(({ id }) => id)).size, 1000);
  });

  it("brings over a failure with its fields", async () => {
    const { channel, link } = openLink();
    const { scope, answer } = openCall("echo");
    link.send(scope);
    const error = fail(
      "lane_full",
      { running: 1, queued: 2, maxQueued: 2, overdue: 0, retryAfterMs: 7 },
      { service: "Wire", api: "echo" },
    );
    channel.receive("failure", 1, encodeError(error));
    await assert.rejects(answer, {
      id: "lane_full",
      code: "resource_exhausted",
      service: "Wire",
      details: error.details,
    });
  });

  it("says who set a deadline that passed on the other side, which doesn't know", async () => {
    const { channel, link } = openLink();
    const time = { ...stillTime, nameLimit: (_: unknown, timeoutMs: number) => `the option that says ${timeoutMs}` };
    const deadline = stillTime.clock.now() + 800;
    const unnamed = { timeoutMs: 3, waitingFor: ["Wire.echo"], batchMs: 126, remainingMs: 2 };
    const own = new ServingError({ code: "deadline_exceeded", message: "my own words", details: unnamed });
    const failures = [
      [
        fail("deadline_exceeded", unnamed, { service: "Wire", api: "echo" }),
        /^no answer within 800 ms \(the option that says 800\): a batch takes about 126 ms and 2 ms are left$/,
      ],
      [fail("deadline_exceeded", { ...unnamed, setBy: "somebody below" }), /^no answer within 3 ms \(somebody below\)/],
      [own, /^my own words$/],
      [fail("body_timeout", { timeoutMs: 3 }), /^the body did not arrive within 3 ms \(http\.bodyTimeoutMs\)$/],
    ] as const;
    for (const [index, [sent, message]] of failures.entries()) {
      const { scope, answer } = openCall("echo", null, { deadline, time });
      link.send(scope);
      channel.receive("failure", index + 1, encodeError(sent));
      const error = await answer.catch((thrown: unknown) => thrown);
      assert.ok(error instanceof ServingError);
      assert.match(error.message, message);
      assert.deepEqual([error.service, error.code, error.id], [sent.service, sent.code, sent.id]);
      assert.ok(error.stack?.includes(error.message));
    }
  });

  it("tells the other side of a cancellation at once and once, and counts the call until that has ended it (TP2)", async () => {
    const { channel, link } = openLink();
    const { scope, answer, count } = openCall("echo");
    link.send(scope);
    scope.cancel(gone);
    const [cancel, ...more] = channel.sentOf("cancel");
    assert.equal(cancel?.id, 1);
    assert.match(String(cancel?.head), /the client has gone/);
    assert.deepEqual(more, []);
    await assert.rejects(answer, { id: "cancelled" });
    assert.equal(link.inFlight, 1);
    channel.receive("reply", 1, '"late"');
    assert.equal(link.inFlight, 0);
    assert.equal(count(), 1);
  });

  it("sends no cancellation of a call that was answered, and none of one that was never sent", () => {
    const { channel, link } = openLink();
    const first = openCall("echo");
    link.send(first.scope);
    channel.receive("reply", 1, "null");
    first.scope.cancel(gone);
    const second = openCall("echo");
    second.scope.cancel(gone);
    link.send(second.scope);
    assert.equal(channel.sentOf("call").length, 1);
    assert.deepEqual(channel.sentOf("cancel"), []);
    assert.equal(link.inFlight, 0);
  });

  it("drops what comes for a call nobody waits for (TP4)", () => {
    const { channel, link, heard } = openLink();
    for (const kind of ["reply", "failure", "item", "end"] as const) channel.receive(kind, 77, "no JSON at all");
    assert.equal(link.inFlight, 0);
    assert.deepEqual(heard, ["opened"]);
  });

  it("fails every call when the channel ends, before control returns (TP3)", async () => {
    const { channel, link, heard } = openLink();
    const calls = Array.from({ length: 20 }, (_, i) => openCall("echo", i));
    for (const { scope } of calls) link.send(scope);
    calls[3]?.scope.cancel(gone);
    const stream = openItems(link, openCall("count").scope);
    const step = stream.next();
    await settle();
    assert.equal(link.inFlight, 21);
    channel.end(malformed("of nothing"));
    assert.ok(calls.every(({ count }) => count() === 1));
    assert.equal(link.inFlight, 0);
    assert.deepEqual(heard, ["opened", "closed malformed_frame"]);
    await assert.rejects(
      calls[0]?.answer as Promise<unknown>,
      lost({ message: /while the call was on it: .*of nothing/ }),
    );
    await assert.rejects(calls[3]?.answer as Promise<unknown>, { id: "cancelled" });
    await assert.rejects(step, { id: "replica_lost" });
    assert.deepEqual(await stream.next(), { done: true, value: undefined });
  });

  it("is out of the directory before its calls fail, since they may be sent again at once (TP3)", () => {
    const { channel, link, heard } = openLink();
    const { scope } = openCall("echo");
    scope.awaitReply({ output: () => {}, failure: () => heard.push("call failed") });
    link.send(scope);
    channel.end();
    assert.deepEqual(heard, ["opened", "closed in order", "call failed"]);
  });

  it("says of a call that it was never sent when the channel had ended or was closed", async () => {
    const { channel, link } = openLink();
    const sent = openCall("echo");
    link.send(sent.scope);
    link.close();
    const unsent = openCall("echo");
    link.send(unsent.scope);
    assert.equal(link.inFlight, 2);
    channel.end();
    await assert.rejects(
      sent.answer,
      (error: ServingError) => error.id === "replica_lost" && !("isSent" in error.details),
    );
    await assert.rejects(unsent.answer, lost({ details: { replica: "Wire#0", isSent: false } }));
    const later = openCall("echo");
    link.send(later.scope);
    await assert.rejects(later.answer, lost({ details: { replica: "Wire#0", isSent: false } }));
    await assert.rejects(openItems(link, openCall("echo").scope).next(), lost({ message: /before the call was sent/ }));
  });

  it("refuses a value that can't cross, with where it was, and goes on", async () => {
    const { channel, link } = openLink();
    const { scope, answer } = openCall("echo", { run: () => {} });
    link.send(scope);
    await assert.rejects(answer, { id: "not_transferable", service: "Wire", api: "echo" });
    const items = openItems(link, openCall("count", { run: () => {} }).scope);
    await assert.rejects(items.next(), { id: "not_transferable", service: "Wire", api: "count" });
    assert.deepEqual(await items.next(), { done: true, value: undefined });
    assert.deepEqual([channel.sentOf("call").length, link.inFlight], [0, 0]);
  });

  it("refuses a value that is too large for a frame, and goes on", async () => {
    const { channel, link } = openLink();
    const { scope, answer } = openCall("echo", new Uint8Array(new ArrayBuffer(maxFrameBytes)));
    link.send(scope);
    await assert.rejects(answer, { id: "payload_too_large", httpStatus: 413, service: "Wire", api: "echo" });
    assert.deepEqual([channel.sentOf("call").length, link.inFlight], [0, 0]);
  });

  it("refuses calls while more waits to be sent than it may, and takes them again", async () => {
    const { channel, link } = openLink();
    channel.bufferedBytes = 256 * 1024 ** 2 + 1;
    const refused = openCall("echo");
    link.send(refused.scope);
    await assert.rejects(refused.answer, {
      id: "link_full",
      code: "resource_exhausted",
      retryable: true,
      details: { bufferedBytes: 268_435_457, maxBufferedBytes: 268_435_456 },
    });
    await assert.rejects(openItems(link, openCall("count").scope).next(), { id: "link_full" });
    assert.equal(link.inFlight, 0);
    channel.bufferedBytes = 256 * 1024 ** 2;
    const taken = openCall("echo");
    link.send(taken.scope);
    channel.receive("reply", 1, "1");
    assert.equal(await taken.answer, 1);
  });

  it("sends files when their bytes are read, not if the call was cancelled meanwhile", async () => {
    const { channel, link } = openLink();
    const [one, two] = [openCall("echo", new Blob(["one"])), openCall("echo", new Blob(["two"]))];
    link.send(one.scope);
    link.send(two.scope);
    two.scope.cancel(gone);
    assert.equal(channel.sentOf("call").length, 0);
    while (channel.sentOf("call").length === 0) await settle();
    await settle();
    const [frame, ...more] = channel.sentOf("call");
    assert.deepEqual(more, []);
    assert.deepEqual(channel.sentOf("cancel"), []);
    assert.equal(Buffer.from(frame?.tails[0] as Uint8Array).toString(), "one");
    assert.equal(Number(frame?.flags) & frameFlags.marked, frameFlags.marked);
    channel.receive("reply", frame?.id as number, "true");
    assert.equal(await one.answer, true);
  });

  it("keeps the input of a call that is not sent at once as it was, for another link to send", () => {
    const { channel, link } = openLink();
    const [read, unsent] = [{ list: [1], file: new Blob(["x"]) }, { list: [1] }];
    const calls = [read, unsent].map((input) => openCall("echo", input));
    link.send((calls[0] as OpenCall).scope);
    channel.close();
    link.send((calls[1] as OpenCall).scope);
    for (const { list } of [read, unsent]) list.push(2);
    assert.deepEqual(
      calls.map(({ scope }) => (scope.input.value as typeof unsent).list),
      [[1], [1]],
    );
  });

  it("copies no input of a call that is sent at once", () => {
    const { link } = openLink();
    const input = { list: [1] };
    const { scope } = openCall("echo", input);
    link.send(scope);
    assert.equal(scope.input.value, input);
  });

  it("fails a call whose file is read when its channel is gone", async () => {
    const { channel, link } = openLink();
    const { scope, answer } = openCall("echo", new Blob(["late"]));
    link.send(scope);
    channel.end();
    await assert.rejects(answer, lost({ details: { replica: "Wire#0", isSent: false } }));
  });

  it("passes a drain on, and answers calls in flight all the same", async () => {
    const { channel, link, heard } = openLink();
    const { scope, answer } = openCall("echo");
    link.send(scope);
    channel.receive("drain", 0);
    assert.deepEqual(heard, ["opened", "draining"]);
    channel.receive("reply", 1, "7");
    assert.equal(await answer, 7);
  });

  it("ends when it is retired and the last call on it has been answered, or cancelled and ended (TP5)", async () => {
    const { channel, link } = openLink();
    const calls = [openCall("echo"), openCall("echo")] as const;
    for (const { scope } of calls) link.send(scope);
    link.retire();
    calls[1].scope.cancel(gone);
    channel.receive("reply", 1, "7");
    assert.equal(await calls[0].answer, 7);
    assert.equal(channel.isClosed, false);
    channel.receive("failure", 2, encodeError(gone));
    assert.equal(channel.isClosed, true);
    const late = openCall("echo");
    link.send(late.scope);
    channel.end();
    await assert.rejects(late.answer, lost({ details: { replica: "Wire#0", isSent: false } }));
  });

  it("ends at once when it is retired and nothing is on it (TP5)", () => {
    const { channel, link } = openLink();
    link.retire();
    assert.equal(channel.isClosed, true);
  });
});

describe("PeerLink, when the other side breaks the wire", () => {
  const refuses = (channel: FakeChannel, ...[kind, id, head]: Parameters<FakeChannel["receive"]>) =>
    assert.throws(() => channel.receive(kind, id, head), { id: "malformed_frame" });

  it("refuses a first frame that is no hello, and a second hello", () => {
    const channel = new FakeChannel();
    new PeerLink("Wire#0", channel, { opened: assert.fail, draining: () => {}, closed: () => {} });
    refuses(channel, "reply", 1, "null");
    refuses(openLink().channel, "hello", 0, createHello("Wire#0").head);
  });

  it("refuses kinds that a replica does not send", () => {
    for (const kind of ["call", "ping", "pong", "slab", "release"] as const) {
      refuses(openLink().channel, kind, 1);
    }
    const { channel } = openLink();
    for (const kind of [0, 14, 255]) {
      assert.throws(() => channel.receive("drain", 0, "", { kind }), { id: "malformed_frame" });
    }
  });

  it("refuses an answer of the wrong kind, and leaves its call to the end of the channel", async () => {
    const { channel, link } = openLink();
    const unary = openCall("echo");
    link.send(unary.scope);
    const items = openItems(link, openCall("count").scope);
    const step = items.next();
    await settle();
    refuses(channel, "item", 1, "1");
    refuses(channel, "end", 1);
    refuses(channel, "reply", 2, "1");
    assert.equal(link.inFlight, 2);
    channel.end(malformed("as said"));
    await assert.rejects(unary.answer, { id: "replica_lost" });
    await assert.rejects(step, { id: "replica_lost" });
  });

  it("refuses an item that is no value, and leaves its call to the end of the channel", async () => {
    const { channel, link } = openLink();
    const step = openItems(link, openCall("count").scope).next();
    await settle();
    assert.throws(() => channel.receive("item", 1, "{"));
    channel.end();
    await assert.rejects(step, { id: "replica_lost" });
  });

  it("answers a call whose reply or failure can't be read, whatever is in it", async () => {
    for (const head of ["", "{", "[", '{"$":', '"\\u12"']) {
      for (const kind of ["reply", "failure"] as const) {
        const { channel, link } = openLink();
        const { scope, answer } = openCall("echo");
        link.send(scope);
        try {
          channel.receive(kind, 1, head);
        } catch {
          channel.end(malformed("as said"));
        }
        await assert.rejects(answer, { code: /internal|unavailable/ }, `${kind} ${head}`);
        assert.equal(link.inFlight, 0);
      }
    }
  });
});
