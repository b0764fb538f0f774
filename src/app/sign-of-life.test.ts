import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { showLife, sweepDead } from "./sign-of-life.js";

let place: string;
beforeEach(() => {
  place = mkdtempSync("/tmp/ekiben-sweep-");
});
afterEach(() => rmSync(place, { recursive: true, force: true }));

/** A folder such as an app makes. */
function createFolder(name: string): string {
  const folder = join(place, name);
  mkdirSync(folder, 0o700);
  writeFileSync(join(folder, "1.sock"), "");
  return folder;
}

/** The same, of an app that was killed: its socket is there and nobody listens. */
async function createDead(name: string): Promise<string> {
  const folder = createFolder(name);
  const listen = `require("net").createServer().listen(${JSON.stringify(join(folder, "alive"))}, () => console.log("up"))`;
  const child = spawn(process.execPath, ["-e", listen], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  child.kill("SIGKILL");
  await once(child, "exit");
  assert.deepEqual(readdirSync(folder).sort(), ["1.sock", "alive"]);
  return folder;
}

/** Keeps the process alive while a promise is awaited: the timers of `sweepDead` do not. */
async function sweep(signal = new AbortController().signal): Promise<string[]> {
  const held = setInterval(() => {}, 1000);
  try {
    return await sweepDead(place, signal);
  } finally {
    clearInterval(held);
  }
}

describe("sweepDead", () => {
  it("removes the folders of apps that were killed, and no other (AL1, AL2)", async () => {
    const dead = [await createDead("ekiben-dead01"), await createDead("ekiben-dead02")];
    const living = createFolder("ekiben-alive1");
    const server = showLife(living);
    if (!server.listening) await once(server, "listening");
    const silent = createFolder("ekiben-nosign");
    const named = await createDead("ekiben-other-name");
    assert.deepEqual((await sweep()).sort(), dead);
    assert.deepEqual([...dead, living, silent, named].map(existsSync), [false, false, true, true, true]);
    server.close();
  });

  it("leaves what others may enter, and follows no link (AL1, AL3)", async () => {
    const open = await createDead("ekiben-open01");
    chmodSync(open, 0o755);
    const target = await createDead("ekiben-target");
    rmSync(join(place, "elsewhere"), { recursive: true, force: true });
    const elsewhere = mkdtempSync("/tmp/ekiben-elsewhere-");
    writeFileSync(join(elsewhere, "precious"), "");
    symlinkSync(elsewhere, join(place, "ekiben-linked"));
    symlinkSync(elsewhere, join(target, "inside"));
    try {
      assert.deepEqual(await sweep(), [target]);
      assert.deepEqual([open, join(place, "ekiben-linked"), join(elsewhere, "precious")].map(existsSync), [
        true,
        true,
        true,
      ]);
    } finally {
      rmSync(elsewhere, { recursive: true });
    }
  });

  it("takes a socket that is no socket for no sign, and a place that is not there for none", async () => {
    const folder = createFolder("ekiben-files1");
    writeFileSync(join(folder, "alive"), "");
    assert.deepEqual(await sweep(), []);
    rmSync(place, { recursive: true });
    assert.deepEqual(await sweep(), []);
  });

  it("ends when its app stops", async () => {
    const dead = await createDead("ekiben-dead03");
    assert.deepEqual(await sweep(AbortSignal.abort()), []);
    assert.ok(existsSync(dead));
  });
});
