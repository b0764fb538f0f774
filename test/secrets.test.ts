import assert from "node:assert/strict";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { CommandProcess, type CommandResult, runCommand } from "./cli-process.js";

const hidden = "hush-4711";

/** Folder of an app with a service file, and an environment file when a test writes one. */
class AppFolder implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), "ekiben-secrets-"));
  readonly #running: CommandProcess[] = [];

  constructor(files: Readonly<Record<string, string>> = {}) {
    cpSync(join(import.meta.dirname, "secrets"), this.folder, { recursive: true });
    symlinkSync(join(import.meta.dirname, "../node_modules"), join(this.folder, "node_modules"));
    this.write("package.json", '{ "type": "module" }');
    for (const [name, text] of Object.entries(files)) this.write(name, text);
  }

  write(name: string, text: string): void {
    mkdirSync(join(this.folder, name, ".."), { recursive: true });
    writeFileSync(join(this.folder, name), text);
  }

  run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<CommandResult> {
    return runCommand(args, { cwd: this.folder, env });
  }

  serve(flags: readonly string[], env: Readonly<Record<string, string>> = {}): CommandProcess {
    const args = ["serve", "service.mjs:Desk", "--port", "0", "--host", "127.0.0.1", ...flags];
    const app = new CommandProcess(args, { cwd: this.folder, env });
    this.#running.push(app);
    return app;
  }

  [Symbol.dispose](): void {
    for (const app of this.#running) app[Symbol.dispose]();
    rmSync(this.folder, { recursive: true });
  }
}

async function call(url: string, api: string, headers: Record<string, string> = {}): Promise<any> {
  return (await fetch(`${url}/${api}`, { method: "POST", headers })).json();
}

async function end(app: CommandProcess): Promise<CommandResult> {
  app.child.kill("SIGTERM");
  return app.ended;
}

describe("the environment file", { concurrency: 2 }, () => {
  for (const placement of ["process", "thread", "inline"]) {
    it(`is read before the service file, in replicas too, placed ${placement}`, async () => {
      using folder = new AppFolder({ ".env": `# comment\nGREETING="good morning"\nSECRET_KEY=${hidden}\n` });
      const app = folder.serve(["--placement", placement]);
      const url = await app.url();
      assert.equal(await call(url, "greeting"), "good morning from good morning");
      assert.equal(await call(url, "key"), hidden);
      assert.equal((await end(app)).status, 0);
    });
  }

  it("sets no variable that is set already, and options that it sets name it as their source", async () => {
    using folder = new AppFolder({ ".env": "EKIBEN_PORT=4001\nEKIBEN_LOG=error\nEKIBEN_MAX_QUEUED=Desk=9\n" });
    const listed = await folder.run(["options", "service.mjs:Desk", "--changed"], { EKIBEN_PORT: "4002" });
    assert.match(listed.stdout, /^port +4002 +EKIBEN_PORT$/m);
    assert.match(listed.stdout, /^logLevel +error +\.env EKIBEN_LOG$/m);
    assert.match(listed.stdout, /^Desk\.key\.maxQueued +9 +\.env EKIBEN_MAX_QUEUED$/m);
  });

  it("may be another one, that of the package, or none", async () => {
    using folder = new AppFolder({ ".env": "EKIBEN_PORT=4001\n", "conf/prod.env": "EKIBEN_PORT=4003\n" });
    const portOf = async (...args: string[]) => {
      const { stdout } = await folder.run(["options", ...args]);
      return /^port .*$/m.exec(stdout)?.[0].replaceAll(/ +/g, " ");
    };
    assert.equal(await portOf("service.mjs:Desk"), "port 4001 .env EKIBEN_PORT");
    assert.equal(await portOf("service.mjs:Desk", "--env-file", "conf/prod.env"), "port 4003 prod.env EKIBEN_PORT");
    assert.equal(await portOf("service.mjs:Desk", "--no-env-file"), "port 3000 default");
    mkdirSync(join(folder.folder, "src"));
    cpSync(join(folder.folder, "service.mjs"), join(folder.folder, "src/service.mjs"));
    assert.equal(await portOf("src/service.mjs:Desk"), "port 4001 .env EKIBEN_PORT", "of the package");
    folder.write("src/package.json", '{ "type": "module" }');
    assert.equal(await portOf("src/service.mjs:Desk"), "port 3000 default", "that of the current folder is no one's");
    folder.write("src/.env", "EKIBEN_PORT=4004\n");
    assert.equal(await portOf("src/service.mjs:Desk"), "port 4004 .env EKIBEN_PORT", "beside the service file");
    rmSync(join(folder.folder, ".env"));
    mkdirSync(join(folder.folder, ".env/bin"), { recursive: true });
    assert.equal(await portOf("service.mjs:Desk"), "port 3000 default", "a folder of that name is Python's");
  });

  it("sets nothing that decides which code is loaded, and is named by the start", async () => {
    using folder = new AppFolder({ "evil.cjs": 'process.stdout.write("evil\\n")' });
    const lines = [
      `NODE_OPTIONS=--require ${join(folder.folder, "evil.cjs")}`,
      "LD_PRELOAD=/evil.so",
      "Path=/evil",
      "GREETING=hi",
    ];
    folder.write(".env", lines.join("\n"));
    const app = folder.serve(["--placement", "process"], { SECRET_KEY: hidden });
    assert.equal(await call(await app.url(), "greeting"), "hi from hi");
    const { status, stdout, stderr } = await end(app);
    assert.equal(status, 0);
    assert.doesNotMatch(stdout + stderr, /^evil$/m);
    assert.match(stderr, /^environment: \.env$/m);
    assert.match(stderr, /warning \.env sets LD_PRELOAD, NODE_OPTIONS, Path, which an environment file may not/);
  });

  it("that can't be read is refused, and so is one that is missing where it is named", async () => {
    using folder = new AppFolder();
    const socket = createServer().listen(join(folder.folder, ".env"));
    await once(socket, "listening");
    const { status, stderr } = await folder.run(["options", "service.mjs:Desk"]);
    socket.close();
    assert.equal(status, 1);
    assert.match(stderr, /error: the environment file .*\.env can't be read: ENXIO.*\n {2}fix: .*--no-env-file/);
    const missing = await folder.run(["options", "service.mjs:Desk", "--env-file", "absent.env"]);
    assert.notEqual(missing.status, 0);
    assert.match(missing.stderr, /absent\.env/);
  });

  it("starts a new version when it changes under --watch, also one that is named elsewhere", async () => {
    using folder = new AppFolder({ ".env": `GREETING=one\nSECRET_KEY=${hidden}\n` });
    const app = folder.serve(["--watch", "--placement", "inline"]);
    const url = await app.url();
    assert.equal(await call(url, "greeting"), "one from one");
    folder.write(".env", `GREETING=two\nSECRET_KEY=${hidden}\n`);
    await app.until(/changed: \.env — starting version 2\n[\s\S]*version 1 stopped after/);
    assert.equal(await call(url, "greeting"), "two from two");
    await end(app);
    using other = new AppFolder({ "one.vars": `GREETING=three\nSECRET_KEY=${hidden}\n` });
    const second = folder.serve(["--watch", "--placement", "inline", "--env-file", join(other.folder, "one.vars")]);
    const place = await second.url();
    assert.equal(await call(place, "greeting"), "three from three");
    other.write("one.vars", `GREETING=four\nSECRET_KEY=${hidden}\n`);
    await second.until(/one\.vars — starting version 2\n[\s\S]*version 1 stopped after/);
    assert.equal(await call(place, "greeting"), "four from four");
    await end(second);
  });
});

describe("a secret", { concurrency: 2 }, () => {
  it("is in no output: options, check, graph, logs, failures, answers for errors", async () => {
    using folder = new AppFolder({ "key.txt": `${hidden}\n` });
    const env = { SECRET_KEY_FILE: join(folder.folder, "key.txt") };
    const app = folder.serve([], env);
    const url = await app.url();
    assert.equal(await call(url, "key"), hidden, "the author's code has it");
    const failure = await call(url, "failing");
    assert.equal(failure.id, "unhandled_error");
    const { stdout, stderr } = await end(app);
    assert.match(stdout, /"secret":"\*\*\*","list":\["\*\*\*"\],"msg":"key \*\*\*"/);
    assert.match(stdout, /the key \*\*\* was refused/);
    const listed = await folder.run(["options", "service.mjs:Desk"], env);
    assert.match(listed.stdout, /^Model\.env +MODEL_KEY=\*\*\* +Service\(\) of Model$/m);
    const json = await folder.run(["options", "service.mjs:Desk", "--json"], env);
    assert.match(json.stdout, /"MODEL_KEY": "\*\*\*"/);
    const others = [["check", "--no-types"], ["graph", "--format", "json"], ["graph", "--format", "svg"], ["graph"]];
    const printed = await Promise.all(
      others.map(([name = "", ...rest]) => folder.run([name, "service.mjs:Desk", ...rest], env)),
    );
    for (const { status } of printed) assert.equal(status, 0);
    const texts = [
      stdout,
      stderr,
      JSON.stringify(failure),
      ...[listed, json, ...printed].map((run) => run.stdout + run.stderr),
    ];
    for (const text of texts) assert.equal(text.includes(hidden), false, text);
  });

  for (const placement of ["process", "inline"]) {
    it(`that is missing fails the start, with its name and what to set, placed ${placement}`, async () => {
      using folder = new AppFolder();
      const { status, stderr } = await folder.serve(["--placement", placement]).ended;
      assert.equal(status, 1);
      assert.match(stderr, /the secret SECRET_KEY is missing: neither SECRET_KEY nor SECRET_KEY_FILE is set/);
      assert.match(stderr, /fix: Set the variable/);
    });
  }

  it("that is missing is a warning of check, which may run elsewhere than the app", async () => {
    using folder = new AppFolder();
    const { status, stdout } = await folder.run(["check", "service.mjs:Desk", "--no-types"]);
    assert.equal(status, 0);
    assert.match(stdout, /warning.*Model\.env\.MODEL_KEY: the secret SECRET_KEY is missing/);
  });
});

describe("the headers of a request that submits a task", () => {
  const given = { authorization: `Bearer ${hidden}`, cookie: `session=${hidden}`, "x-api-key": hidden };

  /** Everything that the app has written to its data folder, as text. */
  const readStore = (folder: string): string =>
    readdirSync(join(folder, ".ekiben"), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), "latin1"))
      .join("\n");

  it("are not stored, but for those that tasks.keepHeaders names", async () => {
    using folder = new AppFolder({ ".env": `SECRET_KEY=none\nEKIBEN_TASKS_KEEP_HEADERS="X-Tenant, x-absent"\n` });
    const app = folder.serve([]);
    const url = await app.url();
    const headers = { ...given, "x-tenant": "acme", "x-request-id": "request-7" };
    assert.deepEqual(await call(url, "headers", headers), { "x-tenant": "acme" });
    const store = readStore(folder.folder);
    assert.ok(store.includes("acme") && store.includes("request-7"), "the store was read");
    assert.equal(store.includes(hidden), false);
    assert.equal((await end(app)).status, 0);
    assert.equal(readStore(folder.folder).includes(hidden), false);
  });

  it("are stored when they are asked for by name, also those that hold passwords", async () => {
    using folder = new AppFolder({ ".env": "SECRET_KEY=none\n" });
    const app = folder.serve(["--tasks-keep-headers", "authorization"]);
    const url = await app.url();
    assert.deepEqual(await call(url, "headers", given), { authorization: given.authorization });
    await end(app);
  });
});
