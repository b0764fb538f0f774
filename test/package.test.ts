import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createRequire, isBuiltin } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { findBrokenLinks, readCodeBlocks } from "./read-markdown.js";

const root = join(import.meta.dirname, "..");
const run = promisify(execFile);
const maxInstalledBytes = 25 * 1024 ** 2;

/** Node runs TypeScript by itself from 22.18 on; below, the command line needs tsx. */
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
const needsTsx = major < 22 || (major === 22 && minor < 18);

/** Node has its own SQLite, for durable tasks, from 22.13 on. */
const needsDriver = !isBuiltin("node:sqlite");

const tasksProgram = `
import { Service, task } from "ekiben";
import { z } from "zod";
export class Library extends Service() {
  index = task({ output: z.number() }, () => 7);
}
`;

/** Apis whose functions see other types than their callers. */
const declaredProgram = `
import { api, depends, file, Service, stream, task, tensor } from "ekiben";
import { z } from "zod";
export class Store extends Service() {
  upload = api({ input: { scan: file() }, output: z.string() }, ({ scan }) => scan.name);
  pages = api({ input: file(), yields: z.date() }, async function* (scan) { yield new Date(scan.lastModified); });
  sums = api({ input: stream(z.number().default(1)), output: tensor("float32", ["n"]) }, () => ({ dtype: "float32", shape: [1], data: new Float32Array(1) }) as const);
  index = task({ input: z.object({ shelf: z.string().default("a") }), output: z.number() }, ({ shelf }) => shelf.length);
}
export class Shop extends Service() {
  store = depends(Store);
  label = api({ input: z.coerce.number(), output: z.string() }, (n) => n.toFixed());
}
`;

describe("the packed package, installed in an empty project", () => {
  let project: string;
  let installedBytes: number;
  const install = (...packages: string[]) =>
    run("npm", ["install", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund", ...packages], {
      cwd: project,
      // Makes npm refuse a package that does not support this Node, instead of a warning.
      env: { ...process.env, npm_config_engine_strict: "true" },
    });

  before(async () => {
    project = await mkdtemp(join(tmpdir(), "ekiben-package-"));
    const packed = await run("npm", ["pack", "--json", "--pack-destination", project], { cwd: root });
    const [{ filename }] = JSON.parse(packed.stdout) as [{ filename: string }];
    await writeFile(join(project, "package.json"), JSON.stringify({ private: true, type: "module" }));
    await install(`./${filename}`);
    installedBytes = await measureFolder(join(project, "node_modules"));
    const { devDependencies } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as {
      devDependencies: Record<string, string>;
    };
    const peers = ["zod", "@types/node", ...(needsTsx ? ["tsx"] : [])];
    await install(...peers.map((name) => `${name}@${devDependencies[name]}`));
    await writeFile(join(project, "who.ts"), whoProgram);
    for (const { file, code } of readCodeBlocks(join(root, "README.md"))) {
      if (file !== undefined) await writeFile(join(project, file), code);
    }
  });
  after(() => rm(project, { recursive: true, force: true }));

  it("is at most 25 MB with all it depends on", () => {
    assert.ok(installedBytes <= maxInstalledBytes, `${(installedBytes / 1024 ** 2).toFixed(1)} MB are installed`);
  });

  it("runs no install script, its own or of a dependency", async () => {
    const lock = JSON.parse(await readFile(join(project, "node_modules/.package-lock.json"), "utf8")) as {
      packages: Record<string, { hasInstallScript?: boolean; dev?: boolean; peer?: boolean }>;
    };
    // Below Node 22.18, tsx is chosen by the user; its esbuild works without its script.
    const scripted = Object.entries(lock.packages).filter(([, { hasInstallScript }]) => hasInstallScript);
    assert.deepEqual(
      scripted.map(([path]) => path).filter((path) => path !== "node_modules/esbuild"),
      [],
    );
  });

  it("brings nothing that does not run on the oldest Node it names", async () => {
    const { engines } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { engines: { node: string } };
    const lock = JSON.parse(await readFile(join(project, "node_modules/.package-lock.json"), "utf8")) as {
      packages: Record<string, { engines?: { node?: string }; dev?: boolean }>;
    };
    const { minVersion, satisfies } = createRequire(join(project, "node_modules/fastify/package.json"))("semver") as {
      minVersion(range: string): string;
      satisfies(version: string, range: string): boolean;
    };
    const oldest = minVersion(engines.node);
    const refusing = Object.entries(lock.packages).filter(([, own]) => !satisfies(oldest, own.engines?.node ?? "*"));
    assert.deepEqual(
      refusing.map(([path, own]) => `${path}: ${own.engines?.node}`),
      [],
    );
  });

  it("holds what it should and nothing else", async () => {
    const folder = join(project, "node_modules/ekiben");
    const pages = ["ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md"];
    assert.deepEqual((await readdir(folder)).sort(), [...pages, "dist", "docs", "examples", "package.json"]);
    const files = await readdir(folder, { recursive: true });
    assert.deepEqual(
      files.filter((file) => /\.test\.|(fixtures|artifacts|node_modules)\/.*\.(?!md$)/.test(file)),
      [],
    );
  });

  it("has every page and file that its own pages link to", async () => {
    const folder = join(project, "node_modules/ekiben");
    const pages = (await readdir(folder, { recursive: true })).filter((file) => file.endsWith(".md"));
    assert.ok(pages.length > 60, `${pages.length} pages`);
    assert.deepEqual(
      pages.flatMap((page) => findBrokenLinks(join(folder, page)).map((target) => `${page} -> ${target}`)),
      [],
    );
  });

  it("has types that compile strictly, together with those of its dependencies", async () => {
    const compilerOptions = { strict: true, module: "nodenext", target: "es2023", noEmit: true, skipLibCheck: false };
    // With declarations the compiler must be able to name each type that it infers, by a path that the package exports.
    await writeFile(join(project, "declared.ts"), declaredProgram);
    const allowed = {
      declaration: true,
      allowImportingTsExtensions: true,
      exactOptionalPropertyTypes: true,
      types: ["node"],
    };
    await writeFile(
      join(project, "tsconfig.json"),
      JSON.stringify({ compilerOptions: { ...compilerOptions, ...allowed }, include: ["*.ts"] }),
    );
    await run(process.execPath, [join(root, "node_modules/typescript-7/bin/tsc"), "-p", project]).catch(
      ({ stdout }: { stdout: string }) => assert.fail(stdout),
    );
  });

  it("has keys without jose, and says what to install for tokens", async () => {
    const program = join(project, "who.mjs");
    await writeFile(program, whoProgram);
    const { stdout } = await run(process.execPath, [program], { cwd: project });
    assert.equal(stdout, "function\nauth_misconfigured Run `npm install jose`: ekiben does not include it.\n");
  });

  it("has the program that an image or a unit starts", async () => {
    const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { version: string };
    for (const command of [["node_modules/.bin/ekiben"], [process.execPath, "node_modules/ekiben/dist/cli/main.js"]]) {
      const [file = "", ...args] = command;
      assert.equal((await run(file, [...args, "--version"], { cwd: project })).stdout, `${version}\n`);
    }
  });

  it("serves the README's program, answers over HTTP and to its client, and drains on Ctrl-C", async () => {
    const server = await startServer(project);
    try {
      const predict = (body: unknown) =>
        fetch(`${server.url}/predict`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify(body),
        });
      const good = await predict({ rawInput: "dog cat" });
      assert.equal(good.status, 200);
      assert.deepEqual(await good.json(), { label: "animals", confidence: 1 });

      const bad = await predict({ rawInput: 7 });
      assert.equal(bad.status, 400);
      assert.match(((await bad.json()) as { error: string }).error, /rawInput/);

      const page = await fetch(`${server.url}/docs`);
      const files = [...(await page.text()).matchAll(/"(docs\/[^"]+)"/g)].map(([, file]) => `${server.url}/${file}`);
      assert.equal(files.length, 2);
      for (const file of files) assert.equal((await fetch(file)).status, 200, file);

      const client = join(project, "client.ts");
      await writeFile(client, (await readFile(client, "utf8")).replace("http://localhost:3000", server.url));
      const { stdout } = await run(process.execPath, [...(needsTsx ? ["--import", "tsx"] : []), client], {
        cwd: project,
      });
      assert.equal(stdout, "weather 0.5\n");
    } finally {
      process.kill(-(server.process.pid as number), "SIGINT");
    }
    const [status, signal] = (await once(server.process, "close")) as [number | null, string | null];
    // npx waits for the server and then ends by the signal itself, as shells expect.
    assert.ok(status === 0 || signal === "SIGINT", `status ${status}, signal ${signal}`);
    assert.match(server.output(), /^stopped after [\d.]+ m?s$/m);
  });

  it("keeps tasks with nothing else installed, and without a warning of Node", { skip: needsDriver }, async () => {
    await assert.rejects(stat(join(project, "node_modules/libsql")), { code: "ENOENT" });
    await writeFile(join(project, "tasks.ts"), tasksProgram);
    const server = await startServer(project, "tasks.ts:Library");
    try {
      const submitted = await fetch(`${server.url}/index/submit`, { method: "POST" });
      const { task_id: id } = (await submitted.json()) as { task_id: string };
      const result = await fetch(`${server.url}/index/get?task_id=${id}&wait=true`);
      assert.deepEqual([result.status, await result.json()], [200, 7]);
      assert.ok((await stat(join(project, ".ekiben/tasks.db"))).isFile());
      const listed = await run("npx", ["--no-install", "ekiben", "tasks", "list", "tasks.ts:Library"], {
        cwd: project,
        env: outsideTests(),
      });
      assert.match(listed.stdout, new RegExp(`^${id} +Library\\.index +completed`, "m"));
      assert.doesNotMatch(listed.stderr + server.output(), /Warning/);
    } finally {
      process.kill(-(server.process.pid as number), "SIGINT");
    }
    await once(server.process, "close");
  });

  it("runs the README's test", async () => {
    const loader = needsTsx ? ["--import", "tsx"] : [];
    await run(process.execPath, [...loader, "--test", "service.test.ts"], { cwd: project, env: outsideTests() });
  });
});

/** Uses keys and tokens in a project without jose. */
const whoProgram = `import { ServingError } from "ekiben";
import { apiKeys, jwt } from "ekiben/auth";

console.log(typeof apiKeys);
try {
  jwt({ secret: "x".repeat(32), issuer: "a", audience: "b" });
} catch (error) {
  if (error instanceof ServingError) console.log(error.id, error.fix);
}
`;

/**
 * Starts `npx ekiben serve` in a process group of its own, as a terminal does, so that Ctrl-C reaches all processes.
 */
async function startServer(
  cwd: string,
  app = "service.ts:Pipeline",
): Promise<{ process: ChildProcess; url: string; output: () => string }> {
  const child = spawn("npx", ["--no-install", "ekiben", "serve", app, "--port", "0"], {
    cwd,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: outsideTests(),
  });
  let output = "";
  const url = await new Promise<string>((resolve, reject) => {
    const read = (chunk: Buffer) => {
      output += chunk;
      const found = /http:\/\/[\w.[\]:]+:\d+/.exec(output);
      if (found !== null) resolve(found[0].replace("0.0.0.0", "127.0.0.1"));
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.on("error", reject);
    child.on("exit", (status) => reject(new Error(`ekiben serve ended with status ${status}:\n${output}`)));
  });
  return { process: child, url, output: () => output };
}

/** Removes the variable by which Node's test runner marks its children: a program under test must not see it. */
function outsideTests(): NodeJS.ProcessEnv {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  return env;
}

async function measureFolder(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const sizes = await Promise.all(files.map(async (entry) => (await stat(join(entry.parentPath, entry.name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}
