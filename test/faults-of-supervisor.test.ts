import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { until } from "./chaos/app.js";
import { RunningApp } from "./faults/running-app.js";

// What happens to an app and all its processes when its supervisor gets a signal.

const folder = mkdtempSync(join(tmpdir(), "ekiben-signals-"));
// All users can enter this folder, so the app must protect its own files.
chmodSync(folder, 0o755);
after(() => rmSync(folder, { recursive: true, force: true }));

const serveIn = (place: string, env = {}) => new RunningApp("chain.mjs:First", [], { env: { TMPDIR: place, ...env } });
const socketFolders = () => readdirSync(folder).filter((name) => name.startsWith("ekiben-"));

/** Processes that an app has started, those of its replicas included. Linux only: elsewhere the list is empty. */
function listChildren(pid: number): number[] {
  const path = `/proc/${pid}/task/${pid}/children`;
  if (!existsSync(path)) return [];
  const own = readFileSync(path, "utf8").split(" ").filter(Boolean).map(Number);
  return own.flatMap((child) => [child, ...listChildren(child)]);
}

/** True when a process runs; false for one that has ended and was not reaped yet. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return process.platform !== "linux" || !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

/**
 * Returns the processes that still run after half a minute. A process closes its output a moment before it counts as
 * ended, so a process may still be listed for a moment after its output has ended.
 */
async function findLeft(pids: readonly number[]): Promise<number[]> {
  await until(() => !pids.some(isRunning)).catch(() => {});
  return pids.filter(isRunning);
}

/**
 * Command that runs another command as process 1 of a new namespace, as a container does; `undefined` when not
 * permitted.
 */
function findUnshare(): string[] | undefined {
  const namespace = ["--pid", "--fork", "--mount-proc", "--kill-child"];
  const commands = [
    ["unshare", "--user", "--map-root-user", ...namespace],
    ["unshare", ...namespace],
  ];
  return commands.find(([file, ...args]) => spawnSync(file as string, [...args, "true"]).status === 0);
}

const unshare = findUnshare();

/** Numeric id of a user that has no rights on any system. */
const nobody = 65_534;

/**
 * Returns the result of a connection that a user attempts: `"connected"` or the error code. The process changes its own
 * user, because Node may be in a folder that only root can enter.
 */
function connectAs(uid: number, address: string): string {
  const script = `
    process.setgroups([]);
    process.setgid(${uid});
    process.setuid(${uid});
    const socket = require("node:net").connect(process.argv[1]);
    socket.on("connect", () => console.log("connected") ?? process.exit());
    socket.on("error", ({ code }) => console.log(code) ?? process.exit());
  `;
  return spawnSync(process.execPath, ["-e", script, address], { encoding: "utf8" }).stdout.trim();
}

describe("the supervisor of an app", () => {
  it("answers requests accepted before SIGTERM, through two hops, stops callers before callees, and leaves nothing", async () => {
    using app = serveIn(folder);
    const held = app.call("hold");
    const [, pid] = await app.command.until(/holding in (\d+)/);
    const children = listChildren(app.command.child.pid as number);
    const since = app.command.printed;
    app.command.child.kill("SIGTERM");
    await app.command.until(/draining: 1 request in flight/);
    process.kill(Number(pid), "SIGUSR2");
    const { status, body } = await held;
    assert.deepEqual([status, body], [200, "held to the end"]);
    const ended = await app.command.ended;
    assert.equal(ended.status, 0);
    const stops = ended.stderr.slice(since.stderr.length).match(/stop of \w+/g);
    assert.deepEqual(stops, ["stop of First", "stop of Middle", "stop of Last"]);
    assert.match(ended.stderr, /stopped after [\d.]+ m?s\n$/);
    assert.doesNotMatch(ended.stdout, /"level":[45]0/, "an end that was asked for is no fault");
    assert.deepEqual([await findLeft(children), socketFolders()], [[], []]);
  });

  it("ends at a second Ctrl-C at once, and every replica with it", async () => {
    using app = serveIn(folder);
    const held = app.call("hold").catch(() => "cut off");
    await app.command.until(/holding in (\d+)/);
    const children = listChildren(app.command.child.pid as number);
    app.command.child.kill("SIGINT");
    await app.command.until(/draining: 1 request in flight/);
    app.command.child.kill("SIGTERM");
    assert.equal((await app.command.ended).status, 143);
    assert.equal(await held, "cut off");
    assert.deepEqual([await findLeft(children), socketFolders()], [[], []]);
  });

  it("ends at a signal before it is ready, together with all loading replicas", async () => {
    using app = serveIn(folder, { AT_START: "wait" });
    await app.command.until(/starting in \d+/);
    const children = listChildren(app.command.child.pid as number);
    app.command.child.kill("SIGTERM");
    const { status, stderr } = await app.command.ended;
    assert.equal(status, 143);
    assert.match(stderr, /ended before the server was ready/);
    assert.deepEqual([await findLeft(children), socketFolders()], [[], []]);
  });

  it("ends with 1 when a replica ends while it starts, says how, and leaves nothing", async () => {
    using app = serveIn(folder, { AT_START: "exit" });
    const { status, stderr } = await app.command.ended;
    assert.equal(status, 1);
    assert.match(
      stderr,
      /✗ Last {2}failed in start\(\) .*\n +replica Last#0 ended before it was ready: ended with exit code 7/,
    );
    assert.match(stderr, /all services were stopped\n$/);
    assert.deepEqual(socketFolders(), []);
  });
});

describe("an app that runs", () => {
  let app: RunningApp;
  before(async () => {
    app = serveIn(folder);
    await app.call("where");
  });
  after(() => app[Symbol.dispose]());

  const isRoot = process.getuid?.() === 0;
  it("can't be entered nor called by another user", { skip: !isRoot && "only root may become another user" }, () => {
    const sockets = join(folder, socketFolders()[0] as string);
    assert.equal(statSync(sockets).mode & 0o777, 0o700);
    const [address = ""] = readdirSync(sockets).map((name) => join(sockets, name));
    assert.ok(statSync(address).isSocket());
    assert.deepEqual([connectAs(0, address), connectAs(nobody, address)], ["connected", "EACCES"]);
  });

  it("keeps its port while an entry replica is replaced: a new connection waits for the next one", async () => {
    const [pid] = (await app.call("where")).body;
    process.kill(pid, "SIGKILL");
    await app.command.until(/"msg":"First#0 was ended by SIGKILL; it is started again"/);
    const { status, body } = await app.call("where");
    assert.equal(status, 200);
    assert.notEqual(body[0], pid);
  });

  it("loses every replica when its supervisor is killed, and nothing of it is left", async () => {
    const { body: pids } = await app.call("where");
    assert.equal(socketFolders().length, 1);
    app.command.child.kill("SIGKILL");
    // Its output ends when the last process that has inherited it has ended.
    await app.command.ended;
    assert.deepEqual([pids.length, await findLeft(pids), socketFolders()], [3, [], []]);
  });
});

describe("the supervisor as process 1 of a container", {
  skip: unshare === undefined && "no namespace may be made here",
}, () => {
  const serveAsFirst = async () => {
    const app = new RunningApp("chain.mjs:First", [], { ...(unshare && { under: unshare }) });
    await app.call("where");
    const [supervisor] = listChildren(app.command.child.pid as number) as [number];
    return { app, supervisor };
  };

  it("replaces and reaps a replica that is killed, is not troubled by orphans, drains on SIGTERM and exits with 0", async () => {
    const { app, supervisor } = await serveAsFirst();
    using _ = app;
    assert.match(readFileSync(`/proc/${supervisor}/status`, "utf8"), /^NSpid:.*\s1$/m);
    assert.equal((await app.call("crash")).body.id, "replica_lost");
    await app.command.until(/"msg":"Last#0 was ended by SIGKILL; it is started again"/);
    await app.command.until(/"msg":"Last#0 restarted"/);
    assert.deepEqual(
      listChildren(supervisor).filter((pid) => !isRunning(pid)),
      [],
    );
    for (let i = 0; i < 3; i++) assert.equal((await app.call("orphan")).status, 200);
    assert.equal((await app.get("/readyz")).status, 200);

    const held = app.call("hold");
    const [, inside] = await app.command.until(/holding in (\d+)/);
    process.kill(supervisor, "SIGTERM");
    await app.command.until(/draining: 1 request in flight/);
    const outside = listChildren(supervisor).find((pid) =>
      new RegExp(`^NSpid:.*\\s${inside}$`, "m").test(readFileSync(`/proc/${pid}/status`, "utf8")),
    );
    process.kill(outside as number, "SIGUSR2");
    assert.deepEqual(await held, { status: 200, body: "held to the end" });
    const { status, stderr } = await app.command.ended;
    assert.deepEqual([status, stderr.match(/stop of \w+/g)], [0, ["stop of First", "stop of Middle", "stop of Last"]]);
  });
});
