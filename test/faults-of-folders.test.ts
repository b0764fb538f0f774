import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import module from "node:module";
import net from "node:net";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { until } from "./chaos/app.js";
import { RunningApp } from "./faults/running-app.js";
import { hasNoSlabs } from "./transport/slab-folder.js";

// Shared resources of an app that are removed or missing: folders, shared memory, descriptors.

const root = mkdtempSync("/tmp/ekiben-faults-");
after(() => rmSync(root, { recursive: true, force: true }));
let places = 0;

/** Temporary folder that only this app uses. */
function createPlace(name = `p${++places}`): string {
  const path = join(root, name);
  mkdirSync(path, { recursive: true });
  return path;
}

const serveIn = (place: string, args: readonly string[] = []) =>
  new RunningApp("folders.mjs:Entry", ["--wait-for-replica-ms", "60000", ...args], { env: { TMPDIR: place } });
const foldersIn = (place: string) => readdirSync(place).filter((name) => /^ekiben-\w{6}$/.test(name));
const messagesOf = (app: RunningApp) => app.log.map((line) => String(line["msg"]));
const logged = (app: RunningApp, pattern: RegExp) =>
  until(() => messagesOf(app).some((message) => pattern.test(message)));

describe("an app whose folder of sockets is removed while it runs", () => {
  it("keeps serving and creates it again, and every service can be replaced", async () => {
    const place = createPlace();
    using app = serveIn(place);
    const { body: before } = await app.call("where");
    const [folder = ""] = foldersIn(place);
    rmSync(join(place, folder), { recursive: true });
    assert.deepEqual((await app.call("where")).body, before);
    assert.deepEqual((await app.call("big")).body, [200_000, true]);
    // Replicas that live listen again: one that comes later finds them.
    await logged(app, /\.sock was removed, most likely by a cleaner of temporary folders, and made again$/);
    process.kill(before[0], "SIGKILL");
    await until(async () => (await app.call("where").catch(() => undefined))?.status === 200);
    const { body: middle } = await app.call("where");
    assert.notEqual(middle[0], before[0]);
    assert.equal(middle[1], before[1]);
    rmSync(join(place, folder), { recursive: true });
    process.kill(before[1], "SIGKILL");
    await until(async () => (await app.call("where")).body[1] !== before[1]);
    assert.deepEqual((await app.call("big")).body, [200_000, true]);
    assert.equal((await app.get("/readyz")).status, 200);
    assert.equal(await app.end(), 0);
    assert.deepEqual(foldersIn(place), []);
  });

  it("creates it again also when the temporary folder was removed too", async () => {
    const place = createPlace();
    using app = serveIn(place);
    const { body: before } = await app.call("where");
    rmSync(place, { recursive: true });
    await logged(app, /\.sock was removed, most likely by a cleaner of temporary folders, and made again$/);
    process.kill(before[1], "SIGKILL");
    await until(async () => (await app.call("where")).body[1] !== before[1]);
    process.kill(before[0], "SIGKILL");
    await until(async () => (await app.call("where").catch(() => undefined))?.status === 200);
    assert.deepEqual((await app.call("big")).body, [200_000, true]);
    assert.equal((await app.get("/readyz")).status, 200);
    assert.equal(await app.end(), 0);
    assert.deepEqual(foldersIn(place), []);
  });

  it("moves to another folder when the name is taken, and logs it", async () => {
    const place = createPlace();
    using app = serveIn(place);
    const { body: before } = await app.call("where");
    const [folder = ""] = foldersIn(place);
    rmSync(join(place, folder), { recursive: true });
    writeFileSync(join(place, folder), "");
    process.kill(before[1], "SIGKILL");
    await until(async () => (await app.call("where")).body[1] !== before[1]);
    await logged(app, /is gone, most likely by a cleaner of temporary folders, and can't be made again: new replicas/);
    assert.equal(await app.end(), 0);
  });

  it("says which replica can't be reached, in the log, in /readyz and in figures, and is whole again when it can", async () => {
    const place = createPlace();
    using app = serveIn(place, ["--liveness-interval-ms", "100"]);
    const { body: before } = await app.call("where");
    const [folder = ""] = foldersIn(place);
    const path = join(place, folder);
    rmSync(path, { recursive: true });
    writeFileSync(path, "");
    process.kill(before[0], "SIGKILL");
    await logged(app, /^no link to Model#0, which is ready: .*ENOTDIR/);
    await until(async () => (await app.get("/readyz").catch(() => undefined))?.status === 503);
    const { detail = "" } = await app.readiness("Entry");
    assert.match(
      detail,
      /Entry#0 can't call what it depends on: Model#0 can't be reached: ENOTDIR: it is not a folder/,
    );
    assert.match(await app.text("/metrics"), /^ekiben_link_failures_total\{service="Model"\} [1-9]/m);
    rmSync(path);
    await until(async () => (await app.get("/readyz")).status === 200);
    assert.equal((await app.call("where")).body[1], before[1]);
    await logged(app, /^Model#0 was reached again$/);
    assert.equal(await app.end(), 0);
  });
});

describe("an app whose folder in memory is removed while it runs", { skip: hasNoSlabs }, () => {
  it("keeps serving, and uses memory again when the folder is created again", async () => {
    using app = serveIn(createPlace());
    const before = readdirSync("/dev/shm");
    const { body: pids } = await app.call("where");
    assert.deepEqual((await app.call("big")).body, [200_000, true]);
    const own = foldersOf(pids[0]);
    assert.equal(own.length, 1, String(before));
    rmSync(own[0] as string, { recursive: true });
    for (let i = 0; i < 3; i++) assert.deepEqual((await app.call("big")).body, [200_000, true]);
    process.kill(pids[1], "SIGKILL");
    await until(async () => (await app.call("where")).body[1] !== pids[1]);
    for (let i = 0; i < 3; i++) assert.deepEqual((await app.call("big")).body, [200_000, true]);
    assert.equal(await app.end(), 0);
    assert.equal(existsSync(own[0] as string), false);
  });

  /** Files in memory that a process has open. */
  function foldersOf(pid: number): string[] {
    const { stdout } = spawnSync("sh", ["-c", `ls -l /proc/${pid}/fd`], { encoding: "utf8" });
    return [...new Set([...stdout.matchAll(/\/dev\/shm\/ekiben-\w{6}(?=\/)/g)].map(([path]) => path))];
  }
});

describe("an app whose folder for temporary files", () => {
  const answers = async (place: string, says: RegExp | undefined) => {
    using app = serveIn(place);
    assert.equal((await app.call("where")).status, 200);
    const messages = messagesOf(app).filter((message) => message.startsWith("sockets are in"));
    if (says === undefined) assert.deepEqual(messages, []);
    else assert.match(messages.join("\n"), says);
    assert.equal(await app.end(), 0);
  };

  it("has a path that leaves no room for sockets uses another, and says why", async () => {
    const bytes = 110;
    const place = createPlace("d".repeat(bytes - root.length - 1));
    await answers(
      place,
      /^sockets are in \/tmp\/ekiben-\w+: TMPDIR \(.*d\) can't be used: its path has 110 bytes, and at most 7\d leave room/,
    );
  });

  it("is not there uses another, and says why", async () => {
    // Node 22 and newer create the folder for their compile cache, if they can.
    const place = join(root, "gone");
    const says = /TMPDIR \(.*gone\) can't be used: ENOENT: there is no such file or folder/;
    await answers(place, "enableCompileCache" in module ? undefined : says);
  });

  it("has blanks in its path is taken as it is", async () => {
    await answers(createPlace("with some blanks"), undefined);
  });
});

describe("an app that starts", () => {
  it("removes the files of an app that was killed with all its replicas, and none of a running app", async () => {
    const place = createPlace();
    using living = serveIn(place);
    await living.call("where");
    const kept = foldersIn(place);
    using killed = serveIn(place, ["--placement", "thread"]);
    const { body: pids } = await killed.call("where");
    assert.equal(foldersIn(place).length, 2);
    killed.command.child.kill("SIGKILL");
    for (const pid of pids) if (pid !== killed.command.child.pid) process.kill(pid, "SIGKILL");
    await killed.command.ended;
    const left = foldersIn(place);
    assert.ok(left.length >= 1);
    using next = serveIn(place);
    await next.call("where");
    if (left.length > 1) await logged(next, /^folders of killed apps removed$/);
    assert.equal((await living.call("where")).status, 200);
    assert.equal(await next.end(), 0);
    assert.deepEqual(foldersIn(place), kept);
    assert.equal(await living.end(), 0);
  });
});

/** Reason why the limits of a running process cannot be set; `false` when they can. */
const noPrlimit = spawnSync("prlimit", ["--version"]).status !== 0 && "there is no prlimit here";

describe("an app without descriptors to spare", {
  skip: noPrlimit,
}, () => {
  it("keeps an entry replica that answers, and its links, and gets large tensors by the socket", async () => {
    const limits = [
      "--liveness-interval-ms",
      "50",
      "--liveness-suspend-after-ms",
      "400",
      "--liveness-replace-after-ms",
      "1000",
    ];
    using app = serveIn(createPlace(), limits);
    const { body: before } = await app.call("where");
    // The limit is set after the start, because loading needs more descriptors than serving.
    assert.equal(spawnSync("prlimit", ["--pid", String(before[0]), "--nofile=64:64"]).status, 0);
    const { port } = new URL(await app.command.url());
    const sockets: net.Socket[] = [];
    let refused = 0;
    // Connections are accepted and kept until no descriptor is left.
    while (refused < 3 && sockets.length < 100) {
      const socket = net.connect(Number(port), "127.0.0.1");
      const isKept = await asksOnce(socket);
      if (isKept) sockets.push(socket);
      else refused++;
    }
    assert.equal(refused, 3, "all connections were taken");
    // Longer than the time after which a silent replica is replaced.
    const end = performance.now() + 2500;
    const first = sockets[0] as net.Socket;
    let answers = 0;
    while (performance.now() < end) {
      assert.match(await ask(first, "POST", "/where"), new RegExp(`\\[${before.join(",")}\\]`));
      assert.match(await ask(first, "POST", "/big"), /\[200000,true\]/);
      answers++;
    }
    assert.ok(answers > 0);
    assert.deepEqual(
      messagesOf(app).filter((message) => /does not answer|did not answer/.test(message)),
      [],
    );
    for (const socket of sockets) socket.destroy();
    assert.equal(await app.end(), 0);
  });

  /** Sends one request over a kept connection. Resolves with the answer; fails when the connection ends. */
  function ask(socket: net.Socket, method: string, path: string): Promise<string> {
    return new Promise((resolve, reject) => {
      let text = "";
      const done = (run: () => void) => {
        socket.off("data", read).off("close", fail).off("error", fail);
        run();
      };
      const fail = () => done(() => reject(new Error(`ended after ${text}`)));
      const read = (chunk: Buffer) => {
        text += chunk;
        const [head = "", body = ""] = text.split("\r\n\r\n");
        const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
        if (text.includes("\r\n\r\n") && Buffer.byteLength(body) >= length) done(() => resolve(text));
      };
      socket.on("data", read).on("close", fail).on("error", fail);
      socket.write(`${method} ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n`);
    });
  }

  const asksOnce = (socket: net.Socket) =>
    Promise.race([
      ask(socket, "GET", "/livez").then(
        () => true,
        () => false,
      ),
      new Promise<boolean>((resolve) => setTimeout(resolve, 2000, false)),
    ]);
});
