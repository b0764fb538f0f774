import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { type BoundSocket, bindSocket } from "./bound-socket.js";

const folder = mkdtempSync(join(tmpdir(), "ekiben-test-"));
const answerer = join(folder, "answerer.mjs");
/** Answers each connection with its own process id. */
writeFileSync(
  answerer,
  `import net from "node:net";
process.on("message", (_, handle) => {
  net.createServer((socket) => socket.end(String(process.pid))).listen(handle, () => process.send("listening"));
});`,
);
after(() => rmSync(folder, { recursive: true }));

async function bind(host: string, port = 0): Promise<BoundSocket> {
  const socket = await bindSocket(host, port);
  assert.ok(socket !== undefined, "this Node can share a socket");
  return socket;
}

/** A process that answers on the socket. */
async function startAnswerer({ handle }: BoundSocket): Promise<ChildProcess> {
  const child = fork(answerer, [], { execArgv: [] });
  child.send({}, handle as net.Server);
  await once(child, "message");
  return child;
}

/** Reads a connection to its end. */
async function readAll(socket: net.Socket): Promise<string> {
  let text = "";
  for await (const chunk of socket) text += chunk;
  return text;
}

async function end(child: ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  await once(child, "exit");
}

describe("bindSocket", () => {
  it("takes a free port for 0, and says where it can be reached", async () => {
    const socket = await bind("127.0.0.1");
    assert.ok(socket.port > 0);
    assert.equal(socket.url, `http://127.0.0.1:${socket.port}`);
    socket.close();
  });

  it("names an address that can be typed where it is every interface's", async () => {
    const socket = await bind("0.0.0.0");
    assert.equal(socket.url, `http://127.0.0.1:${socket.port}`);
    socket.close();
  });

  it("resolves names, and writes IPv6 addresses as URLs do", async (t) => {
    const named = await bind("localhost");
    assert.match(named.url, /^http:\/\/(127\.0\.0\.1|\[::1\]):\d+$/);
    named.close();
    let socket: BoundSocket;
    try {
      socket = await bind("::1");
    } catch {
      t.skip("this machine has no IPv6");
      return;
    }
    assert.equal(socket.url, `http://[::1]:${socket.port}`);
    socket.close();
  });

  it("says at once that another program answers on the port", async () => {
    const server = net.createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as net.AddressInfo;
    await assert.rejects(bindSocket("127.0.0.1", port), {
      id: "port_in_use",
      message: `port ${port} on 127.0.0.1 is already in use`,
    });
    server.close();
    await once(server, "close");
    (await bind("127.0.0.1", port)).close();
  });

  it("names the address and the error where it can't be bound at all", async () => {
    // Of a network made for documentation; no machine has it.
    await assert.rejects(bindSocket("192.0.2.1", 0), { id: "address_unavailable", message: /192\.0\.2\.1 port 0/ });
    await assert.rejects(bindSocket("nosuch.invalid", 0), { id: "host_unknown", message: /nosuch\.invalid port 0/ });
  });

  it("refuses nobody while one process takes over from another: connections wait", async () => {
    const socket = await bind("127.0.0.1");
    const { port } = socket;
    const first = await startAnswerer(socket);
    assert.equal(await readAll(net.connect(port, "127.0.0.1")), String(first.pid));
    await end(first);
    const waiting = Array.from({ length: 3 }, () => net.connect(port, "127.0.0.1"));
    await Promise.all(waiting.map((connection) => once(connection, "connect")));
    const second = await startAnswerer(socket);
    for (const connection of waiting) assert.equal(await readAll(connection), String(second.pid));
    await end(second);
    socket.close();
  });

  it("refuses connections while nobody has ever listened, and again once it is closed", async () => {
    const socket = await bind("127.0.0.1");
    const refuse = () =>
      assert.rejects(once(net.connect(socket.port, "127.0.0.1"), "connect"), { code: "ECONNREFUSED" });
    await refuse();
    const child = await startAnswerer(socket);
    socket.close();
    assert.equal(await readAll(net.connect(socket.port, "127.0.0.1")), String(child.pid));
    await end(child);
    await refuse();
  });
});
