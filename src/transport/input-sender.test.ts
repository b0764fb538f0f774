import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeChannel } from "../../test/transport/fake-channel.js";
import { openCall } from "../../test/transport/open-call.js";
import { splitItems } from "../../test/transport/split-items.js";
import { fail } from "../failure/failures.js";
import { ServingError } from "../failure/serving-error.js";
import { frameFlags } from "./frame.js";
import { PeerLink } from "./peer-link.js";
import { windowBytes, windowItems } from "./peer-stream.js";
import { decodeError, encodeError } from "./wire-error.js";

const settle = () => new Promise(setImmediate);
const enough = encodeError(fail("cancelled", { reason: "enough" }));

/** A producer that counts what it made. */
function createProducer(most = Number.POSITIVE_INFINITY, make: (i: number) => unknown = (i) => i) {
  const counts = { made: 0, ended: 0 };
  async function* produce() {
    try {
      while (counts.made < most) yield make(counts.made++);
    } finally {
      counts.ended++;
    }
  }
  return Object.assign(counts, { items: produce() });
}

/** A call whose input is a stream, and whose callee is the test. */
function sendCall(items: AsyncIterable<unknown> | Iterable<unknown>) {
  const channel = new FakeChannel();
  const link = new PeerLink("Wire#0", channel, { opened: () => {}, draining: () => {}, closed: () => {} });
  channel.greet("Wire#0");
  const call = openCall("sum", undefined, { items });
  link.send(call.scope);
  const sent = () => splitItems(channel.sentOf("item")).map(({ head }) => JSON.parse(head));
  return { channel, link, sent, ...call };
}

/** The same, once the callee has begun to read. */
async function beginCall(items: AsyncIterable<unknown> | Iterable<unknown>) {
  const call = sendCall(items);
  call.channel.receive("credit", 1, "0");
  for (let i = 0; i < 100; i++) await settle();
  return call;
}

describe("InputSender", () => {
  it("sends a call that says that items follow, and none before the callee asks", async () => {
    const producer = createProducer();
    const { channel, sent } = sendCall(producer.items);
    await settle();
    const [call] = channel.sentOf("call");
    assert.equal(call?.flags, frameFlags.fed);
    assert.ok(call?.head.endsWith("\n"));
    assert.deepEqual([sent(), producer.made], [[], 0]);
  });

  it("sends its items in order, then the end", async () => {
    const { channel, sent, answer } = await beginCall([1, 2, 3]);
    assert.deepEqual(sent(), [1, 2, 3]);
    assert.equal(channel.sentOf("end").length, 1);
    channel.receive("reply", 1, "6");
    assert.equal(await answer, 6);
  });

  it("sends a window of items, and as many more as were taken", async () => {
    const producer = createProducer();
    const { channel, sent } = await beginCall(producer.items);
    assert.deepEqual([sent().length, producer.made], [windowItems, windowItems]);
    channel.receive("credit", 1, "5");
    for (let i = 0; i < 100; i++) await settle();
    assert.deepEqual([sent().length, producer.made], [windowItems + 5, windowItems + 5]);
  });

  it("sends a window of bytes", async () => {
    const producer = createProducer(Number.POSITIVE_INFINITY, () => "x".repeat(windowBytes / 4));
    const { sent } = await beginCall(producer.items);
    assert.deepEqual([sent().length, producer.made], [4, 4]);
  });

  it("tells how its producer failed, in place of the end", async () => {
    async function* produce() {
      yield 1;
      throw new ServingError({ code: "data_loss", id: "torn_page", message: "torn" });
    }
    const { channel, sent } = await beginCall(produce());
    assert.deepEqual(sent(), [1]);
    assert.deepEqual(
      channel.sentOf("failure").map(({ head }) => decodeError(head).id),
      ["torn_page"],
    );
    assert.deepEqual(channel.sentOf("end"), []);
  });

  it("ends its producer when the callee wants no more, and the call goes on (SI2)", async () => {
    const producer = createProducer();
    const { channel, link, sent, answer } = await beginCall(producer.items);
    channel.receive("cancel", 1, enough);
    for (let i = 0; i < 20; i++) await settle();
    assert.deepEqual([producer.ended, link.inFlight, sent().length], [1, 1, windowItems]);
    assert.deepEqual(channel.sentOf("end"), []);
    channel.receive("credit", 1, "16");
    channel.receive("reply", 1, "496");
    assert.equal(await answer, 496);
  });

  it("ends its producer when the callee wants none at all", async () => {
    const producer = createProducer();
    const { channel } = sendCall(producer.items);
    await producer.items.next();
    channel.receive("cancel", 1, enough);
    await settle();
    assert.equal(producer.ended, 1);
  });

  it("ends its producer with the call: answered, cancelled, or its channel gone (SI3)", async () => {
    for (const end of ["reply", "cancel", "channel"] as const) {
      const producer = createProducer();
      const { channel, scope, answer, sent } = await beginCall(producer.items);
      if (end === "reply") channel.receive("reply", 1, "1");
      else if (end === "cancel") scope.cancel(fail("cancelled", { reason: "enough" }));
      else channel.end();
      await answer.catch(() => {});
      for (let i = 0; i < 20; i++) await settle();
      assert.deepEqual([end, producer.ended, sent().length], [end, 1, windowItems]);
      assert.deepEqual(channel.sentOf("end"), []);
    }
  });

  it("refuses what breaks the wire: credit for what was not sent, or none at the wrong time", async () => {
    const malformed = { id: "malformed_frame" };
    const { channel } = sendCall(createProducer().items);
    for (const head of ["1", "", "-1", "x"]) assert.throws(() => channel.receive("credit", 1, head), malformed);
    channel.receive("credit", 1, "0");
    for (let i = 0; i < 100; i++) await settle();
    for (const head of ["0", String(windowItems + 1), "1.5", "NaN"])
      assert.throws(() => channel.receive("credit", 1, head), malformed);
    const plain = openCall("echo");
    const other = new FakeChannel();
    const link = new PeerLink("Wire#0", other, { opened: () => {}, draining: () => {}, closed: () => {} });
    other.greet("Wire#0");
    link.send(plain.scope);
    for (const kind of ["credit", "cancel"] as const) assert.throws(() => other.receive(kind, 1, "0"), malformed);
    // Of a call that was answered, or never made, they crossed with the answer.
    for (const kind of ["credit", "cancel"] as const) other.receive(kind, 2, "0");
  });
});
