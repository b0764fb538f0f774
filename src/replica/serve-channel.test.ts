import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "../../test/fake-clock.js";
import { FakeChannel } from "../../test/transport/fake-channel.js";
import { splitItems } from "../../test/transport/split-items.js";
import { startReplica } from "../../test/transport/start-replica.js";
import { createWireService, WireControl } from "../../test/transport/wire-service.js";
import { silentLogger } from "../base/logger.js";
import { createCallTime } from "../call/call-scope.js";
import { fail } from "../failure/failures.js";
import { createHello } from "../transport/channel.js";
import { decodeValue } from "../transport/decode-value.js";
import { type EncodedValue, encodeValue } from "../transport/encode-value.js";
import { type Frame, frameFlags, frameKinds, malformed } from "../transport/frame.js";
import { windowItems } from "../transport/peer-stream.js";
import { decodeError, encodeError } from "../transport/wire-error.js";
import { ChannelServer } from "./serve-channel.js";

const kindNames = new Map<number, string>(Object.entries(frameKinds).map(([name, kind]) => [kind, name]));
const context = JSON.stringify(["r1", { "x-test": "1" }, `00-${"a".repeat(32)}-${"b".repeat(16)}-01`, null]);
const settle = () => new Promise(setImmediate);

/** A replica that is called over channels whose callers are the test. */
async function serve() {
  const control = new WireControl();
  const clock = new FakeClock();
  const lines: string[] = [];
  const log = { ...silentLogger, warn: (_: object, line?: string) => lines.push(String(line)), child: () => log };
  const replica = await startReplica(createWireService(control), { time: createCallTime(clock), log });
  const ended: ChannelServer[] = [];
  const open = () => {
    const channel = new FakeChannel();
    const server = new ChannelServer(channel, replica, (one) => ended.push(one));
    channel.greet("Wire#0");
    return new Caller(channel, server);
  };
  return { control, clock, replica, ended, lines, open, caller: open() };
}

/** The caller's side of a channel, frame by frame. */
class Caller {
  readonly channel: FakeChannel;
  readonly server: ChannelServer;

  constructor(channel: FakeChannel, server: ChannelServer) {
    this.channel = channel;
    this.server = server;
  }

  call(id: number, api: string, input: unknown = null, flags = 0, timeLeft = "Infinity"): void {
    const { text, tails, isMarked } = encodeValue(input, "input") as EncodedValue;
    const head = `${api}\n${timeLeft}\nCaller\nask\n${context}\n${text}`;
    this.channel.receive("call", id, head, { tails, flags: flags | (isMarked ? frameFlags.marked : 0) });
  }

  open(id: number, api: string, input?: unknown, timeLeft?: string): void {
    this.call(id, api, input, frameFlags.stream, timeLeft);
  }

  cancel(id: number, reason = "the client has gone"): void {
    this.channel.receive("cancel", id, encodeError(fail("cancelled", { reason })));
  }

  /** Frames sent for one call, as `"reply 7"`; a failure by its id. */
  heard(id: number): string[] {
    return splitItems(this.channel.sent.filter((frame) => frame.id === id && id > 0)).map(describeFrame);
  }

  items(id: number): Frame[] {
    return splitItems(this.channel.sentOf("item").filter((frame) => frame.id === id));
  }

  /** Resolves when a call was answered for good. */
  async ended(id: number): Promise<string> {
    for (;;) {
      const last = this.heard(id).at(-1);
      if (last !== undefined && !last.startsWith("item")) return last;
      await new Promise<void>((resolve) => {
        this.channel.onSend = () => resolve();
      });
    }
  }
}

function describeFrame({ kind, head, flags }: Frame): string {
  const name = kindNames.get(kind);
  if (name === "failure") return `failure ${decodeError(head).id}`;
  return flags === 0 && head !== "" ? `${name} ${head}` : String(name);
}

describe("ChannelServer", () => {
  it("says hello without waiting for the other side's", async () => {
    const replica = await startReplica(createWireService(new WireControl()));
    const channel = new FakeChannel();
    new ChannelServer(channel, replica, () => {});
    assert.deepEqual(channel.sent, [createHello("Wire#0")]);
  });

  it("answers a call that needs no waiting before control returns", async () => {
    const { caller } = await serve();
    caller.call(1, "echo", { a: [1, "two", null] });
    assert.deepEqual(caller.heard(1), ['reply {"a":[1,"two",null]}']);
  });

  it("answers calls as they end, not as they came, each once (RC1)", async () => {
    const { caller, control, replica } = await serve();
    for (const [i, key] of ["a", "b", "c"].entries()) caller.call(i + 1, "hold", key);
    await settle();
    assert.equal(replica.inFlight, 3);
    for (const key of ["c", "a", "b"]) {
      control.hold(key).resolve(`${key}!`);
      await settle();
    }
    const replies = caller.channel.sentOf("reply").map(({ id, head }) => `${id} ${head}`);
    assert.deepEqual(replies, ['3 "c!"', '1 "a!"', '2 "b!"']);
    assert.equal(replica.inFlight, 0);
  });

  it("sends failures with their fields, and those of bugs with an incident (RC1)", async () => {
    const { caller } = await serve();
    for (const [i, api] of ["refuse", "crash", "lost", "huge", "nowhere"].entries()) caller.call(i + 1, api);
    const errors = caller.channel.sentOf("failure").map(({ head }) => decodeError(head));
    assert.deepEqual(
      errors.map(({ id, code }) => `${id} ${code}`),
      [
        "no_such_page not_found",
        "unhandled_error internal",
        "output_not_transferable internal",
        "payload_too_large resource_exhausted",
        "unknown_api unimplemented",
      ],
    );
    assert.deepEqual(errors[0]?.details, { page: 7 });
    assert.match(String(errors[1]?.incident), /^[0-9a-f]{12}$/);
    assert.ok(errors.every(({ service, api }) => service === "Wire" && api !== ""));
    for (let id = 1; id <= 5; id++) assert.equal(caller.heard(id).length, 1);
  });

  it("brings over files both ways", async () => {
    const { caller } = await serve();
    caller.channel.receive("call", 1, `file\nInfinity\nCaller\nask\n${context}\n{"$":["blob","text/plain",0]}`, {
      tails: [new Uint8Array(new TextEncoder().encode("bytes").buffer)],
      flags: frameFlags.marked,
    });
    assert.equal(await caller.ended(1), "reply");
    assert.equal(Buffer.from(caller.channel.sentOf("reply")[0]?.tails[0] as Uint8Array).toString(), "bytes!");
  });

  it("cancels a running call when it is told to, and still answers it (RC1)", async () => {
    const { caller, control } = await serve();
    caller.call(1, "hold", "a");
    caller.call(2, "stubborn", "b");
    await settle();
    caller.cancel(1);
    caller.cancel(2);
    assert.equal(await caller.ended(1), "failure cancelled");
    assert.deepEqual(control.cancelled, ["the call was cancelled: the client has gone"]);
    assert.deepEqual(caller.heard(2), []);
    control.hold("b").resolve("done all the same");
    assert.equal(await caller.ended(2), "failure cancelled");
  });

  it("drops a call that waits in its lane when it is cancelled, and never runs it", async () => {
    const { caller, control } = await serve();
    caller.call(1, "narrow", "a");
    caller.call(2, "narrow", "b");
    caller.call(3, "narrow", "c");
    assert.equal(await caller.ended(3), "failure lane_full");
    caller.cancel(2);
    assert.equal(await caller.ended(2), "failure cancelled");
    control.hold("a").resolve("a");
    await caller.ended(1);
    assert.deepEqual(control.started, ["a"]);
  });

  it("ignores a cancellation or a credit for a call that is over or never was", async () => {
    const { caller } = await serve();
    caller.call(1, "echo", 1);
    for (const id of [0, 1, 2, 0xffff_ffff]) {
      caller.cancel(id);
      caller.channel.receive("credit", id, "5");
    }
    caller.call(1, "echo", 2);
    assert.deepEqual(caller.heard(1), ["reply 1", "reply 2"]);
  });

  it("cancels every call when the channel ends, and those of other channels not (RC2)", async () => {
    const { caller, open, control, replica, ended, lines } = await serve();
    const other = open();
    caller.call(1, "hold", "a");
    caller.open(2, "pause", "b");
    caller.open(3, "count", { items: 1000, bytes: 0 });
    other.call(1, "hold", "c");
    other.open(2, "pause", "d");
    await settle();
    assert.equal(replica.inFlight, 5);
    caller.channel.end(malformed("of nothing"));
    for (let i = 0; i < 10; i++) await settle();
    assert.deepEqual(control.cancelled.sort(), Array(2).fill("the call was cancelled: the caller's link has ended"));
    assert.deepEqual([replica.inFlight, control.ended], [2, 2]);
    assert.deepEqual(ended, [caller.server]);
    assert.deepEqual(lines, ["a caller's link ended"]);
    control.hold("c").resolve("c!");
    assert.equal(await other.ended(1), 'reply "c!"');
    control.hold("d").resolve("d!");
    assert.equal(await other.ended(2), "end");
  });

  it("tells callers of a drain, refuses new calls and finishes those in flight (RC3)", async () => {
    const { caller, control, replica } = await serve();
    caller.call(1, "hold", "a");
    await settle();
    caller.server.announceDrain();
    const drained = replica.drain();
    assert.deepEqual(caller.channel.sentOf("drain").length, 1);
    caller.call(2, "echo", 1);
    assert.deepEqual(caller.heard(2), ["failure draining"]);
    control.hold("a").resolve("a!");
    await drained;
    assert.deepEqual(caller.heard(1), ['reply "a!"']);
  });

  it("sends the input of a call that it refuses back as it came, where the caller has not kept it (RC4)", async () => {
    const { caller, replica } = await serve();
    await replica.drain();
    const bytes = new Uint8Array([1, 2, 3]);
    caller.call(1, "echo", { text: "a\nb", bytes, at: new Date(0) }, frameFlags.lent);
    caller.call(2, "echo", "plain", frameFlags.lent);
    caller.call(3, "echo", "kept");
    const [first, second, third] = caller.channel.sentOf("failure");
    const [error = "", text = ""] = first?.head.split("\n") ?? [];
    assert.deepEqual([decodeError(error).id, decodeError(error).api], ["draining", "echo"]);
    assert.equal(first?.flags, frameFlags.lent | frameFlags.marked);
    assert.deepEqual(decodeValue(text, first?.tails ?? [], true), { text: "a\nb", bytes, at: new Date(0) });
    assert.deepEqual([second?.flags, second?.head.split("\n")[1]], [frameFlags.lent, '"plain"']);
    assert.deepEqual([third?.flags, third?.head.includes("\n")], [0, false]);
    assert.throws(() => caller.channel.receive("call", 4, "echo\n1\nCaller", { flags: frameFlags.lent }), {
      id: "malformed_frame",
    });
    assert.equal(replica.inFlight, 0);
  });

  it("sends the response of an HTTP request right before the reply, the first item or the end (RC5)", async () => {
    const { caller } = await serve();
    const fromHttp = (id: number, api: string, input: string, flags = 0) =>
      caller.channel.receive("call", id, `${api}\nInfinity\nhttp\n/${api}\n${context}\n${input}`, { flags });
    fromHttp(1, "respond", "null");
    assert.deepEqual(caller.heard(1), ['response [201,[["x-a","1"]]]', 'reply "done"']);
    for (const [id, items] of [2, 0].entries()) {
      fromHttp(id + 2, "respondItems", String(items), frameFlags.stream);
      await caller.ended(id + 2);
    }
    assert.deepEqual(caller.heard(2), ['response [null,[["x-a","1"]]]', "item 0", "item 1", "end"]);
    assert.deepEqual(caller.heard(3), ['response [null,[["x-a","1"]]]', "end"]);
    fromHttp(4, "echo", "7");
    assert.deepEqual(caller.heard(4), ["reply 7"]);
    caller.call(5, "respond");
    assert.deepEqual(caller.heard(5), ["failure response_refused"]);
  });

  it("shows a call its caller, its deadline by its own clock and its request, as they came", async () => {
    const { caller, clock } = await serve();
    caller.call(1, "about", null, 0, "5000.5");
    assert.deepEqual(JSON.parse(caller.channel.sentOf("reply")[0]?.head as string), {
      caller: { service: "Caller", api: "ask" },
      deadline: clock.now() + 5000.5,
      requestId: "r1",
      headers: { "x-test": "1" },
      traceId: "a".repeat(32),
    });
  });

  it("answers a bug although the context of its call can't be read", async () => {
    const { caller } = await serve();
    for (const [i, text] of [
      "",
      "{",
      "[]",
      "null",
      '["id"]',
      '["id",{"a":1},"x",null]',
      '["id",{},7,null]',
    ].entries()) {
      caller.channel.receive("call", i + 1, `crash\nInfinity\nCaller\nask\n${text}\nnull`);
      assert.deepEqual(caller.heard(i + 1), ["failure unhandled_error"], text);
    }
  });
});

describe("ChannelServer, with a stream", () => {
  const itemValues = (frames: readonly Frame[]) => frames.map(({ head }) => Number(head));

  it("sends a window of items and waits for credit, so that a slow reader slows the producer", async () => {
    const { caller, control } = await serve();
    caller.open(1, "count", { items: 1000, bytes: 0 });
    for (let i = 0; i < 50; i++) await settle();
    assert.equal(control.produced, windowItems);
    assert.equal(caller.items(1).length, windowItems);
    let read = 0;
    while (read < 1000) {
      const come = caller.items(1).length;
      const count = Math.min(16, come - read);
      caller.channel.receive("credit", 1, String(count));
      read += count;
      for (let i = 0; i < 80; i++) await settle();
      assert.ok(control.produced <= read + windowItems, `${control.produced} made, ${read} read`);
    }
    assert.equal(await caller.ended(1), "end");
    assert.deepEqual(itemValues(caller.items(1)), [...Array(1000).keys()]);
    assert.equal(control.ended, 1);
  });

  it("sends small items of one turn together, and what has tails by itself, in their order", async () => {
    const { caller } = await serve();
    caller.open(1, "count", { items: 200, bytes: 0 });
    caller.open(2, "count", { items: 3, bytes: 10 });
    assert.equal(await caller.ended(1), "end");
    assert.equal(await caller.ended(2), "end");
    const frames = (id: number) => caller.channel.sentOf("item").filter((frame) => frame.id === id);
    assert.ok(frames(1).length < 10, `${frames(1).length} frames`);
    assert.deepEqual(itemValues(caller.items(1)), [...Array(200).keys()]);
    assert.deepEqual(
      frames(2).map(({ tails }) => tails.length),
      [1, 1, 1],
    );
  });

  it("waits for credit after a megabyte, however few the items", async () => {
    const { caller, control } = await serve();
    caller.open(1, "count", { items: 10, bytes: 1024 ** 2 });
    caller.open(2, "count", { items: 100, bytes: 300_000 });
    for (let i = 0; i < 50; i++) await settle();
    assert.deepEqual([caller.items(1).length, caller.items(2).length], [1, 4]);
    caller.channel.receive("credit", 2, "1");
    for (let i = 0; i < 20; i++) await settle();
    assert.deepEqual([caller.items(1).length, caller.items(2).length], [1, 5]);
    for (let i = 0; i < 10; i++) {
      caller.channel.receive("credit", 1, "1");
      for (let turn = 0; turn < 10; turn++) await settle();
    }
    assert.equal(await caller.ended(1), "end");
    assert.equal(control.produced, 15);
    caller.cancel(2);
    assert.equal(await caller.ended(2), "failure cancelled");
  });

  it("ends a producer that waits for credit when the call is cancelled, and runs its finally", async () => {
    const { caller, control, replica } = await serve();
    caller.open(1, "count", { items: 1000, bytes: 0 });
    for (let i = 0; i < 50; i++) await settle();
    caller.cancel(1);
    assert.equal(await caller.ended(1), "failure cancelled");
    assert.deepEqual([control.produced, control.ended, replica.inFlight], [windowItems, 1, 0]);
  });

  it("ends a producer that is at work when the call is cancelled", async () => {
    const { caller, control, replica } = await serve();
    caller.open(1, "pause", "a");
    for (let i = 0; i < 10; i++) await settle();
    assert.deepEqual(caller.heard(1), ['item "first"']);
    caller.cancel(1);
    assert.equal(await caller.ended(1), "failure cancelled");
    assert.equal(caller.items(1).length, 1);
    assert.deepEqual([control.ended, replica.inFlight], [1, 0]);
  });

  it("sends a failure after the items that came before it (RC1)", async () => {
    const { caller } = await serve();
    caller.open(1, "breakAfter", 3);
    caller.open(2, "badItem");
    caller.open(3, "nowhere");
    assert.equal(await caller.ended(1), "failure broke_off");
    assert.equal(await caller.ended(2), "failure output_not_transferable");
    assert.equal(await caller.ended(3), "failure unknown_api");
    assert.deepEqual(caller.heard(1), ["item 0", "item 1", "item 2", "failure broke_off"]);
    assert.deepEqual(caller.heard(2), ["item 1", "failure output_not_transferable"]);
  });

  it("never lets a stream that its deadline cut look complete", async () => {
    const { caller, clock } = await serve();
    caller.open(1, "count", { items: 1000, bytes: 0 }, "100");
    caller.open(2, "pause", "a", "100");
    for (let i = 0; i < 50; i++) await settle();
    clock.advance(120);
    assert.equal(await caller.ended(1), "failure deadline_exceeded");
    assert.equal(await caller.ended(2), "failure deadline_exceeded");
  });

  it("fails a unary api that is asked for a stream, and a stream that is asked for one answer", async () => {
    const { caller } = await serve();
    caller.open(1, "echo", 1);
    caller.call(2, "count", { items: 3, bytes: 0 });
    for (const id of [1, 2]) assert.match(await caller.ended(id), /^failure/);
  });
});

describe("ChannelServer, when the other side breaks the wire", () => {
  const calls = async (): Promise<Caller> => (await serve()).caller;

  it("refuses a first frame that is no hello, and a second hello", async () => {
    const { caller, replica } = await serve();
    assert.throws(() => caller.channel.greet("Wire#0"), { id: "malformed_frame" });
    const channel = new FakeChannel();
    new ChannelServer(channel, replica, () => {});
    assert.throws(() => channel.receive("call", 1, "echo"), { id: "malformed_frame" });
    assert.throws(() => channel.greet("Wire#1"), {
      id: "malformed_frame",
      message: /it answers for Wire#1, not Wire#0/,
    });
  });

  it("refuses kinds that a caller does not send", async () => {
    const { channel } = await calls();
    for (const kind of ["reply", "ping", "pong", "drain", "slab", "release"] as const) {
      assert.throws(() => channel.receive(kind, 1), { id: "malformed_frame", message: /a caller does not send/ });
    }
    for (const kind of [0, 14, 255]) {
      assert.throws(() => channel.receive("call", 0, "", { kind }), { id: "malformed_frame" });
    }
  });

  it("refuses the number of a call that is still open (TP1), and leaves no deadline of it behind", async () => {
    const { caller, clock, control } = await serve();
    caller.call(1, "hold", "a");
    const timers = clock.pendingTimers;
    assert.throws(() => caller.call(1, "hold", "b", 0, "1000"), {
      id: "malformed_frame",
      message: /call 1 is still open/,
    });
    assert.equal(clock.pendingTimers, timers);
    assert.deepEqual(control.started, ["a"]);
  });

  it("refuses a head of fewer than six texts, and a time left that is none", async () => {
    const { channel } = await calls();
    const heads = [
      "",
      "echo",
      "echo\n1\nCaller\nask\n[]",
      "echo\n\nC\na\n[]\n1",
      "echo\nsoon\nC\na\n[]\n1",
      "echo\nNaN\nC\na\n[]\n1",
    ];
    for (const head of heads) assert.throws(() => channel.receive("call", 1, head), { id: "malformed_frame" }, head);
  });

  it("takes any number for the time left, and lets no call without any live on", async () => {
    const { caller, clock, replica } = await serve();
    const timesLeft = ["Infinity", "-Infinity", "0", "-1", "1e308", "-1e308", "5e-324", "0x10", "1e15"];
    for (const [i, timeLeft] of timesLeft.entries()) caller.open(i + 1, "pause", String(i), timeLeft);
    for (let i = 0; i < 10; i++) await settle();
    clock.advance(20);
    for (let i = 0; i < 20; i++) await settle();
    assert.equal(replica.inFlight, 3);
  });

  it("refuses a credit that is no count, or for more than was sent", async () => {
    const { caller, control } = await serve();
    caller.open(1, "count", { items: 1000, bytes: 0 });
    for (let i = 0; i < 50; i++) await settle();
    for (const head of [
      "",
      "0",
      "-1",
      "1.5",
      "x",
      "NaN",
      "Infinity",
      String(windowItems + 1),
      String(Number.MAX_SAFE_INTEGER),
      "1e300",
    ]) {
      assert.throws(() => caller.channel.receive("credit", 1, head), { id: "malformed_frame" }, head);
    }
    caller.channel.receive("credit", 1, String(windowItems));
    for (let i = 0; i < 50; i++) await settle();
    assert.equal(control.produced, 2 * windowItems);
  });

  it("refuses a value that is none", async () => {
    const { channel } = await calls();
    for (const text of ["", "{", "undefined", "[1,"]) {
      assert.throws(() => channel.receive("call", 1, `echo\nInfinity\nC\na\n${context}\n${text}`));
    }
  });
});
