import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { after, before, describe, it } from "node:test";
import { isHeldName } from "../src/held/file-store.js";
import { until } from "./chaos/app.js";
import { listDescendants, listDescriptors } from "./chaos/processes.js";
import { RunningApp } from "./faults/running-app.js";
import { hasNoSlabs } from "./transport/slab-folder.js";

const root = mkdtempSync("/tmp/ekiben-large-");
after(() => rmSync(root, { recursive: true, force: true }));

/** App in a folder of its own. */
async function readDecoded(app: RunningApp): Promise<Record<string, number>> {
  const page = await app.text("/metrics");
  const found = page.matchAll(/^ekiben_decoded_bytes_total\{service="(\w+)"\} (\S+)$/gm);
  return Object.fromEntries([...found].map(([, service, bytes]) => [service, Number(bytes)]));
}

/** Returns the bytes that each service has read since the counts of `before`. */
async function readSince(app: RunningApp, before: Record<string, number>): Promise<Record<string, number>> {
  const now = await readDecoded(app);
  return Object.fromEntries(Object.entries(now).map(([service, bytes]) => [service, bytes - (before[service] ?? 0)]));
}

/** Returns the folder in shared memory that holds the large tensors of the app. */
function findMemoryFolder(app: RunningApp): string {
  const open = listDescendants(app.command.child.pid as number).flatMap(listDescriptors);
  return dirname(open.find((path) => path.startsWith("/dev/shm/ekiben-")) ?? "");
}

describe("a tensor of 6 MB that goes through processes", { skip: hasNoSlabs }, () => {
  const count = 1_500_000;
  const bytes = count * 4;
  let app: RunningApp;
  before(async () => {
    app = new RunningApp("large.mjs:Entry", [], { env: { TMPDIR: root } });
    await app.text("/readyz");
  });
  after(() => app[Symbol.dispose]());
  const ask = async (what: string, n = count) => (await app.call("ask", { what, n })).body;

  it("is read only by its receiver, not by services on its way", async () => {
    for (let i = 0; i < 5; i++) {
      const before = await readDecoded(app);
      assert.deepEqual(await ask("sum"), [count, true]);
      assert.deepEqual(await readSince(app, before), { Entry: 0, Second: 0, Third: 0, Leaf: bytes });
    }
  });

  it("is read nowhere on its way back", async () => {
    const before = await readDecoded(app);
    assert.deepEqual(await ask("make"), [count, true]);
    assert.deepEqual(await readSince(app, before), { Entry: bytes, Second: 0, Third: 0, Leaf: 0 });
  });

  it("is given back unread by one that only returns it", async () => {
    const before = await readDecoded(app);
    assert.deepEqual(await ask("echo"), [count, true]);
    assert.deepEqual(await readSince(app, before), { Entry: bytes, Second: 0, Third: 0, Leaf: 0 });
  });

  it("is not read by one that gets it from one service and gives it to another", async () => {
    const before = await readDecoded(app);
    assert.deepEqual((await app.call("pass", count)).body, [count, true]);
    assert.deepEqual(await readSince(app, before), { Entry: 0, Second: 0, Third: 0, Leaf: bytes });
  });

  it("belongs to the receiver: its changes are sent on, and no other service sees them", async () => {
    assert.deepEqual(await ask("write"), [[count, true], [count, false], 5]);
  });

  it("stays intact in a service that keeps it unread, also when its sender writes others, and blocks no other call", async () => {
    const kept = 30;
    for (let i = 0; i < kept; i++) assert.equal(await ask("keep"), i + 1);
    for (let i = 0; i < 10; i++) assert.deepEqual(await ask("sum"), [count, true]);
    assert.deepEqual(
      await ask("kept"),
      Array.from({ length: kept }, () => [count, true]),
    );
  });

  it("leaves nothing behind a replica that is killed with it in its hands", async () => {
    const folder = findMemoryFolder(app);
    const livesThere = () => new Set(readdirSync(folder).filter(isHeldName).map(lifeOf));
    for (let i = 0; i < 3; i++) await ask("keep");
    const before = livesThere();
    process.kill((await app.call("where")).body, "SIGKILL");
    await until(async () => (await app.call("ask", { what: "sum", n: count })).status === 200);
    await until(() => [...before].some((life) => !livesThere().has(life)));
    assert.equal(await app.end(), 0);
    // Newer Nodes keep their compile cache there.
    const left = readdirSync(root).filter((name) => name !== "node-compile-cache");
    assert.deepEqual([existsSync(folder), left], [false, []]);
  });
});

const small = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=1m tmpfs /dev/shm && exec "$@"', "sh"];
const [unshare = "", ...mounting] = small;
const mayMount = spawnSync(unshare, [...mounting, "true"]).status === 0;
const skip = hasNoSlabs || (mayMount ? false : "only root may mount a small /dev/shm");

describe("values for which shared memory has no room", { skip }, () => {
  it("arrive whole nevertheless, and each process logs the reason once, with the numbers and the fix", async () => {
    using app = new RunningApp("large.mjs:Entry", [], { env: { TMPDIR: root }, under: small });
    // One value for a slab, and several for files.
    for (const n of [400_000, 1_500_000, 1_500_000]) {
      assert.deepEqual((await app.call("ask", { what: "sum", n })).body, [n, true]);
    }
    assert.equal(await app.end(), 0);
    const lines = app.log.filter(({ msg }) => msg?.startsWith("shared memory is full"));
    assert.equal(new Set(lines.map(({ pid }) => pid)).size, lines.length);
    assert.ok(lines.length > 0 && lines.every(({ service }) => service !== undefined));
    for (const { msg, level, totalBytes } of lines) {
      assert.match(
        msg,
        /^shared memory is full: no room for \d+\.\d MiB in \/dev\/shm\/ekiben-\S+ \(\d\.\d MiB of 1\.0 MiB are free\)\. .*--shm-size=1g/,
      );
      assert.deepEqual([level, totalBytes], [40, 1024 ** 2]);
    }
  });
});

const lifeOf = (name: string) => name.slice(0, 16);
