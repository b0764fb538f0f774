import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeChannel } from "../../test/transport/fake-channel.js";
import { startReplica } from "../../test/transport/start-replica.js";
import { createWireService, WireControl } from "../../test/transport/wire-service.js";
import { fail } from "../failure/failures.js";
import { frameFlags } from "../transport/frame.js";
import { windowItems } from "../transport/peer-stream.js";
import { decodeError, encodeError } from "../transport/wire-error.js";
import { ChannelServer } from "./serve-channel.js";

const settle = async (turns = 20) => {
  for (let i = 0; i < turns; i++) await new Promise(setImmediate);
};
const creditItems = windowItems / 2;
const malformed = { id: "malformed_frame" };
const broken = fail("injected_failure", { reason: "in the middle" }, { service: "Caller", api: "ask" });

/** A replica whose caller is the test. */
async function serve() {
  const control = new WireControl();
  const replica = await startReplica(createWireService(control));
  const channel = new FakeChannel();
  new ChannelServer(channel, replica, () => {});
  channel.greet("Wire#0");
  const call = (id: number, api: string, flags: number = frameFlags.fed, input = "") =>
    channel.receive("call", id, `${api}\nInfinity\nCaller\nask\n[]\n${input}`, { flags });
  const credits = () => channel.sentOf("credit").map(({ head }) => head);
  const read = async (from: number, to: number) => {
    for (let i = from; i <= to; i++) control.hold(`read ${i}`).resolve("");
    await settle(to - from + 20);
  };
  return { control, replica, channel, call, credits, read };
}

describe("InputReceiver", () => {
  it("asks for items when the api reads, gives credit for what it took, and ends", async () => {
    const { channel, call, credits } = await serve();
    call(1, "sum");
    assert.deepEqual(credits(), ["0"]);
    for (let i = 0; i < creditItems + 4; i++) channel.receive("item", 1, "2");
    await settle(200);
    assert.deepEqual(credits(), ["0", String(creditItems)]);
    channel.receive("end", 1);
    await settle();
    assert.deepEqual(
      channel.sentOf("reply").map(({ head }) => head),
      [String(2 * (creditItems + 4))],
    );
  });

  it("gives no credit for what waits to be read", async () => {
    const { channel, call, credits, control, read } = await serve();
    call(1, "readSlowly");
    assert.deepEqual(credits(), []);
    await read(1, 1);
    assert.deepEqual(credits(), ["0"]);
    for (let i = 0; i < windowItems; i++) channel.receive("item", 1, "0");
    await read(2, creditItems - 1);
    assert.deepEqual([control.taken, credits()], [creditItems - 1, ["0"]]);
    await read(creditItems, creditItems);
    assert.deepEqual(credits(), ["0", String(creditItems)]);
  });

  it("says when the api has read enough, once, and drops what still comes", async () => {
    const { channel, call, control, read } = await serve();
    call(1, "readSlowly");
    await read(1, 1);
    channel.receive("item", 1, "0");
    control.hold("read 2").resolve("enough");
    await settle();
    const [cancel, ...more] = channel.sentOf("cancel");
    assert.deepEqual([cancel?.id, more], [1, []]);
    channel.receive("item", 1, "0");
    channel.receive("end", 1);
    control.hold("after reading").resolve("");
    await settle();
    assert.deepEqual(
      channel.sentOf("reply").map(({ head }) => head),
      ["1"],
    );
    // It crossed with the answer.
    for (const kind of ["item", "end", "failure"] as const) channel.receive(kind, 1, "0");
  });

  it("says so too when the api read nothing, and when the call ends", async () => {
    const { channel, call, control } = await serve();
    call(1, "readSlowly");
    control.hold("read 1").resolve("enough");
    await settle();
    assert.deepEqual(channel.sentOf("cancel").length, 1);
  });

  it("fails its reader as the producer failed, after the items that came before", async () => {
    const { channel, call, control, read } = await serve();
    call(1, "readSlowly");
    await read(1, 1);
    for (let i = 0; i < 3; i++) channel.receive("item", 1, "0");
    channel.receive("failure", 1, encodeError(broken));
    await read(2, 4);
    assert.equal(control.taken, 3);
    const [failure] = channel.sentOf("failure").map(({ head }) => decodeError(head));
    assert.deepEqual([failure?.id, failure?.service], ["injected_failure", "Caller"]);
  });

  it("fails its reader when the call is cancelled or the channel ends, and drops what waits", async () => {
    for (const end of ["cancel", "channel"] as const) {
      const { channel, call, control, read, replica } = await serve();
      call(1, "readSlowly");
      await read(1, 2);
      channel.receive("item", 1, "0");
      await settle();
      if (end === "cancel") channel.receive("cancel", 1, encodeError(fail("cancelled", { reason: "enough" })));
      else channel.end();
      await settle();
      assert.match(control.cancelled.join(), end === "cancel" ? /enough/ : /link has ended/);
      assert.equal(replica.inFlight, 0);
    }
  });

  it("carries streams both ways under one number", async () => {
    const { channel, call } = await serve();
    call(1, "through", frameFlags.fed | frameFlags.stream);
    await settle();
    for (const head of ['"a"', '"b"']) channel.receive("item", 1, head);
    await settle();
    channel.receive("end", 1);
    await settle();
    assert.deepEqual(
      channel.sentOf("item").map(({ head, flags }) => [head, flags]),
      [['"a"\n"b"', frameFlags.several]],
    );
    assert.equal(channel.sentOf("end").length, 1);
  });

  it("checks each item, and names the one that is wrong", async () => {
    const { channel, call } = await serve();
    call(1, "sum");
    for (const head of ["1", "2", '"three"']) channel.receive("item", 1, head);
    await settle();
    const [failure] = channel.sentOf("failure").map(({ head }) => decodeError(head));
    assert.equal(failure?.id, "invalid_input");
    assert.match(String(failure?.message), /^\[2\]: /);
    assert.equal(channel.sentOf("cancel").length, 1);
  });

  it("refuses what breaks the wire", async () => {
    const { channel, call } = await serve();
    call(1, "readSlowly");
    for (const kind of ["item", "end", "failure"] as const) {
      assert.throws(() => channel.receive(kind, 1, "0"), { ...malformed, message: /nobody has asked for/ });
    }
    call(2, "sum");
    channel.receive("end", 2);
    for (const kind of ["item", "end", "failure"] as const) {
      assert.throws(() => channel.receive(kind, 2, "0"), { ...malformed, message: /has ended/ });
    }
    call(3, "hold", 0, '"a"');
    for (const kind of ["item", "end", "failure"] as const) {
      assert.throws(() => channel.receive(kind, 3, "0"), { ...malformed, message: /whose input is no stream/ });
    }
    call(4, "sum");
    assert.throws(
      () => {
        for (let i = 0; i <= windowItems; i++) channel.receive("item", 4, "1");
      },
      { ...malformed, message: /beyond the window/ },
    );
    call(5, "sum");
    assert.throws(() => channel.receive("item", 5, "{"), malformed);
    assert.throws(() => call(6, "sum", frameFlags.fed, "1"), { ...malformed, message: /has an input besides/ });
    // Numbers nobody has: an answer may have crossed with them.
    for (const kind of ["item", "end", "failure"] as const) channel.receive(kind, 99, "0");
  });

  it("leaves an api whose input is no stream to its check", async () => {
    const { channel, call } = await serve();
    call(1, "hold");
    await settle();
    call(2, "sum", 0, "7");
    const failures = channel.sentOf("failure").map(({ head }) => decodeError(head));
    assert.deepEqual(
      failures.map(({ id }) => id),
      ["invalid_input", "invalid_input"],
    );
    call(3, "sum", 0, "[1,2]");
    await settle();
    assert.deepEqual(
      channel.sentOf("reply").map(({ head }) => head),
      ["3"],
    );
  });
});
