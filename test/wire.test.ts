import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { describe, it } from "node:test";
import { createDeferred } from "../src/base/clock.js";
import { systemTime } from "../src/call/call-scope.js";
import { fail } from "../src/failure/failures.js";
import { ReplicaListener } from "../src/runtime/replica-listener.js";
import { PeerLink } from "../src/transport/peer-link.js";
import { windowItems } from "../src/transport/peer-stream.js";
import { SocketChannel } from "../src/transport/socket-channel.js";
import { Random } from "./http/random.js";
import { fuzzWire } from "./transport/fuzz.js";
import { type CallWish, openCall } from "./transport/open-call.js";
import { openItems } from "./transport/open-items.js";
import { channelKinds, createWireReplica, type OpenWire } from "./transport/open-wire.js";
import { createBytes } from "./transport/random-frame.js";
import { createAddress } from "./transport/socket-pair.js";

const call = (wire: { readonly link: PeerLink }, api: string, input?: unknown, wish?: CallWish) => {
  const made = openCall(api, input, wish);
  wire.link.send(made.scope);
  return made;
};

const ask = (wire: { readonly link: PeerLink }, api: string, input?: unknown) => call(wire, api, input).answer;

/** Stream whose scope ends with it, as a handle would have it. */
const open = (wire: OpenWire, api: string, input: unknown) => {
  const { scope } = openCall(api, input);
  return { scope, items: openItems(wire.link, scope) };
};

/** Resolves when a condition holds; checks it once per turn of the event loop. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(setImmediate);
}

const turns = async (count: number) => {
  for (let i = 0; i < count; i++) await new Promise(setImmediate);
};

for (const [kind, { skip, join }] of Object.entries(channelKinds)) {
  const connect = async () => {
    const served = await createWireReplica();
    const joined = await join();
    return { ...served, wire: await served.connect(joined) };
  };

  describe(`a link over a ${kind}`, { skip }, () => {
    it("answers calls of any size, many at once and in whatever order they end", async () => {
      const { wire, control } = await connect();
      await using _ = wire;
      const random = new Random(1);
      const inputs = Array.from({ length: 120 }, (_, i) => {
        const size = random.pick([0, 100, 5000, 70_000, 400_000]);
        return random.chance(0.5) ? { i, text: "é".repeat(size / 10) } : createBytes(random, size);
      });
      const answers = inputs.map((input) => ask(wire, "echo", input));
      const held = Array.from({ length: 30 }, (_, i) => ask(wire, "stubborn", `k${i}`));
      assert.equal(wire.link.inFlight, 150);
      assert.deepEqual(await Promise.all(answers), inputs);
      for (let i = 29; i >= 0; i--) control.hold(`k${i}`).resolve(`v${i}`);
      assert.deepEqual(
        await Promise.all(held),
        Array.from({ length: 30 }, (_, i) => `v${i}`),
      );
      assert.equal(wire.link.inFlight, 0);
    });

    it("brings over tensors, files, and every failure", async () => {
      const { wire } = await connect();
      await using _ = wire;
      const image = new Float32Array(150_000).map((_, i) => i / 7);
      const value = { image, at: new Date(0), id: 2n ** 80n, odd: [Number.NaN, undefined] };
      assert.deepEqual(await ask(wire, "echo", value), value);
      const file = (await ask(wire, "file", new Blob(["x".repeat(100_000)]))) as Blob;
      assert.equal(await file.text(), `${"x".repeat(100_000)}!`);
      await assert.rejects(ask(wire, "refuse"), {
        id: "no_such_page",
        details: { page: 7 },
        service: "Wire",
        api: "refuse",
      });
      await assert.rejects(ask(wire, "crash"), { id: "unhandled_error", message: "a bug", incident: /./ });
      await assert.rejects(ask(wire, "huge"), { id: "payload_too_large" });
      assert.equal(await ask(wire, "echo", 1), 1);
    });

    it("keeps caller and callee from sharing memory", async () => {
      const { wire } = await connect();
      await using _ = wire;
      const input = new Uint8Array(200_000).fill(1);
      const answer = ask(wire, "echo", input);
      input.fill(2);
      const output = (await answer) as Uint8Array;
      assert.ok(output.every((byte) => byte === 1));
      assert.notEqual(output.buffer, input.buffer);
      assert.ok(input.every((byte) => byte === 2));
    });

    it("cancels a call on the other side", async () => {
      const { wire, control } = await connect();
      await using _ = wire;
      const { scope, answer } = call(wire, "hold", "a");
      await until(() => control.started.length === 1);
      scope.cancel(fail("cancelled", { reason: "enough" }));
      await assert.rejects(answer, { id: "cancelled" });
      assert.equal(wire.link.inFlight, 1);
      await until(() => wire.link.inFlight === 0);
      assert.deepEqual(control.cancelled, ["the call was cancelled: enough"]);
    });

    it("gives the items of a stream, whatever their size", async () => {
      const { wire, control } = await connect();
      await using _ = wire;
      for (const [items, bytes] of [
        [500, 0],
        [500, 10],
        [12, 1024 ** 2],
        [60, 100_000],
      ] as const) {
        const got: unknown[] = [];
        for await (const item of open(wire, "count", { items, bytes }).items) got.push(item);
        assert.equal(got.length, items);
        const of = (i: number) => (bytes === 0 ? i : new Uint8Array(bytes).fill(i));
        assert.deepEqual(got.at(-1), of(items - 1));
        assert.deepEqual(got[items >> 1], of(items >> 1));
      }
      await until(() => wire.link.inFlight === 0);
      assert.equal(control.ended, 4);
    });

    it("lets a producer be a window ahead of a slow reader, and no more", async () => {
      const { wire, control } = await connect();
      await using _ = wire;
      const cases = [
        { bytes: 10, ahead: windowItems },
        { bytes: 1024 ** 2, ahead: 1 },
        { bytes: 300_000, ahead: 4 },
      ];
      for (const { bytes, ahead } of cases) {
        const before = control.produced;
        const { items } = open(wire, "count", { items: 1000, bytes });
        for (let read = 1; read <= 40; read++) {
          assert.equal((await items.next()).done, false);
          if (read % 8 === 0) await turns(20);
          assert.ok(control.produced - before <= read + ahead, `${control.produced - before} made, ${read} read`);
        }
        await items.return?.();
        await until(() => wire.link.inFlight === 0);
        assert.ok(control.produced - before <= 40 + ahead);
      }
      assert.equal(control.ended, 3);
    });

    it("ends a producer, and runs its finally, when the reader ends early or the call is cancelled", async () => {
      const { wire, control } = await connect();
      await using _ = wire;
      for await (const item of open(wire, "count", { items: 1000, bytes: 0 }).items) if (item === 3) break;
      await until(() => control.ended === 1);
      const { scope, items } = open(wire, "count", { items: 1000, bytes: 0 });
      await items.next();
      // It has filled the window by now, and waits for credit.
      await turns(50);
      scope.cancel(fail("cancelled", { reason: "enough" }));
      await until(() => control.ended === 2 && wire.link.inFlight === 0);
    });

    it("gives what came before a failure, then the failure", async () => {
      const { wire } = await connect();
      await using _ = wire;
      const got: unknown[] = [];
      const read = async () => {
        for await (const item of open(wire, "breakAfter", 100).items) got.push(item);
      };
      await assert.rejects(read, { id: "broke_off", code: "aborted", service: "Wire", api: "breakAfter" });
      assert.equal(got.length, 100);
    });

    it("carries two streams and calls beside each other", async () => {
      const { wire } = await connect();
      await using _ = wire;
      const one = open(wire, "count", { items: 300, bytes: 50_000 }).items;
      const two = open(wire, "count", { items: 300, bytes: 0 }).items;
      // The first stream is not read, so its producer waits; nothing else does.
      await one.next();
      let read = 0;
      for await (const item of two) {
        assert.equal(item, read++);
        if (read % 50 === 0) assert.equal(await ask(wire, "echo", read), read);
      }
      assert.equal(read, 300);
      for (read = 1; (await one.next()).done !== true; ) read++;
      assert.equal(read, 300);
    });

    it("fails calls and streams when it ends, and leaves other links of the replica alone", async () => {
      const { wire, connect: connectMore, control } = await connect();
      const other = await connectMore(await join());
      await using _ = other;
      const kept = ask(other, "stubborn", "kept");
      const lost = [ask(wire, "stubborn", "x"), open(wire, "pause", "y").items.next(), ask(wire, "hold", "z")];
      await until(() => control.started.length === 1);
      await lost[1];
      const late = open(wire, "pause", "late").items;
      await late.next();
      const step = late.next();
      wire.ends[1].close();
      assert.equal(await wire.ended, undefined);
      await assert.rejects(lost[0] as Promise<unknown>, { id: "replica_lost" });
      await assert.rejects(lost[2] as Promise<unknown>, { id: "replica_lost" });
      await assert.rejects(step, { id: "replica_lost" });
      await until(() => control.cancelled.length === 3);
      control.hold("kept").resolve("answered");
      assert.equal(await kept, "answered");
      await wire[Symbol.asyncDispose]();
    });

    it("tells its watcher of a drain, then answers what is in flight", async () => {
      const { wire, control, replica } = await connect();
      await using _ = wire;
      const answer = ask(wire, "stubborn", "a");
      await until(() => replica.inFlight === 1);
      wire.server.announceDrain();
      const drained = replica.drain();
      await wire.draining;
      await assert.rejects(ask(wire, "echo", 1), { id: "draining", service: "Wire" });
      control.hold("a").resolve("b");
      assert.equal(await answer, "b");
      await drained;
    });

    it("gives the input of a call that is refused by a drain back as it was, whatever its caller did to it", async () => {
      const { wire, replica } = await connect();
      await using _ = wire;
      await replica.drain();
      const createInput = () => ({
        text: "é\n",
        list: [1, { at: new Date(0), id: 2n ** 80n }],
        image: new Float32Array(150_000).map((_, i) => i / 7),
        bytes: new Uint8Array([1, 2, 3]),
      });
      const input = createInput();
      const { scope, answer } = call(wire, "echo", input);
      input.text = "changed";
      input.list.push(2);
      // Values sent by reference are read in the same turn, or were copied.
      await turns(1);
      input.image.fill(0);
      input.bytes.fill(0);
      await assert.rejects(answer, { id: "draining", service: "Wire", api: "echo" });
      assert.deepEqual(scope.input.value, createInput());
      assert.equal(scope.input.isOwned, true);
    });

    it("ends a call at its deadline on both sides", async () => {
      const { wire, replica } = await connect();
      await using _ = wire;
      const deadline = systemTime.clock.now() + 30;
      await assert.rejects(call(wire, "hold", "a", { deadline, time: systemTime }).answer, { id: "deadline_exceeded" });
      await until(() => wire.link.inFlight === 0 && replica.inFlight === 0);
    });
  });
}

describe("a replica's listener", () => {
  async function listen() {
    const { replica, control } = await createWireReplica();
    const { address, remove } = createAddress();
    const listener = new ReplicaListener(replica, undefined);
    await listener.listen(address);
    const connect = async () => {
      const socket = net.connect(address);
      await once(socket, "connect");
      socket.on("error", () => {});
      return socket;
    };
    const link = async () => {
      const opened = createDeferred<void>();
      const ended = createDeferred<unknown>();
      const made = new PeerLink("Wire#0", new SocketChannel(await connect(), undefined), {
        opened: () => opened.resolve(),
        draining: () => {},
        closed: ended.resolve,
      });
      await opened.promise;
      return { link: made, ended: ended.promise };
    };
    const close = () => {
      listener.close();
      remove();
    };
    return { replica, control, connect, link, listener, [Symbol.dispose]: close };
  }

  it("serves any number of callers, and ends their links when it closes", async () => {
    using served = await listen();
    const links = await Promise.all(Array.from({ length: 20 }, () => served.link()));
    const answers = links.map((wire, i) => ask(wire, "echo", i));
    assert.deepEqual(await Promise.all(answers), [...links.keys()]);
    served.listener.close();
    await Promise.all(links.map(({ ended }) => ended));
  });

  it("refuses to listen where nobody may", async () => {
    const { replica } = await createWireReplica();
    await assert.rejects(new ReplicaListener(replica, undefined).listen("/dev/null/folder/at-all.sock"), {
      id: "listen_failed",
      message: /can't listen on \/dev\/null\/folder\/at-all\.sock: ENOTDIR: it is not a folder/,
    });
  });

  it("keeps memory for what callers send, not for what they claim", async () => {
    using served = await listen();
    const wire = await served.link();
    const before = process.memoryUsage().arrayBuffers;
    const sockets = await Promise.all(Array.from({ length: 20 }, () => served.connect()));
    for (const socket of sockets) {
      const prefix = Buffer.alloc(26);
      prefix.writeUInt32LE(200 * 1024 ** 2, 0);
      socket.write(prefix);
    }
    assert.equal(await ask(wire, "echo", 1), 1);
    await turns(20);
    assert.ok(process.memoryUsage().arrayBuffers - before < 60 * 1024 ** 2);
    for (const socket of sockets) socket.destroy();
    wire.link.close();
    await wire.ended;
  });
});

describe("the wire under random sessions", () => {
  it("ends a broken link with a clear failure, answers each call once, and goes on", async () => {
    const ends = await fuzzWire(1, 700);
    // The generator must make more than one kind of session.
    for (const target of ["link", "replica", "socket link"]) {
      for (const end of ["open", "malformed_frame", "wire_version"]) {
        assert.ok(ends.has(`${target}: ${end}`), `no ${target} ended with ${end}`);
      }
    }
    assert.ok(ends.has("listener: open") && ends.has("listener: closed"));
  });
});
