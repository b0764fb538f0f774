import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import tls from "node:tls";
import { CommandProcess, runCommand } from "./cli-process.js";
import { certificatesOf, EdgeFolder, firstKey, secondKey } from "./edge/edge-files.js";
import { TestCaller } from "./edge/test-caller.js";

const cwd = join(import.meta.dirname, "..");
const services = "test/edge/services.ts:Gateway";
const isLinux = process.platform === "linux";

class Callee implements Disposable {
  readonly command: CommandProcess;

  constructor(flags: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const args = ["serve", services, "--service", "Ranker", "--listen", "127.0.0.1:0", "--admin-port", "0"];
    this.command = new CommandProcess([...args, ...flags], { cwd, env });
  }

  async url(): Promise<string> {
    const [url] = await this.command.until(/(?:tls|tcp):\/\/127\.0\.0\.1:\d+/);
    await this.command.until(/probes and metrics/);
    return url;
  }

  /** Open descriptors of the supervisor and of its replicas. */
  countDescriptors(): number {
    const { pid } = this.command.child;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ");
    return [String(pid), ...children].reduce((sum, one) => sum + readdirSync(`/proc/${one}/fd`).length, 0);
  }

  [Symbol.dispose](): void {
    this.command[Symbol.dispose]();
  }
}

const portOf = (url: string): number => Number(new URL(url).port);

async function connect(url: string): Promise<net.Socket> {
  const socket = net.connect(portOf(url), "127.0.0.1");
  socket.on("error", () => {});
  socket.resume();
  await once(socket, "connect");
  return socket;
}

/** Resolves when a connection has ended, however it ends. */
const ended = (socket: net.Socket): Promise<void> =>
  new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once("close", () => resolve());
  });

/** Sends bytes over plain TCP, and waits until the callee ends the connection. */
async function speak(url: string, bytes: string | Buffer): Promise<void> {
  const socket = await connect(url);
  socket.write(bytes);
  await ended(socket);
}

/** Makes a handshake with these options, which the callee is to refuse. */
async function shake(url: string, options: tls.ConnectionOptions): Promise<void> {
  const socket = tls.connect({ host: "127.0.0.1", port: portOf(url), rejectUnauthorized: false, ...options });
  socket.on("error", () => {});
  socket.resume();
  await ended(socket);
}

describe("a callee under attack", () => {
  it("refuses strangers of every kind, disturbs no caller, and keeps nothing of them", { skip: !isLinux }, async () => {
    using folder = new EdgeFolder();
    const edgeKey = folder.write("edge.key", firstKey);
    using callee = new Callee(["--edge-key-file", edgeKey, "--replicas", "Ranker=2"]);
    const url = await callee.url();
    const caller = await TestCaller.open(url, "Ranker", { edgeKey });
    const wrongKey = { edgeKey: folder.write("wrong.key", secondKey) };
    let isOver = false;
    let calls = 0;
    const calling = (async () => {
      while (!isOver) {
        assert.equal(await caller.call("score", "seven"), 5);
        calls++;
      }
    })();
    const before = callee.countDescriptors();
    const idle = await Promise.all(Array.from({ length: 700 }, () => connect(url)));
    for (let round = 0; round < 15; round++) {
      await Promise.all([
        speak(url, "GET / HTTP/1.1\r\nhost: ranker\r\n\r\n"),
        speak(url, Buffer.alloc(64 * 1024, 0x5a)),
        speak(url, Buffer.from("160301ffff010000", "hex")),
        assert.rejects(TestCaller.open(url, "Ranker", wrongKey)),
        shake(url, {}),
        shake(url, { maxVersion: "TLSv1.2", minVersion: "TLSv1.2" }),
        connect(url).then((socket) => socket.destroy()),
      ]);
    }
    // More than half of the idle ones gave way to others; all are gone when their time is over.
    await Promise.all(idle.map(ended));
    const other = await TestCaller.open(url, "Ranker", { edgeKey });
    assert.equal(await other.call("score", "abc"), 3);
    await other[Symbol.asyncDispose]();
    isOver = true;
    await calling;
    assert.ok(calls > 20, `${calls} calls were answered meanwhile`);
    while (callee.countDescriptors() > before) await new Promise((resolve) => setImmediate(resolve));
    await caller[Symbol.asyncDispose]();
    callee.command.child.kill("SIGTERM");
    const { status, stdout, stderr } = await callee.command.ended;
    assert.equal(status, 0, stderr);
    const refusals = stdout.split("\n").filter((line) => line.includes("caller_refused"));
    assert.ok(refusals.length >= 4 && refusals.length <= 24, `${refusals.length} lines:\n${refusals.join("\n")}`);
    for (const reason of [/plain HTTP/, /edge key/, /does not speak TLS 1\.3/]) assert.match(stdout, reason);
    assert.doesNotMatch(stdout + stderr, new RegExp(firstKey.slice(0, 12)), "the key is in no line");
  });

  it("drains at SIGTERM, and a renewed key applies without a restart", async () => {
    using folder = new EdgeFolder();
    const edgeKey = folder.write("edge.key", firstKey);
    const next = { edgeKey: folder.write("next.key", secondKey) };
    using callee = new Callee(["--edge-key-file", edgeKey]);
    const url = await callee.url();
    const caller = await TestCaller.open(url, "Ranker", { edgeKey });
    folder.write("edge.key", `${secondKey}\n${firstKey}\n`);
    let renewed: TestCaller | undefined;
    while (renewed === undefined) renewed = await TestCaller.open(url, "Ranker", next).catch(() => undefined);
    assert.equal(await renewed.call("score", "ab"), 2);
    assert.equal(await caller.call("score", "abcd"), 4, "an open connection stays");
    callee.command.child.kill("SIGTERM");
    await Promise.all([caller.draining, renewed.draining]);
    await Promise.all([caller[Symbol.asyncDispose](), renewed[Symbol.asyncDispose]()]);
    assert.equal((await callee.command.ended).status, 0);
  });
});

describe("ekiben serve --service", () => {
  it("says what is called, where, and the flag that a caller needs", async () => {
    using callee = new Callee(["--placement", "inline"]);
    const url = await callee.url();
    await callee.command.until(new RegExp(`ekiben serve <file> --at Ranker=${url}`));
    const { stderr } = callee.command.printed;
    assert.match(stderr, /Ranker\.score +string -> number/);
    assert.doesNotMatch(stderr, /Gateway|curl|POST/);
  });

  it("refuses to listen for other machines without a key or certificates, and says what to do", async () => {
    const args = ["serve", services, "--service", "Ranker", "--listen", "0.0.0.0:7000"];
    const { status, stderr } = await runCommand(args, { cwd });
    assert.equal(status, 1);
    assert.match(stderr, /fault listen: 0\.0\.0\.0:7000 can be reached from other machines/);
    assert.match(stderr, /--edge-key-file edge\.key, made by `\(umask 077; openssl rand -base64 32 > edge\.key\)`/);
  });

  it("says which port is taken", async () => {
    const taken = net.createServer();
    taken.listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as net.AddressInfo;
    const args = ["serve", services, "--service", "Ranker", "--listen", `127.0.0.1:${port}`];
    const { status, stderr } = await runCommand(args, { cwd });
    taken.close();
    assert.equal(status, 1);
    assert.match(stderr, new RegExp(`port ${port} on 127\\.0\\.0\\.1 is already in use\n +fix: .*--listen 127`));
  });

  it("shows no key in options, and takes all of it from the environment", async () => {
    using folder = new EdgeFolder();
    const edgeKey = folder.write("edge.key", firstKey);
    const env = { EKIBEN_EDGE_KEY_FILE: edgeKey, EKIBEN_SERVICE: "Ranker", EKIBEN_LISTEN: "0.0.0.0:7000" };
    const { status, stdout } = await runCommand(["options", services, "--changed"], { cwd, env });
    assert.equal(status, 0);
    assert.match(stdout, /listen +0\.0\.0\.0:7000 +EKIBEN_LISTEN/);
    assert.match(stdout, new RegExp(`edgeKeyFile +${edgeKey} +EKIBEN_EDGE_KEY_FILE`));
    assert.doesNotMatch(stdout, new RegExp(firstKey.slice(0, 12)));
  });

  it("finds a certificate that has expired before it starts", async () => {
    const { cert, key, ca } = certificatesOf("expired");
    const flags = ["--tls-cert", cert, "--tls-key", key, "--tls-ca", ca as string];
    const args = ["serve", services, "--service", "Ranker", "--listen", "127.0.0.1:0", ...flags];
    const { status, stderr } = await runCommand(args, { cwd });
    assert.equal(status, 1);
    assert.match(stderr, /expired\.pem.*the certificate has expired on/);
    assert.doesNotMatch(stderr, /started/);
  });
});
