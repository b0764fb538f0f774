import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { describe, it } from "node:test";
import tls from "node:tls";
import { LogBook } from "../../test/conformance/suite.js";
import { certificatesOf, EdgeFolder, edgeFixture, firstKey, secondKey } from "../../test/edge/edge-files.js";
import { FakeClock } from "../../test/fake-clock.js";
import { silentLogger } from "../base/logger.js";
import { type EdgeFiles, EdgeSecurity, explainEdgeError } from "./edge-security.js";

const lookMs = 1_000;

function open(files: EdgeFiles, log = silentLogger, clock = new FakeClock()): EdgeSecurity {
  const security = new EdgeSecurity({ files, clock, log });
  security.load();
  return security;
}

interface Outcome {
  /** Reason of the callee against the caller; `undefined` when it lets it in. */
  readonly callee: string | undefined;
  /** Reason of the caller; `undefined` when its handshake succeeds. */
  readonly caller: string | undefined;
}

/** Makes one handshake. The caller calls the callee by `name`. */
async function shake(callee: EdgeSecurity, options: tls.ConnectionOptions): Promise<Outcome> {
  const server = tls.createServer(callee.serverOptions());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const judged = new Promise<string | undefined>((resolve) => {
    server.on("secureConnection", (socket) => {
      socket.on("error", () => {});
      resolve(callee.findCallerProblem(socket));
      socket.end();
    });
    server.on("tlsClientError", (error, socket) => resolve(callee.explainHandshake(error, socket)));
  });
  const { port } = server.address() as net.AddressInfo;
  const socket = tls.connect({ host: "127.0.0.1", port, ...options });
  try {
    const caller = await once(socket, "secureConnect").then(
      () => undefined,
      (error: unknown) => explainEdgeError(error),
    );
    socket.on("error", () => {});
    return { callee: await judged, caller };
  } finally {
    socket.destroy();
    server.close();
  }
}

const join = (callee: EdgeFiles, caller: EdgeFiles, name = "localhost") =>
  shake(open(callee), open(caller).clientOptions(name));

describe("EdgeSecurity (ES1)", () => {
  it("lets both sides in with certificates of one authority", async () => {
    assert.deepEqual(await join(certificatesOf("callee"), certificatesOf("caller")), {
      callee: undefined,
      caller: undefined,
    });
  });

  it("lets both sides in with one self-signed certificate, without an authority", async () => {
    const own = certificatesOf("self", null);
    assert.deepEqual(await join(own, own), { callee: undefined, caller: undefined });
  });

  it("lets both sides in with one edge key, in TLS 1.3", async () => {
    using folder = new EdgeFolder();
    const edgeKey = folder.write("edge.key", `# of the shop\n${firstKey}\n`);
    assert.deepEqual(await join({ edgeKey }, { edgeKey }), { callee: undefined, caller: undefined });
  });

  it("refuses a caller without certificate, or with one of another authority, or an expired one", async () => {
    const callee = open(certificatesOf("callee"));
    const { ca } = certificatesOf("callee");
    const trust = { ALPNProtocols: ["ekiben"], servername: "localhost", ca: [await read(ca as string)] };
    assert.match((await shake(callee, trust)).callee ?? "", /shows no certificate/);
    const stranger = {
      ...trust,
      cert: await read(edgeFixture("stranger.pem")),
      key: await read(edgeFixture("stranger.key")),
    };
    assert.match((await shake(callee, stranger)).callee ?? "", /no authority in tls\.ca/);
    const expired = {
      ...trust,
      cert: await read(edgeFixture("expired.pem")),
      key: await read(edgeFixture("expired.key")),
    };
    assert.match((await shake(callee, expired)).callee ?? "", /has expired/);
  });

  it("refuses a callee of another authority, and one of another name", async () => {
    const other = await join(certificatesOf("stranger", "ca"), certificatesOf("caller"));
    assert.match(other.caller ?? "", /no authority in tls\.ca/);
    const named = await join(certificatesOf("callee"), certificatesOf("caller"), "elsewhere.example");
    assert.match(named.caller ?? "", /elsewhere\.example/);
  });

  it("refuses another edge key on both sides, and says so", async () => {
    using folder = new EdgeFolder();
    const callee = { edgeKey: folder.write("callee.key", firstKey) };
    const caller = { edgeKey: folder.write("caller.key", secondKey) };
    const { callee: there, caller: here } = await join(callee, caller);
    assert.match(there ?? "", /edge key is none of those/);
    assert.match(here ?? "", /edge keys/);
  });

  it("refuses a certificate where an edge key is expected, even one that a known authority has signed", async () => {
    using folder = new EdgeFolder();
    const edgeKey = folder.write("edge.key", firstKey);
    const here = await join(certificatesOf("callee"), { edgeKey });
    assert.notEqual(here.caller, undefined);
    const there = await join({ edgeKey }, certificatesOf("caller"));
    assert.notEqual(there.callee, undefined);
    assert.notEqual(there.caller, undefined);
  });

  it("refuses plain HTTP, garbage and another protocol, in words", async () => {
    const callee = open(certificatesOf("callee"));
    assert.match(await speak(callee, "GET / HTTP/1.1\r\nhost: x\r\n\r\n"), /plain HTTP/);
    assert.match(await speak(callee, "\u0000".repeat(64)), /does not speak TLS/);
    const web = { ...open(certificatesOf("caller")).clientOptions("localhost"), ALPNProtocols: ["http/1.1"] };
    assert.match((await shake(callee, web)).callee ?? "", /no app of ekiben/);
  });

  it("resumes no session: it would skip the proof", async () => {
    const callee = open(certificatesOf("callee"));
    let session: Buffer | undefined;
    const server = tls.createServer(callee.serverOptions(), (socket) => {
      socket.on("error", () => {});
      socket.end(socket.isSessionReused() ? "reused" : "new");
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as net.AddressInfo;
    const words: string[] = [];
    for (let i = 0; i < 2; i++) {
      const options = open(certificatesOf("caller")).clientOptions("localhost");
      const socket = tls.connect({ host: "127.0.0.1", port, ...options, ...(session && { session }) });
      socket.on("session", (given) => (session = given));
      for await (const chunk of socket) words.push(String(chunk));
    }
    server.close();
    assert.deepEqual(words, ["new", "new"]);
  });
});

describe("EdgeSecurity, when files change (ES2)", () => {
  it("takes a new edge key for the next connection, and both while the file has both", async () => {
    using folder = new EdgeFolder();
    const clock = new FakeClock();
    const edgeKey = folder.write("edge.key", `${firstKey}\n`);
    const callee = open({ edgeKey }, silentLogger, clock);
    const old = open({ edgeKey }).clientOptions("localhost");
    const other = open({ edgeKey: folder.write("other.key", secondKey) }).clientOptions("localhost");
    assert.notEqual((await shake(callee, other)).callee, undefined);
    folder.write("edge.key", `${secondKey}\n${firstKey}\n`);
    clock.advance(lookMs);
    callee.refresh();
    assert.deepEqual(
      [await shake(callee, old), await shake(callee, other)],
      [
        { callee: undefined, caller: undefined },
        { callee: undefined, caller: undefined },
      ],
    );
    folder.write("edge.key", `${secondKey}\n`);
    clock.advance(lookMs);
    callee.refresh();
    assert.notEqual((await shake(callee, old)).callee, undefined);
    assert.equal(callee.version, 3);
  });

  it("keeps what it has while the new version can't be used, says so once, and takes the next that can", async () => {
    using folder = new EdgeFolder();
    const clock = new FakeClock();
    const log = new LogBook();
    const files = { cert: folder.copy("callee.pem"), key: folder.copy("callee.key"), ca: folder.copy("ca.pem") };
    const callee = open(files, log.logger, clock);
    const caller = open(certificatesOf("caller")).clientOptions("localhost");
    folder.copy("stranger.pem", "callee.pem");
    for (let i = 0; i < 3; i++) {
      clock.advance(lookMs);
      callee.refresh();
    }
    assert.deepEqual(await shake(callee, caller), { callee: undefined, caller: undefined });
    const told = log.all().map(({ message }) => message);
    assert.equal(told.length, 1);
    assert.match(told[0] ?? "", /does not fit the certificate .*; the version read before is used/);
    folder.copy("caller.pem", "callee.pem");
    folder.copy("caller.key", "callee.key");
    clock.advance(lookMs);
    callee.refresh();
    assert.equal(callee.version, 2);
    assert.deepEqual(await shake(callee, caller), { callee: undefined, caller: undefined });
  });
});

describe("the files of EdgeSecurity", () => {
  const problemOf = (files: EdgeFiles): string => {
    try {
      open(files);
    } catch (error) {
      assert.equal((error as { id?: string }).id, "edge_file_unusable");
      return (error as Error).message;
    }
    return "";
  };

  it("are refused with file, line and problem, and never with a part of a key (ES3)", () => {
    using folder = new EdgeFolder();
    const weak = "abababababababababababababababababab";
    const cases: readonly [EdgeFiles, RegExp][] = [
      [{ edgeKey: `${folder.path}/none` }, /none.*no such file/],
      [{ edgeKey: folder.write("empty.key", "# nothing\n") }, /empty\.key.*has no key/],
      [{ edgeKey: folder.write("short.key", `${firstKey}\n\nshort-secret\n`) }, /line 3 has a key of 12 characters/],
      [{ edgeKey: folder.write("weak.key", weak) }, /line 1 has a key of only 2 different characters/],
      [{ edgeKey: folder.write("two.key", `name ${firstKey}`) }, /line 1 has spaces/],
      [{ edgeKey: folder.write("many.key", `${firstKey}\n`.repeat(9)) }, /has 9 keys; at most 8/],
      [{ edgeKey: folder.write("huge.key", "x".repeat(1024 ** 2 + 1)) }, /at most 1048576/],
      [certificatesOf("expired"), /expired\.pem.*has expired on Jan {1,2}2 /],
      [certificatesOf("callee", null), /tls\.ca does not say/],
      [{ ...certificatesOf("callee"), key: edgeFixture("caller.key") }, /caller\.key.*does not fit/],
      [{ ...certificatesOf("callee"), cert: edgeFixture("callee.key") }, /no certificate in PEM form/],
    ];
    for (const [files, pattern] of cases) {
      const problem = problemOf(files);
      assert.match(problem, pattern);
      assert.doesNotMatch(problem, /short-secret|abab|nM4oT7/);
    }
  });

  it("are reported when every user of the machine may read a key", { skip: process.platform === "win32" }, async () => {
    using folder = new EdgeFolder();
    const log = new LogBook();
    const edgeKey = folder.write("edge.key", firstKey, 0o644);
    open({ edgeKey }, log.logger);
    await log.take(/edge\.key can be read or written by every user of this machine: chmod o-rwx/);
    open({ edgeKey: folder.write("own.key", firstKey, 0o640) }, log.logger);
    assert.deepEqual(log.all(), []);
  });
});

const read = async (path: string): Promise<string> => (await import("node:fs/promises")).readFile(path, "utf8");

/** Sends bytes to a callee over plain TCP. @returns Its reason for the refusal. */
async function speak(callee: EdgeSecurity, bytes: string): Promise<string> {
  const server = tls.createServer(callee.serverOptions());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const refused = once(server, "tlsClientError") as Promise<[Error, tls.TLSSocket]>;
  const socket = net.connect((server.address() as net.AddressInfo).port, "127.0.0.1");
  socket.on("error", () => {});
  socket.write(bytes);
  const [error, secured] = await refused;
  socket.destroy();
  server.close();
  return callee.explainHandshake(error, secured);
}
