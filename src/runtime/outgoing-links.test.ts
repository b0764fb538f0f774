import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { describe, it } from "node:test";
import { MessageChannel, type MessagePort } from "node:worker_threads";
import { FakeClock } from "../../test/fake-clock.js";
import { openCall } from "../../test/transport/open-call.js";
import { createAddress } from "../../test/transport/socket-pair.js";
import { startReplica } from "../../test/transport/start-replica.js";
import { createWireService, WireControl } from "../../test/transport/wire-service.js";
import type { Clock } from "../base/clock.js";
import { type Logger, silentLogger } from "../base/logger.js";
import { systemTime } from "../call/call-scope.js";
import type { ReplicaLink } from "../call/link.js";
import { Directory } from "../handle/directory.js";
import { CallStats } from "../observe/call-stats.js";
import { ChannelServer } from "../replica/serve-channel.js";
import { PortChannel } from "../transport/port-channel.js";
import { SocketChannel } from "../transport/socket-channel.js";
import { OutgoingLinks } from "./outgoing-links.js";

function createLinks({ clock = systemTime.clock, log = silentLogger }: { clock?: Clock; log?: Logger } = {}) {
  const directory = new Directory();
  const links = new OutgoingLinks({
    directory,
    clock,
    log,
    stats: new CallStats(),
    slabFolder: undefined,
  });
  return { links, inDirectory: () => directory.of("Wire").links };
}

/** A replica that listens, and the end of each connection to it. */
async function listen() {
  const control = new WireControl();
  const replica = await startReplica(createWireService(control));
  const { address, remove } = createAddress();
  const ended: Promise<void>[] = [];
  const server = net.createServer((socket) => {
    ended.push(
      new Promise((resolve) => new ChannelServer(new SocketChannel(socket, undefined), replica, () => resolve())),
    );
  });
  server.listen(address);
  await once(server, "listening");
  const close = () => {
    server.close();
    remove();
  };
  return { address, ended, close, control, replica };
}

const removed = { kind: "remove", service: "Wire", replica: "Wire#0" } as const;

describe("OutgoingLinks", () => {
  it("lists a link from the other side's hello until it drains or ends (UL1)", async () => {
    const { replica, close } = await listen();
    const { links, inDirectory } = createLinks();
    const { port1, port2 } = new MessageChannel();
    const accept = async () => (await once(port2, "message"))[0] as MessagePort;
    const isServed = (port: MessagePort) => new ChannelServer(new PortChannel(port), replica, () => {});
    const first = accept();
    links.apply({ ...removed, kind: "add-port", port: port1 as MessagePort });
    const port = await first;
    for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
    assert.deepEqual(inDirectory(), []);
    const server = isServed(port);
    await links.settled();
    assert.equal(inDirectory().length, 1);
    server.announceDrain();
    while (inDirectory().length > 0) await new Promise(setImmediate);
    const again = accept();
    server.close();
    const next = await again;
    assert.deepEqual(inDirectory(), []);
    const other = isServed(next);
    while (inDirectory().length === 0) await new Promise(setImmediate);
    other.close();
    while (inDirectory().length > 0) await new Promise(setImmediate);
    links.apply(removed);
    port2.close();
    close();
  });

  it("ends a link that is taken back after its last call, though its replica be announced again (UL3)", async () => {
    const { address, ended, close, control } = await listen();
    const { links, inDirectory } = createLinks();
    const added = { ...removed, kind: "add", address } as const;
    links.apply(added);
    await links.settled();
    const held = openCall("hold", "late");
    (inDirectory()[0] as ReplicaLink).send(held.scope);
    links.apply(removed);
    assert.deepEqual(inDirectory(), []);
    for (let i = 0; i < 3; i++) {
      links.apply(added);
      await links.settled();
      assert.equal(inDirectory().length, 1);
      links.apply(removed);
    }
    // Those that had no call have ended by now, or do so soon; the one with a call still answers it.
    await Promise.all(ended.slice(1));
    control.hold("late").resolve("answered");
    assert.equal(await held.answer, "answered");
    await ended[0];
    close();
  });

  it("ends a port that is taken back, on both sides (UL3)", async () => {
    const { replica, close } = await listen();
    const { links, inDirectory } = createLinks();
    const { port1, port2 } = new MessageChannel();
    const served = new Promise<void>((resolve) =>
      port2.on("message", (port) => new ChannelServer(new PortChannel(port), replica, () => resolve())),
    );
    const isLineClosed = once(port2, "close");
    links.apply({ ...removed, kind: "add-port", port: port1 as MessagePort });
    await links.settled();
    assert.equal(inDirectory().length, 1);
    links.apply(removed);
    assert.equal(inDirectory().length, 0);
    await Promise.all([served, isLineClosed]);
    close();
  });

  it("makes a link to a replica in another thread anew when it ends (UL2)", async () => {
    const { replica, close } = await listen();
    const { links, inDirectory } = createLinks();
    const { port1, port2 } = new MessageChannel();
    const accepted: MessagePort[] = [];
    let ends = 0;
    port2.on("message", (port) => {
      accepted.push(port);
      new ChannelServer(new PortChannel(port), replica, () => ends++);
    });
    links.apply({ ...removed, kind: "add-port", port: port1 as MessagePort });
    await links.settled();
    for (let ended = 1; ended <= 3; ended++) {
      const [before] = inDirectory();
      // What is no frame ends the link on the side that gets it.
      accepted.at(-1)?.postMessage("no frame");
      while (inDirectory()[0] === before || inDirectory().length === 0) await new Promise(setImmediate);
      const { scope, answer } = openCall("echo", ended);
      (inDirectory()[0] as ReplicaLink).send(scope);
      assert.deepEqual([await answer, accepted.length], [ended, ended + 1]);
    }
    links.apply(removed);
    await once(port2, "close");
    // None was left open on the replica's side.
    while (ends < accepted.length) await new Promise(setImmediate);
    close();
  });

  it("says what is in the way of a replica in another thread that is announced and gone", async () => {
    const clock = new FakeClock();
    const lines: (string | undefined)[] = [];
    const log = { ...silentLogger, warn: (_: object, message?: string) => void lines.push(message) };
    const { links } = createLinks({ clock, log });
    const { port1, port2 } = new MessageChannel();
    links.apply({ ...removed, kind: "add-port", port: port1 as MessagePort });
    port2.close();
    for (let i = 0; i < 10; i++) {
      while (clock.pendingTimers === 0) await new Promise(setImmediate);
      clock.advance(1000);
    }
    await links.settled();
    while (clock.pendingTimers === 0) await new Promise(setImmediate);
    assert.deepEqual(links.obstacles, [
      { service: "Wire", problem: "Wire#0 can't be reached: the other side hangs up" },
    ]);
    assert.deepEqual(lines, [
      "no link to Wire#0, which is ready: a thread of this process: the other side hangs up; the next attempt follows within a second",
    ]);
    links.apply(removed);
    assert.deepEqual([links.obstacles, clock.pendingTimers], [[], 0]);
  });
});
