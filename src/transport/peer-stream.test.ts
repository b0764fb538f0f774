import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Random } from "../../test/http/random.js";
import { FakeChannel } from "../../test/transport/fake-channel.js";
import { openCall } from "../../test/transport/open-call.js";
import { openItems } from "../../test/transport/open-items.js";
import { fail } from "../failure/failures.js";
import { type EncodedValue, encodeValue } from "./encode-value.js";
import { frameFlags } from "./frame.js";
import { PeerLink } from "./peer-link.js";
import { itemBytes, itemsTogether, windowBytes, windowItems } from "./peer-stream.js";
import { encodeError } from "./wire-error.js";

const settle = () => new Promise(setImmediate);
const broken = fail("injected_failure", { reason: "in the middle" }, { service: "Wire", api: "count" });

/** A streaming call whose producer is the test. */
function openStream() {
  const channel = new FakeChannel();
  const link = new PeerLink("Wire#0", channel, { opened: () => {}, draining: () => {}, closed: () => {} });
  channel.greet("Wire#0");
  const call = openCall("count", 5);
  const items = openItems(link, call.scope);
  const credits = () => channel.sentOf("credit").map(({ head }) => Number(head));
  return { channel, link, items, credits, ...call };
}

/** The same, with its first `next()` under way. */
async function startStream() {
  const stream = openStream();
  const first = stream.items.next();
  await settle();
  return { ...stream, first };
}

describe("PeerStream", () => {
  it("sends nothing before the first item is asked for, then a call that asks for a stream", async () => {
    const { channel, items, link } = openStream();
    await settle();
    assert.deepEqual([channel.sentOf("call"), link.inFlight], [[], 0]);
    const step = items.next();
    await settle();
    assert.equal((channel.sentOf("call")[0]?.flags ?? 0) & frameFlags.stream, frameFlags.stream);
    channel.receive("item", 1, "7");
    assert.deepEqual(await step, { done: false, value: 7 });
  });

  it("gives items in order, those that came before they were asked for too, then ends (SS3)", async () => {
    const { channel, first, items, link } = await startStream();
    for (let i = 0; i < 10; i++) channel.receive("item", 1, String(i));
    channel.receive("end", 1);
    assert.equal(link.inFlight, 0);
    assert.deepEqual(await first, { done: false, value: 0 });
    const rest: unknown[] = [];
    for await (const item of items) rest.push(item);
    assert.deepEqual(rest, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert.deepEqual(await items.next(), { done: true, value: undefined });
  });

  it("ends at once when the producer has none", async () => {
    const { channel, first } = await startStream();
    channel.receive("end", 1);
    assert.deepEqual(await first, { done: true, value: undefined });
  });

  it("gives the items that came before a failure, then the failure once (SS1)", async () => {
    const { channel, first, items } = await startStream();
    for (const head of ["1", "2"]) channel.receive("item", 1, head);
    channel.receive("failure", 1, encodeError(broken));
    assert.deepEqual((await first).value, 1);
    assert.deepEqual((await items.next()).value, 2);
    await assert.rejects(items.next(), { id: "injected_failure", service: "Wire", api: "count" });
    assert.deepEqual(await items.next(), { done: true, value: undefined });
  });

  it("gives the items that came before the channel ended, then replica_lost", async () => {
    const { channel, first, items } = await startStream();
    for (const head of ["1", "2"]) channel.receive("item", 1, head);
    channel.end();
    assert.deepEqual([(await first).value, (await items.next()).value], [1, 2]);
    await assert.rejects(items.next(), { id: "replica_lost" });
  });

  it("tells the producer when its reader ends early, once, and drops what still comes (TP4)", async () => {
    const { channel, first, items, link } = await startStream();
    channel.receive("item", 1, "1");
    await first;
    await items.return?.();
    await items.return?.();
    const [cancel, ...more] = channel.sentOf("cancel");
    assert.equal(cancel?.id, 1);
    assert.match(String(cancel?.head), /its reader has ended the stream/);
    assert.deepEqual(more, []);
    channel.receive("item", 1, "2");
    assert.equal(link.inFlight, 1);
    channel.receive("end", 1);
    assert.equal(link.inFlight, 0);
    assert.deepEqual(await items.next(), { done: true, value: undefined });
  });

  it("ends a next() that is under way when its reader ends early (SS2)", async () => {
    const { first, items } = await startStream();
    await items.return?.();
    assert.deepEqual(await first, { done: true, value: undefined });
  });

  it("tells the producer of a cancelled call once, with the reason", async () => {
    const { channel, scope, items } = await startStream();
    scope.cancel(fail("cancelled", { reason: "the client has gone" }));
    await items.return?.();
    const [cancel, ...more] = channel.sentOf("cancel");
    assert.match(String(cancel?.head), /the client has gone/);
    assert.deepEqual(more, []);
  });

  it("sends no call when it ends before the first item, or while its input is read", async () => {
    const { channel, items, link } = openStream();
    await items.return?.();
    assert.deepEqual(await items.next(), { done: true, value: undefined });
    const late = openItems(link, openCall("count", new Blob(["input"])).scope);
    const step = late.next();
    await late.return?.();
    for (let i = 0; i < 20; i++) await settle();
    assert.deepEqual(channel.sent.slice(1), []);
    assert.equal(link.inFlight, 0);
    void step;
  });

  it("keeps two streams of one link apart", async () => {
    const { channel, link, items, first } = await startStream();
    const other = openItems(link, openCall("count").scope);
    const otherFirst = other.next();
    await settle();
    channel.receive("item", 2, "20");
    channel.receive("item", 1, "10");
    channel.receive("end", 2);
    channel.receive("item", 1, "11");
    channel.receive("end", 1);
    assert.deepEqual([(await first).value, (await items.next()).value, (await items.next()).done], [10, 11, true]);
    assert.deepEqual([(await otherFirst).value, (await other.next()).done], [20, true]);
  });
});

describe("several items in one frame", () => {
  const several = { flags: frameFlags.several };
  const malformed = { id: "malformed_frame" };

  it("are given one by one, and count one by one", async () => {
    const { channel, first, items, credits } = await startStream();
    const texts = Array.from({ length: itemsTogether }, (_, i) => String(i));
    for (let i = 0; i < 4; i++) channel.receive("item", 1, texts.join("\n"), several);
    assert.throws(() => channel.receive("item", 1, "1\n2", several), { ...malformed, message: /beyond the window/ });
    assert.equal((await first).value, 0);
    for (let i = 1; i < windowItems; i++) assert.equal((await items.next()).value, i % itemsTogether);
    assert.deepEqual(credits(), [windowItems / 2, windowItems / 2]);
  });

  it("are plain values, without tails or marks, and no more than may share a frame", async () => {
    const wrong: readonly [head: string, more: object][] = [
      ["1\n{", several],
      ["1\n", several],
      ["1\n2", { flags: frameFlags.several | frameFlags.marked }],
      ["1\n2", { ...several, tails: [new Uint8Array(1)] }],
      [Array.from({ length: itemsTogether + 1 }, () => "1").join("\n"), several],
    ];
    for (const [head, more] of wrong) {
      const { channel } = await startStream();
      assert.throws(() => channel.receive("item", 1, head, more), malformed, head.slice(0, 20));
    }
  });
});

describe("the credit of a PeerStream", () => {
  it("is given for what was read, not for what has come, half a window at a time", async () => {
    const { channel, first, items, credits } = await startStream();
    for (let i = 0; i < windowItems; i++) channel.receive("item", 1, String(i));
    await first;
    await settle();
    assert.deepEqual(credits(), []);
    for (let read = 1; read < windowItems; read++) {
      await items.next();
      assert.equal(credits().length, Math.floor((read + 1) / (windowItems / 2)), `after ${read + 1} items`);
    }
    assert.deepEqual(credits(), [windowItems / 2, windowItems / 2]);
  });

  it("is given earlier for large items, by their bytes", async () => {
    const { channel, first, items, credits } = await startStream();
    const head = JSON.stringify("x".repeat(200_000));
    for (let i = 0; i < 5; i++) channel.receive("item", 1, head);
    await first;
    for (let i = 0; i < 4; i++) await items.next();
    assert.deepEqual(credits(), [3]);
    channel.receive("item", 1, JSON.stringify("x".repeat(windowBytes)));
    await items.next();
    assert.deepEqual(credits(), [3, 3]);
    for (const wanted of [4, 5]) {
      channel.receive("item", 1, JSON.stringify("x".repeat(windowBytes)));
      await items.next();
      assert.equal(credits().length, wanted - 1);
    }
    assert.deepEqual(credits(), [3, 3, 1, 1]);
  });

  it("is what the producer keeps to: one item more than the window has room for breaks the wire", async () => {
    const beyond = { id: "malformed_frame", message: /beyond the window/ };
    const many = await startStream();
    for (let i = 0; i < windowItems; i++) many.channel.receive("item", 1, "0");
    assert.throws(() => many.channel.receive("item", 1, "0"), beyond);
    const large = await startStream();
    const head = JSON.stringify("x".repeat(windowBytes / 2));
    // The first is taken as it comes; two that wait fill the window.
    for (let i = 0; i < 3; i++) large.channel.receive("item", 1, head);
    assert.throws(() => large.channel.receive("item", 1, head), beyond);
    await large.first;
    await large.items.next();
    large.channel.receive("item", 1, head);
  });

  it("is not given any more once the stream has ended", async () => {
    const { channel, first, items, credits } = await startStream();
    for (let i = 0; i < 20; i++) channel.receive("item", 1, "0");
    channel.receive("end", 1);
    await first;
    for (let i = 1; i < 20; i++) await items.next();
    assert.deepEqual(credits(), []);
  });

  it("never lets both sides wait for each other, whatever the sizes of items", async () => {
    const random = new Random(1);
    for (let round = 0; round < 60; round++) {
      const { channel, first, items, credits } = await startStream();
      const ahead: number[] = [];
      let [sent, read, credited] = [0, 0, 0];
      // A producer that does as docs/reference/wire.md says.
      const produce = () => {
        for (const count of credits().slice(credited)) ahead.splice(0, count);
        credited = credits().length;
        while (sent < 200 && ahead.length < windowItems && ahead.reduce((sum, bytes) => sum + bytes, 0) < windowBytes) {
          const item = new Uint8Array(random.pick([0, 10, 30_000, 70_000, 300_000, 600_000, 1_100_000]));
          const { text, tails } = encodeValue(item, "output") as EncodedValue;
          ahead.push(itemBytes(text, tails));
          sent++;
          channel.receive("item", 1, text, { tails, flags: frameFlags.marked });
        }
      };
      produce();
      for (let step = await first; read < 200; step = await items.next()) {
        assert.equal(step.done, false);
        read++;
        if (random.chance(0.6) || read === sent) produce();
        if (read === 200) break;
        assert.ok(sent > read, `round ${round}: the producer may not send, and all ${read} items were read`);
        assert.ok(sent - read <= windowItems);
      }
    }
  });
});
