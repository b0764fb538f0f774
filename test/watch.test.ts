import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { z } from "zod";
import { bindSocket } from "../src/app/bound-socket.js";
import { createCallTime } from "../src/call/call-scope.js";
import { api, Service } from "../src/index.js";
import { CommandProcess, fixtures, runCommand } from "./cli-process.js";
import { FakeClock } from "./fake-clock.js";
import { parseResponse, RawConnection } from "./http/raw-connection.js";
import { createTestServer } from "./http/test-server.js";

const sources = join(fixtures, "../watch");

/** Project in a folder of its own, run by `ekiben serve --watch`. */
class Project implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), "ekiben-watch-"));
  #command: CommandProcess | undefined;

  constructor(answer = "one") {
    cpSync(sources, this.folder, { recursive: true });
    symlinkSync(join(import.meta.dirname, "../node_modules"), join(this.folder, "node_modules"));
    this.write("package.json", '{ "type": "module" }');
    this.answer(answer);
  }

  write(name: string, text: string): void {
    mkdirSync(dirname(join(this.folder, name)), { recursive: true });
    writeFileSync(join(this.folder, name), text);
  }

  /** Changes the answer of the model, from the next version on. */
  answer(text: string): void {
    this.write("model.ts", `export const answer = ${JSON.stringify(text)};\n`);
  }

  mend(name: string, from: string, to: string): void {
    const text = readFileSync(join(this.folder, name), "utf8");
    assert.ok(text.includes(from), `${name} has ${from}`);
    this.write(name, text.replace(from, to));
  }

  serve(...flags: string[]): CommandProcess {
    const args = ["serve", "--watch", "--port", "0", "--host", "127.0.0.1", "--no-http-access-log", ...flags];
    this.#command = new CommandProcess(args, { cwd: this.folder });
    return this.#command;
  }

  [Symbol.dispose](): void {
    this.#command?.[Symbol.dispose]();
    rmSync(this.folder, { recursive: true });
  }
}

/** Sends one request on a connection of its own. */
function ask(url: string, path = "/ask", agent: http.Agent | false = false): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = http.request(`${url}${path}`, { method: "POST", agent }, (response) => {
      let text = "";
      response.on("data", (chunk) => (text += chunk)).on("error", reject);
      response.on("end", () =>
        resolve(response.statusCode === 200 ? JSON.parse(text) : `${response.statusCode} ${text}`),
      );
    });
    request.on("error", reject).end();
  });
}

/** Sends requests without a pause until it is aborted. */
async function askOn(url: string, signal: AbortSignal, agent: http.Agent | false): Promise<string[]> {
  const answers: string[] = [];
  while (!signal.aborted)
    answers.push(await ask(url, "/ask", agent).catch((error: Error) => `failed: ${error.message}`));
  return answers;
}

describe("ekiben serve --watch", () => {
  const placements = [
    { placement: "process", answers: ["two", "three"] },
    { placement: "thread", answers: ["two"] },
    { placement: "inline", answers: ["two"] },
  ];
  for (const { placement, answers } of placements) {
    it(`takes over without a failed request, placed ${placement}`, async () => {
      using project = new Project();
      const server = project.serve("--placement", placement);
      const url = await server.url();
      const end = new AbortController();
      const agents = [false, false, new http.Agent({ keepAlive: true, maxSockets: 1 })] as const;
      const clients = agents.map((agent) => askOn(url, end.signal, agent));
      let number = 1;
      for (const answer of answers) {
        project.answer(answer);
        await server.until(new RegExp(`\nchanged: model\\.ts — starting version ${number + 1}\n`));
        await server.until(new RegExp(`\nversion ${number + 1} ready in [\\d.]+ m?s, version ${number} is draining\n`));
        await server.until(new RegExp(`\nversion ${number++} stopped after`));
        assert.equal(await ask(url), answer);
      }
      end.abort();
      for (const received of await Promise.all(clients)) {
        assert.ok(received.length > 10, `${received.length} answers`);
        assert.deepEqual([...new Set(received)], ["one", ...answers]);
      }
      server.child.kill("SIGINT");
      const { status, stderr } = await server.ended;
      assert.equal(status, 0, stderr);
      assert.match(stderr, /\ndraining: 0 requests in flight, .*\nstopped after [\d.]+ m?s\n$/);
      assert.equal(stderr.split("POST /ask").length, 2, "what can be called is shown once, as it stays the same");
    });
  }

  it("keeps the serving version while newer ones fail to start, and switches to the fixed one", async () => {
    using project = new Project();
    const server = project.serve("--placement", "inline");
    const url = await server.url();
    project.answer("no weights");
    await server.until(/✗ Model {2}failed in start\(\) after .*\n {4}start\(\) threw: there are no weights\n/);
    await server.until(/version 2 failed to start; version 1 keeps serving\n/);
    project.write("model.ts", "export const answer = ;\n");
    await server.until(/error: service\.ts could not be loaded: .*\n(.*\n)*.*model\.ts/);
    await server.until(/version 3 failed to start; version 1 keeps serving\n/);
    project.mend("service.ts", "  answer =", "  app = depends(App);\n  answer =");
    project.answer("two");
    await server.until(/version 4 failed to start; version 1 keeps serving\n/);
    await server.until(/1 fault\n\n {2}fault \S+: .*App/);
    project.mend("service.ts", "  app = depends(App);\n", "");
    project.mend("service.ts", "timeoutMs: 20_000", "timeoutMs: -1");
    await server.until(/fault App\.timeoutMs: option timeoutMs is -1/);
    await server.until(/version 5 failed to start; version 1 keeps serving\n/);
    assert.equal(await ask(url), "one");
    project.mend("service.ts", "timeoutMs: -1", "timeoutMs: 10_000");
    await server.until(/version 6 ready in [\d.]+ m?s, version 1 is draining\n/);
    await server.until(/version 1 stopped after/);
    assert.equal(await ask(url), "two");
    server.child.kill("SIGINT");
    assert.equal((await server.ended).status, 0);
  });

  it("waits for a change when the first version does not start", async () => {
    using project = new Project("no weights");
    const server = project.serve("--placement", "inline");
    await server.until(/version 1 failed to start; waiting for a change\n/);
    project.answer("one");
    assert.equal(await ask(await server.url()), "one");
    server.child.kill("SIGINT");
    assert.equal((await server.ended).status, 0);
  });

  it("lets the old version answer its accepted requests", async () => {
    using project = new Project();
    const server = project.serve();
    const url = await server.url();
    const held = ask(url, "/hold");
    const [, pid] = await server.until(/holding in (\d+)\n/);
    project.answer("two");
    await server.until(/version 2 ready/);
    // The old version is asked to drain at that moment, and continues until the message arrives.
    while ((await ask(url)) !== "two");
    assert.equal(await ask(url), "two");
    process.kill(Number(pid), "SIGUSR2");
    assert.equal(await held, "held by one");
    await server.until(/version 1 stopped after/);
    server.child.kill("SIGINT");
    assert.equal((await server.ended).status, 0);
  });

  it("starts the newest version when another change comes while one starts", async () => {
    using project = new Project();
    const server = project.serve();
    const url = await server.url();
    project.answer("late");
    await server.until(/waiting for late weights\n/);
    project.answer("three");
    await server.until(/version 3 ready in [\d.]+ m?s, version 1 is draining\n/);
    await server.until(/version 1 stopped after/);
    assert.equal(await ask(url), "three");
    server.child.kill("SIGINT");
    const { stderr } = await server.ended;
    assert.doesNotMatch(stderr, /version 2 (ready|did|was|ended|stopped)/);
  });

  it("ignores saves without a change, and files of packages, of output folders or of other kinds", async () => {
    using project = new Project();
    const server = project.serve("--placement", "inline");
    await server.url();
    project.write("package.json", '{ "type": "module" }');
    for (const name of ["lib/node_modules/a.js", "dist/a.js", ".cache/a.js", "notes.md"]) project.write(name, "1");
    project.answer("two");
    await server.until(/\nchanged: model\.ts — starting version 2\n/);
    await server.until(/version 2 ready/);
    project.write("lib/made.ts", "export const made = 1;");
    await server.until(/\nchanged: lib\/made\.ts — starting version 3\n/);
    server.child.kill("SIGINT");
    assert.equal((await server.ended).status, 0);
  });

  it("moves to another port when the app file says so", async () => {
    using project = new Project();
    const command = ["serve", "--watch", "--placement", "inline"];
    const config = (port: number) => `export default { port: ${port}, host: "127.0.0.1", logLevel: "warn" };\n`;
    project.write("ekiben.config.ts", config(0));
    using server = new CommandProcess(command, { cwd: project.folder });
    const url = await server.url();
    const free = (await bindSocket("127.0.0.1", 0)) as NonNullable<Awaited<ReturnType<typeof bindSocket>>>;
    free.close();
    project.write("ekiben.config.ts", config(free.port));
    await server.until(new RegExp(`version 2 ready in .*, version 1 is draining\n\n  ${free.url}\n`));
    assert.equal(await ask(free.url), "one");
    await server.until(/version 1 stopped after/);
    await assert.rejects(ask(url), /ECONNREFUSED/);
    server.child.kill("SIGTERM");
    assert.equal((await server.ended).status, 0);
  });

  for (const placement of ["process", "inline"]) {
    it(`keeps the two ports of an app with an adminPort, also where both are free ones, placed ${placement}`, async () => {
      using project = new Project();
      const server = project.serve("--admin-port", "0", "--placement", placement);
      const url = await server.url();
      const [, admin = ""] = await server.until(/ {2}(http:\S+) +probes, metrics/);
      assert.notEqual(url, admin);
      project.answer("two");
      await server.until(/\nversion 2 ready in [\s\S]*\nversion 1 stopped after/);
      assert.equal(await ask(url), "two");
      for (const [base, status] of [
        [url, 404],
        [admin, 200],
      ] as const) {
        const response = await fetch(`${base}/readyz`, { headers: { connection: "close" } });
        await response.arrayBuffer();
        assert.equal(response.status, status);
      }
      server.child.kill("SIGINT");
      assert.equal((await server.ended).status, 0);
    });
  }

  it("ends at once at a second signal, and before a version is ready at the first", async () => {
    using project = new Project();
    const server = project.serve();
    const url = await server.url();
    const held = ask(url, "/hold").catch(() => "cut off");
    await server.until(/holding in/);
    server.child.kill("SIGINT");
    await server.until(/draining: 1 request in flight/);
    server.child.kill("SIGTERM");
    // Resolves when all processes that inherited the command's output have ended: versions and replicas, too.
    const { status, stderr } = await server.ended;
    assert.equal(status, 143);
    assert.match(stderr, /ended at once; calls in flight were cut off/);
    assert.equal(await held, "cut off");
    project.answer("late");
    const late = project.serve();
    await late.until(/waiting for late weights\n/);
    late.child.kill("SIGINT");
    assert.equal((await late.ended).status, 130);
  });

  it("starts a version again that was killed while it served", async () => {
    using project = new Project();
    const server = project.serve("--placement", "inline");
    const url = await server.url();
    const held = ask(url, "/hold").catch(() => "cut off");
    const [, pid] = await server.until(/holding in (\d+)/);
    process.kill(Number(pid), "SIGKILL");
    await server.until(/version 1 was ended by SIGKILL; restarting/);
    await server.until(/version 2 ready in/);
    assert.deepEqual([await held, await ask(url)], ["cut off", "one"]);
    server.child.kill("SIGINT");
    assert.equal((await server.ended).status, 0);
  });

  const limit = 'echo 3 > /proc/sys/user/max_inotify_watches && exec "$0" "$@"';
  const under = ["unshare", "--user", "--map-root-user", "sh", "-c", limit];
  const canLimit = spawnSync(under[0] as string, [...under.slice(1), "true"]).status === 0;
  const skip = canLimit ? false : "this system lets no process lower its limit of inotify watches";
  it("names the limit of watched folders when the system grants no more, and how to raise it", { skip }, async () => {
    using project = new Project();
    for (const name of ["a", "b", "c"]) project.write(`${name}/labels.json`, "[]");
    const { status, stderr } = await runCommand(["serve", "--watch"], { cwd: project.folder, under });
    assert.equal(status, 1, stderr);
    assert.match(stderr, /error: \S+ can't be watched: the system's limit of watched folders is reached \(ENOSPC\)\n/);
    assert.match(stderr, /sudo sysctl fs\.inotify\.max_user_watches=524288/);
  });

  it("leaves nothing running when it is killed", async () => {
    using project = new Project();
    const server = project.serve();
    const url = await server.url();
    server.child.kill("SIGKILL");
    await server.ended;
    await assert.rejects(ask(url), /ECONNREFUSED/);
  });
});

describe("an HTTP server on a shared socket that closes", () => {
  class Echo extends Service() {
    echo = api({ output: z.string() }, () => "here");
  }
  const request = "POST /echo HTTP/1.1\r\nhost: localhost\r\n\r\n";

  it("answers the next request of each open connection, then closes it", async () => {
    const clock = new FakeClock();
    const server = await createTestServer(Echo, { deps: { time: createCallTime(clock) } });
    const socket = await bindSocket("127.0.0.1", 0);
    assert.ok(socket);
    await server.listenOn(socket.handle);
    const connections = [1, 2, 3].map(() => new RawConnection(socket.port)) as [
      RawConnection,
      RawConnection,
      RawConnection,
    ];
    const [fresh, kept, silent] = connections;
    // Accepted in the order in which they were opened.
    kept.write(request);
    silent.write(request);
    assert.equal((await kept.response()).headers["connection"], "keep-alive");
    assert.equal((await silent.response()).status, 200);
    const closed = server.close();
    for (const connection of [fresh, kept]) {
      connection.write(request);
      const response = parseResponse(await connection.closed());
      assert.deepEqual([response.status, response.headers["connection"], response.body], [200, "close", '"here"']);
    }
    clock.advance(500);
    assert.equal(await silent.closed(), "");
    await closed;
    assert.equal(server.fastify.server.listening, false);
  });
});
