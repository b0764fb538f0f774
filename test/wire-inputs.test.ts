import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fail } from "../src/failure/failures.js";
import { windowItems } from "../src/transport/peer-stream.js";
import { openCall } from "./transport/open-call.js";
import { openItems } from "./transport/open-items.js";
import { channelKinds, createWireReplica, type OpenWire } from "./transport/open-wire.js";

type Items = AsyncIterable<unknown> | Iterable<unknown>;

const call = (wire: OpenWire, api: string, items: Items) => {
  const made = openCall(api, undefined, { items });
  wire.link.send(made.scope);
  return made;
};

/** Resolves when a condition holds; checks it once per turn of the event loop. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(setImmediate);
}

const turns = async (count: number) => {
  for (let i = 0; i < count; i++) await new Promise(setImmediate);
};

/** Endless producer, with its progress. */
function createProducer(bytes: number) {
  const counts = { made: 0, ended: 0 };
  async function* produce() {
    try {
      for (;;) yield bytes === 0 ? counts.made++ : new Uint8Array(bytes).fill(counts.made++);
    } finally {
      counts.ended++;
    }
  }
  return Object.assign(counts, { items: produce() });
}

for (const [kind, { skip, join }] of Object.entries(channelKinds)) {
  const connect = async () => {
    const served = await createWireReplica();
    return { ...served, wire: await served.connect(await join()) };
  };

  describe(`inputs that are streams, over a ${kind}`, { skip }, () => {
    it("bring every item, whatever its size", async () => {
      const { wire } = await connect();
      await using _ = wire;
      const numbers = Array.from({ length: 1000 }, (_, i) => i);
      assert.equal(await call(wire, "sum", numbers).answer, 499_500);
      for (const bytes of [10, 100_000, 1024 ** 2]) {
        const { scope } = openCall("through", undefined, {
          items: Array.from({ length: 20 }, (_, i) => new Uint8Array(bytes).fill(i)),
        });
        let read = 0;
        for await (const item of openItems(wire.link, scope))
          assert.deepEqual(item, new Uint8Array(bytes).fill(read++));
        assert.equal(read, 20);
      }
      await until(() => wire.link.inFlight === 0);
    });

    it("let a producer be a window ahead of a slow reader, and no more", async () => {
      for (const { bytes, ahead } of [
        { bytes: 0, ahead: windowItems },
        { bytes: 1024 ** 2, ahead: 1 },
        { bytes: 300_000, ahead: 4 },
      ]) {
        const { wire, control } = await connect();
        await using _ = wire;
        const producer = createProducer(bytes);
        const { answer } = call(wire, "readSlowly", producer.items);
        await turns(10);
        assert.equal(producer.made, 0);
        for (let read = 1; read <= 40; read++) {
          control.hold(`read ${read}`).resolve("");
          await until(() => control.taken === read);
          if (read % 8 === 0) await turns(20);
          assert.ok(producer.made <= read + ahead, `${producer.made} made, ${read} read`);
        }
        control.hold("read 41").resolve("enough");
        await until(() => producer.ended === 1);
        assert.equal(wire.link.inFlight, 1);
        control.hold("after reading").resolve("");
        assert.equal(await answer, 40);
      }
    });

    it("end with their call, and with the link", async () => {
      const { wire, control, replica } = await connect();
      await using _ = wire;
      for (const end of ["cancel", "link"] as const) {
        const producer = createProducer(0);
        const { scope, answer } = call(wire, "sum", producer.items);
        await until(() => producer.made > 200);
        if (end === "cancel") scope.cancel(fail("cancelled", { reason: "enough" }));
        else wire.ends[1].close();
        await assert.rejects(answer, { id: end === "cancel" ? "cancelled" : "replica_lost" });
        await until(() => producer.ended === 1 && replica.inFlight === 0 && wire.link.inFlight === 0);
        const { made } = producer;
        await turns(20);
        assert.equal(producer.made, made);
      }
      assert.ok(control.taken > 0);
    });

    it("go beside each other and beside calls; one that is not read holds up no other", async () => {
      const { wire, control } = await connect();
      await using _ = wire;
      const stuck = createProducer(50_000);
      const waiting = call(wire, "readSlowly", stuck.items);
      control.hold("read 1").resolve("");
      await until(() => control.taken === 1);
      const sums = Array.from(
        { length: 20 },
        (_, i) =>
          call(
            wire,
            "sum",
            Array.from({ length: i * 20 }, () => 1),
          ).answer,
      );
      assert.deepEqual(
        await Promise.all(sums),
        Array.from({ length: 20 }, (_, i) => i * 20),
      );
      waiting.scope.cancel(fail("cancelled", { reason: "enough" }));
      control.release();
      await until(() => stuck.ended === 1);
    });
  });
}
