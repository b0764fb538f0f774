import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { describe, it } from "node:test";
import tls from "node:tls";
import { LogBook } from "../../test/conformance/suite.js";
import { certificatesOf } from "../../test/edge/edge-files.js";
import { FakeClock } from "../../test/fake-clock.js";
import { silentLogger } from "../base/logger.js";
import type { ServingError } from "../failure/serving-error.js";
import { type EdgeFiles, EdgeSecurity } from "../transport/edge-security.js";
import { FrameReader } from "../transport/frame.js";
import { decodeError } from "../transport/wire-error.js";
import { EdgeDoor, type EdgeLimits } from "./edge-door.js";

const limits: EdgeLimits = { connections: 8, strangers: 4, handshakeMs: 5_000, helloMs: 5_000 };

/** Door behind a port of its own. */
class DoorStage implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly log = new LogBook();
  readonly door: EdgeDoor;
  /** Connections that were let in, and what tells the door of their hello. */
  readonly entered: { readonly socket: net.Socket; readonly greeted: () => void }[] = [];
  readonly #server: net.Server;
  readonly #clients = new Set<net.Socket>();
  #onChange = () => {};
  received = 0;

  constructor(own: Partial<EdgeLimits> = {}, files: EdgeFiles = {}) {
    const { clock, log } = this;
    const security = new EdgeSecurity({ files, clock, log: silentLogger });
    this.door = new EdgeDoor({ security, limits: { ...limits, ...own }, clock, log: log.logger });
    this.#server = net.createServer({ pauseOnConnect: true }, (raw) => {
      this.door.receive(raw, (socket, { greeted }) => {
        this.entered.push({ socket, greeted });
        socket.on("error", () => {});
        this.#onChange();
      });
      this.received++;
      this.#onChange();
    });
  }

  /** Connects, and resolves once the door has the connection. */
  async connect(): Promise<Client> {
    const { port } = this.#server.address() as net.AddressInfo;
    const before = this.received;
    const client = new Client(net.connect(port, "127.0.0.1"));
    this.#clients.add(client.socket);
    await this.until(() => this.received > before);
    return client;
  }

  async until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) await new Promise<void>((resolve) => (this.#onChange = resolve));
  }

  async listen(): Promise<this> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return this;
  }

  /** Texts of the log so far. */
  get told(): string[] {
    return this.log.all().map(({ message = "" }) => message);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#clients) socket.destroy();
    for (const { socket } of this.entered) socket.destroy();
    this.door.close();
    this.#server.close();
    await once(this.#server, "close");
  }
}

/** Connection as its caller sees it. */
class Client {
  readonly socket: net.Socket;
  /** Resolves when the connection has ended, with the refusal that the door has sent, if it has. */
  readonly ended: Promise<ServingError | undefined>;

  constructor(socket: net.Socket) {
    this.socket = socket;
    this.ended = readRefusal(socket);
  }
}

function readRefusal(socket: net.Socket): Promise<ServingError | undefined> {
  let refusal: ServingError | undefined;
  const frames = new FrameReader(
    ({ head }) => (refusal = decodeError(head)),
    () => assert.fail("a refusal has no slabs"),
  );
  socket.on("data", (chunk: Buffer) => frames.push(chunk));
  socket.on("error", () => {});
  return new Promise((resolve) => socket.on("close", () => resolve(refusal)));
}

describe("EdgeDoor", () => {
  it("lets nobody in without TLS where keys are given, whatever comes (ED1)", async () => {
    await using stage = await new DoorStage({}, certificatesOf("callee")).listen();
    for (const bytes of ["GET / HTTP/1.1\r\n\r\n", "\u0016\u0003\u0001\u0000\u0005hello", "x".repeat(100_000)]) {
      const { socket, ended } = await stage.connect();
      socket.write(bytes);
      assert.equal(await ended, undefined, "nothing is told to a stranger in plain text");
    }
    assert.equal(stage.entered.length, 0);
    assert.ok(
      stage.told.some((line) => /127\.0\.0\.1 refused: it speaks plain HTTP/.test(line)),
      stage.told.join("\n"),
    );
  });

  it("tells a caller over TLS why it is refused", async () => {
    await using stage = await new DoorStage({}, certificatesOf("callee")).listen();
    const { socket } = await stage.connect();
    const secured = tls.connect({ socket, ALPNProtocols: ["ekiben"], rejectUnauthorized: false });
    const refusal = await readRefusal(secured);
    assert.equal(refusal?.id, "caller_refused");
    assert.match(refusal?.message ?? "", /shows no certificate/);
    assert.equal(stage.entered.length, 0);
  });

  it("ends a handshake and a wait for the hello that take too long (ED2)", async () => {
    await using secured = await new DoorStage({}, certificatesOf("callee")).listen();
    const slow = await secured.connect();
    secured.clock.advance(limits.handshakeMs);
    await slow.ended;
    assert.match(secured.told[0] ?? "", /did not finish the handshake within 5000 ms/);

    await using plain = await new DoorStage().listen();
    const mute = await plain.connect();
    await plain.until(() => plain.entered.length === 1);
    const closed = once(plain.entered[0]?.socket as net.Socket, "close");
    plain.clock.advance(limits.helloMs);
    assert.match((await mute.ended)?.message ?? "", /said no hello within 5000 ms/);
    await closed;
    assert.equal(plain.clock.pendingTimers, 0);
  });

  it("keeps a connection that has said hello, however long it is silent", async () => {
    await using stage = await new DoorStage().listen();
    const { socket } = await stage.connect();
    stage.entered[0]?.greeted();
    stage.clock.advance(3_600_000);
    assert.equal(socket.destroyed, false);
    assert.equal(stage.clock.pendingTimers, 0);
  });

  it("ends the oldest connection without hello when there are too many, never one with hello (ED2)", async () => {
    await using stage = await new DoorStage({ strangers: 2 }).listen();
    const guest = await stage.connect();
    stage.entered[0]?.greeted();
    const [oldest, second] = [await stage.connect(), await stage.connect()];
    const third = await stage.connect();
    await oldest.ended;
    assert.deepEqual(
      [guest, second, third].map(({ socket }) => socket.destroyed),
      [false, false, false],
    );
  });

  it("refuses one more connection than it may hold, and takes another when one has ended (ED3)", async () => {
    await using stage = await new DoorStage({ connections: 1 }).listen();
    const first = await stage.connect();
    stage.entered[0]?.greeted();
    const second = await stage.connect();
    assert.match((await second.ended)?.message ?? "", /1 connections are open \(maxRemoteConnections\)/);
    const gone = once(stage.entered[0]?.socket as net.Socket, "close");
    first.socket.destroy();
    await gone;
    await stage.connect();
    assert.equal(stage.entered.length, 2);
  });

  it("tells many refusals for one reason in one line, with their number (ED4)", async () => {
    await using stage = await new DoorStage({}, certificatesOf("callee")).listen();
    const scan = async (): Promise<void> => {
      const { socket, ended } = await stage.connect();
      socket.write("GET / HTTP/1.1\r\n\r\n");
      await ended;
    };
    for (let i = 0; i < 20; i++) await scan();
    stage.clock.advance(60_000);
    await scan();
    const lines = stage.told.filter((line) => /plain HTTP/.test(line));
    assert.equal(lines.length, 2);
    assert.match(lines[1] ?? "", /; 20 since the last such line$/);
  });

  it("takes no connection once it is closed, and ends those without hello", async () => {
    await using stage = await new DoorStage().listen();
    const guest = await stage.connect();
    stage.entered[0]?.greeted();
    const stranger = await stage.connect();
    stage.door.close();
    await stranger.ended;
    await (await stage.connect()).ended;
    assert.equal(guest.socket.destroyed, false, "the one with hello is ended by its owner");
  });
});
