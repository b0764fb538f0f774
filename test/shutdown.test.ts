import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { z } from "zod";
import { api, Service } from "../src/index.js";
import { CommandProcess } from "./cli-process.js";
import { RunningApp } from "./faults/running-app.js";
import { createTestServer } from "./http/test-server.js";

const folder = mkdtempSync(join(tmpdir(), "ekiben-shutdown-"));
after(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;
const newFile = (): string => join(folder, String(++files));
const faults = join(import.meta.dirname, "faults");

const isRefused = (url: string): Promise<boolean> =>
  fetch(`${url}/livez`).then(
    () => false,
    () => true,
  );

/**
 * Sends requests from a process of its own: it connects, sends all of them, reports that by a file, then counts the
 * answers.
 */
const manyRequests = `
  import { connect } from "node:net";
  import { writeFileSync } from "node:fs";
  const [port, count, file] = process.argv.slice(1);
  const body = '"x"';
  const request = "POST /echo HTTP/1.1\\r\\nhost: localhost\\r\\ncontent-type: application/json\\r\\ncontent-length: 3\\r\\n\\r\\n" + body;
  const tally = { answered: 0, other: [] };
  const open = () => new Promise((sent, _) => {
    const socket = connect(Number(port), "127.0.0.1");
    let text = "";
    socket.on("connect", () => socket.write(request, sent));
    socket.on("data", (chunk) => (text += chunk));
    socket.on("error", (error) => { text = error.code; sent(); });
    socket.on("close", () => {
      if (text.startsWith("HTTP/1.1 200") && text.endsWith(body)) tally.answered++;
      else tally.other.push(text.slice(0, 30));
      if (tally.answered + tally.other.length === Number(count)) console.log(JSON.stringify(tally));
    });
  });
  await Promise.all(Array.from({ length: Number(count) }, open));
  writeFileSync(file, "");
`;

describe("a server that closes", () => {
  for (const isShared of [false, true]) {
    const what = isShared ? "a socket shared with others" : "a socket of its own";
    it(`answers every request that was sent before, also those that only the kernel has taken, on ${what}`, async () => {
      class Echo extends Service() {
        echo = api({ input: z.string(), output: z.string() }, (text) => text);
      }
      const server = await createTestServer(Echo);
      const { bindSocket } = await import("../src/app/bound-socket.js");
      const socket = isShared ? await bindSocket("127.0.0.1", 0) : undefined;
      if (socket !== undefined) await server.listenOn(socket.handle);
      const { port } = socket ?? (await server.listen());
      const sent = newFile();
      const args = ["--input-type=module", "-e", manyRequests, String(port), "60", sent];
      const client = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
      let printed = "";
      client.stdout.on("data", (chunk) => (printed += chunk));
      const counted = new Promise((resolve) => client.once("close", resolve));
      // This thread does nothing meanwhile, so it accepts none of them.
      const pause = new Int32Array(new SharedArrayBuffer(4));
      while (!existsSync(sent)) Atomics.wait(pause, 0, 0, 5);
      await server.close();
      await counted;
      assert.deepEqual(JSON.parse(printed), { answered: 60, other: [] });
    });
  }
});

describe("an app that is told to stop", () => {
  for (const placement of ["process", "thread", "inline"]) {
    it(`says first that it is not ready and serves on for shutdownDelayMs, in placement ${placement}`, async () => {
      const args = ["--placement", placement, "--shutdown-delay-ms", "1500"];
      using app = new RunningApp("waiting.mjs:Waiting", args);
      assert.equal((await app.get("/readyz")).status, 200);
      const url = await app.command.url();
      const begun = performance.now();
      app.command.child.kill("SIGTERM");
      await app.command.until(/shutting down: \/readyz answers 503; requests are accepted for another 1\.5 s/);
      let answers = 0;
      for (; !(await isRefused(url)); answers++) {
        // Of two requests, one may come before the port closes and one after.
        const readyz = await app.get("/readyz").catch(() => undefined);
        const echo = await app.call("echo", "x").catch(() => undefined);
        if (readyz !== undefined) assert.deepEqual([readyz.status, readyz.body.status], [503, "draining"]);
        if (echo !== undefined) assert.deepEqual(echo, { status: 200, body: "x" });
      }
      assert.ok(answers > 0 && performance.now() - begun >= 1_500);
      assert.equal((await app.command.ended).status, 0);
    });
  }

  it("does not wait so long after Ctrl-C", async () => {
    using app = new RunningApp("waiting.mjs:Waiting", ["--placement", "inline", "--shutdown-delay-ms", "3600000"]);
    await app.call("echo", "x");
    app.command.child.kill("SIGINT");
    assert.equal((await app.command.ended).status, 0);
  });

  for (const signal of ["SIGHUP", "SIGQUIT"] as const) {
    it(`answers what it has accepted, and ends with 0, after ${signal}`, async () => {
      using app = new RunningApp("waiting.mjs:Waiting");
      const file = newFile();
      const answer = app.call("wait", file);
      await app.command.until(/waiting/);
      app.command.child.kill(signal);
      await app.command.until(/draining: 1 request in flight/);
      writeFileSync(file, "");
      assert.deepEqual(await answer, { status: 200, body: file });
      assert.equal((await app.command.ended).status, 0);
    });
  }
});

describe("a program that leaves signals to serve()", () => {
  it("drains once for a signal that comes twice, and ends with 0", async () => {
    const program = spawn(process.execPath, [join(faults, "serve-signals.mjs")], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    let printed = "";
    let wake = () => {};
    program.stderr.on("data", (chunk) => {
      printed += chunk;
      wake();
    });
    const until = async (pattern: RegExp): Promise<RegExpExecArray> => {
      for (;;) {
        const found = pattern.exec(printed);
        if (found !== null) return found;
        await new Promise<void>((resolve) => (wake = resolve));
      }
    };
    const ended = new Promise((resolve) => program.once("close", (code) => resolve(code)));
    const [, url] = await until(/ready at (\S+)/);
    const file = newFile();
    const answer = fetch(`${url}/wait`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(file),
    });
    await until(/waiting/);
    program.kill("SIGINT");
    program.kill("SIGINT");
    while (!(await isRefused(url as string)));
    writeFileSync(file, "");
    assert.equal(await (await answer).json(), file);
    assert.equal(await ended, 0);
  });
});

describe("an app whose npm is gone", () => {
  const skip = process.platform === "linux" ? false : "only Linux shows processes as files";
  /** Imitates npm in the chain of processes of a script; the real npm takes seconds to start. */
  const npm = `
    const { spawn } = require("node:child_process");
    const child = spawn("sh", ["-c", process.argv[1]], { stdio: "inherit", env: { ...process.env, npm_lifecycle_event: "start" } });
    child.on("exit", (code) => process.exit(code));
  `;
  for (const [what, suffix] of [
    ["its shell has become the app", ""],
    ["a shell waits between them", "; true"],
  ] as const) {
    it(`drains and ends, where ${what}`, { skip }, async () => {
      const main = join(import.meta.dirname, "../dist/cli/main.js");
      const command = `${process.execPath} ${main} serve waiting.mjs:Waiting --port 0 --host 127.0.0.1${suffix}`;
      using app = new CommandProcess([], {
        cwd: faults,
        under: ["sh", "-c", 'exec "$0" -e "$NPM" "$COMMAND"', process.execPath],
        env: { NPM: npm, COMMAND: command },
      });
      const url = await app.url();
      const file = newFile();
      const answer = fetch(`${url}/wait`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(file),
      });
      await app.until(/waiting/);
      app.child.kill("SIGKILL");
      while (!(await isRefused(url)));
      writeFileSync(file, "");
      assert.equal(await (await answer).json(), file);
      // The output ends with the last process that has it.
      await app.ended;
    });
  }
});
