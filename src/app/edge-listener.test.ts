import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { tmpdir } from "node:os";
import { describe, it } from "node:test";
import { LogBook } from "../../test/conformance/suite.js";
import { FakeClock } from "../../test/fake-clock.js";
import { createDeferred, type Deferred } from "../base/clock.js";
import { createCallTime } from "../call/call-scope.js";
import { Service } from "../define/service.js";
import type { Caller, ReplicaHost } from "../placement/placement.js";
import { Runtime } from "../runtime/runtime.js";
import { ReplicaRegistry } from "../supervisor/replica-registry.js";
import { EdgeListener } from "./edge-listener.js";
import { planApp } from "./plan-app.js";

class Ranker extends Service() {}

/** Replica that keeps the connections it is given. */
class FakeReplica {
  readonly sockets: net.Socket[] = [];
  siblings = 0;
  /** Settled when the connection that it was given last counts as taken; absent: at once. */
  held: Deferred<void> | undefined;
  readonly host: ReplicaHost;

  constructor(index: number, onGiven: () => void) {
    const caller = { residence: "process", notify: () => {} } satisfies Caller;
    this.host = {
      id: `Ranker#${index}`,
      caller,
      offerTo: () => ({ kind: "local" }),
      acceptRemote: async (socket: net.Socket) => {
        this.sockets.push(socket);
        onGiven();
        await this.held?.promise;
      },
      noteSiblings: (ready: number) => (this.siblings = ready),
    } as unknown as ReplicaHost;
  }
}

class ListenerStage implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly log = new LogBook();
  readonly registry = new ReplicaRegistry();
  readonly listener: EdgeListener;
  readonly #runtime: Runtime;
  readonly #clients: net.Socket[] = [];
  #port = 0;
  #onGiven = () => {};
  given = 0;

  constructor() {
    const appFile = { path: "test", value: { listen: "127.0.0.1:0" } };
    const { graph, settings } = planApp(Ranker, { flags: {}, env: {}, appFile });
    const time = createCallTime(this.clock);
    this.#runtime = new Runtime({ graph, settings, log: this.log.logger, time, appFolder: tmpdir() });
    this.listener = new EdgeListener({ service: "Ranker", runtime: this.#runtime, registry: this.registry });
  }

  async listen(): Promise<this> {
    const { url, port } = await this.listener.listen({ host: "127.0.0.1", port: 0 });
    assert.equal(url, `tcp://127.0.0.1:${port}`);
    this.#port = port;
    return this;
  }

  createReplica(index: number): FakeReplica {
    const replica = new FakeReplica(index, () => {
      this.given++;
      this.#onGiven();
    });
    this.registry.announce("Ranker", replica.host);
    return replica;
  }

  async connect(): Promise<net.Socket> {
    const socket = net.connect(this.#port, "127.0.0.1");
    socket.on("error", () => {});
    socket.resume();
    this.#clients.push(socket);
    await once(socket, "connect");
    return socket;
  }

  /** Resolves when replicas were given this many connections in all. */
  async until(given: number): Promise<void> {
    while (this.given < given) await new Promise<void>((resolve) => (this.#onGiven = resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.listener.close();
    for (const socket of this.#clients) socket.destroy();
    await this.#runtime.close();
  }
}

describe("EdgeListener", () => {
  it("gives connections to the ready replicas in turn, as they come and go (EL2)", async () => {
    await using stage = await new ListenerStage().listen();
    const [a, b] = [stage.createReplica(0), stage.createReplica(1)];
    for (let i = 0; i < 4; i++) await stage.connect();
    await stage.until(4);
    assert.deepEqual([a.sockets.length, b.sockets.length], [2, 2]);
    stage.registry.withdraw("Ranker", a.host);
    const c = stage.createReplica(2);
    for (let i = 0; i < 4; i++) await stage.connect();
    await stage.until(8);
    assert.deepEqual([a.sockets.length, b.sockets.length, c.sockets.length], [2, 4, 2]);
  });

  it("tells the ready replicas how many there are", async () => {
    await using stage = await new ListenerStage().listen();
    const [a, b] = [stage.createReplica(0), stage.createReplica(1)];
    assert.deepEqual([a.siblings, b.siblings], [2, 2]);
    stage.registry.withdraw("Ranker", a.host);
    assert.equal(b.siblings, 1);
  });

  it("reads no byte of a connection that it hands over (EL1)", async () => {
    await using stage = await new ListenerStage().listen();
    const replica = stage.createReplica(0);
    const client = await stage.connect();
    client.write("first bytes");
    await stage.until(1);
    const [socket] = replica.sockets as [net.Socket];
    assert.equal(socket.bytesRead, 0);
    socket.resume();
    const [chunk] = (await once(socket, "data")) as [Buffer];
    assert.equal(String(chunk), "first bytes");
  });

  it("leaves out a replica that has not taken its last connection (EL2)", async () => {
    await using stage = await new ListenerStage().listen();
    const [busy, free] = [stage.createReplica(0), stage.createReplica(1)];
    busy.held = createDeferred();
    for (let i = 0; i < 5; i++) await stage.connect();
    await stage.until(5);
    assert.deepEqual([busy.sockets.length, free.sockets.length], [1, 4]);
    busy.held.resolve();
  });

  it("lets connections wait for a replica, and ends them when none comes (EL3)", async () => {
    await using stage = await new ListenerStage().listen();
    const waiting = await stage.connect();
    const replica = stage.createReplica(0);
    await stage.until(1);
    assert.equal(replica.sockets.length, 1);
    assert.equal(waiting.destroyed, false);
    stage.registry.withdraw("Ranker", replica.host);
    const late = await stage.connect();
    const ended = once(late, "close");
    while (stage.clock.pendingTimers === 0) await new Promise((resolve) => setImmediate(resolve));
    stage.clock.advance(5_000);
    await ended;
    await stage.log.take(/a connection of another app was ended: no replica took it within 5000 ms/);
    assert.equal(stage.clock.pendingTimers, 0);
  });

  it("ends a connection whose replica has ended before it took it, and gives the next to another", async () => {
    await using stage = await new ListenerStage().listen();
    const dying = stage.createReplica(0);
    dying.held = createDeferred();
    const lost = await stage.connect();
    await stage.until(1);
    const ended = once(lost, "close");
    stage.registry.withdraw("Ranker", dying.host);
    dying.held.reject(new Error("replica Ranker#0 ended"));
    await ended;
    const other = stage.createReplica(1);
    await stage.connect();
    await stage.until(2);
    assert.equal(other.sockets.length, 1);
  });
});
