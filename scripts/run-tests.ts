// Runs the *.test.ts files of the repository in one `node --test`.
//   npm run test:only -- [part of a path …] [--name "part of a test's name"]
//   npm run test:watch -- the same: runs the tests again after each change
//
// Builds dist/ first when it is out of date and a chosen test may run it: those of src/ run from the sources alone.
// Node 20's test runner takes no globs, so the files are listed here.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, relative, sep } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { findOldOutput } from "./find-old-output.js";
import { repositoryRoot } from "./repository.js";
import { watchSources } from "./watch-sources.js";

const folders = ["src", "docs-page", "test", "examples", "scripts"];
/** A test that hangs fails after this long, with its name. */
const testTimeoutMs = 180_000;

const { values, positionals: parts } = parseArgs({
  options: { name: { type: "string" }, watch: { type: "boolean", default: false } },
  allowPositionals: true,
});

if (values.watch) watchTests();
else process.exit(await runTests());

/** Runs the chosen tests, and again after each change. A run that has not ended is stopped. */
function watchTests(): void {
  let running: ChildProcess | undefined;
  const start = async () => {
    running?.kill();
    const code = await runTests((child) => {
      running = child;
    });
    if (running?.killed !== true) console.log(`${code === 0 ? "passed" : "failed"}; waiting for a change`);
  };
  watchSources((files) => {
    console.log(`\nchanged: ${files.join(", ")}`);
    void start();
  });
  void start();
}

/** @returns An exit code. @param onStart Takes the process of the test runner. */
async function runTests(onStart: (child: ChildProcess) => void = () => {}): Promise<number> {
  const files = folders
    .flatMap(listTests)
    .filter((file) => parts.length === 0 || parts.some((part) => file.includes(part)))
    .sort();
  if (files.length === 0) {
    console.error(`no test file has ${parts.join(" or ")} in its path`);
    return 1;
  }
  if (files.some((file) => !file.startsWith("src/")) && !build()) return 1;
  console.log(`${files.length} test files on Node ${process.versions.node}`);
  const child = spawn(process.execPath, runnerArguments(files), {
    cwd: repositoryRoot,
    stdio: ["ignore", values.name === undefined ? "inherit" : "pipe", "inherit"],
  });
  onStart(child);
  const [code, passed] = await Promise.all([waitForEnd(child), passOnOutput(child)]);
  if (code === 0 && passed === 0) console.error(`no test has "${values.name}" in its name`);
  return passed === 0 ? 1 : code;
}

/** Builds dist/ when it is out of date, and says so. @returns False when the build fails. */
function build(): boolean {
  const old = findOldOutput();
  if (old === undefined) return true;
  const startedAt = performance.now();
  process.stdout.write(`dist/ is out of date (${old}): building it … `);
  const command = ["--import", "tsx", "scripts/build-package.ts"];
  const { status } = spawnSync(process.execPath, command, { cwd: repositoryRoot, stdio: "inherit" });
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  console.log(status === 0 ? `built in ${seconds} s` : "the build failed");
  return status === 0;
}

function runnerArguments(files: readonly string[]): string[] {
  return [
    ...["--import", "tsx", "--import", import.meta.resolve("./limit-test-file.mjs")],
    ...["--test", "--test-reporter=spec", `--test-timeout=${testTimeoutMs}`],
    `--test-concurrency=${Math.max(2, availableParallelism())}`,
    ...(values.name === undefined ? [] : [`--test-name-pattern=${values.name}`]),
    ...files,
  ];
}

function waitForEnd(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => child.on("close", (code) => resolve(code ?? 1)));
}

/**
 * Passes the runner's output on without the tests that it skipped for their name, which Node 20 lists one by one.
 *
 * @returns The tests that passed; `undefined` when the runner writes to the terminal itself.
 */
async function passOnOutput({ stdout }: ChildProcess): Promise<number | undefined> {
  if (stdout === null) return undefined;
  let passed = 0;
  for await (const line of createInterface({ input: stdout })) {
    passed += Number(/^ℹ (?:pass|fail) (\d+)/.exec(line)?.[1] ?? 0);
    if (!line.endsWith("# test name does not match pattern")) console.log(line);
  }
  return passed;
}

function listTests(folder: string): string[] {
  return readdirSync(join(repositoryRoot, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".test.ts"))
    .map((entry) => relative(repositoryRoot, join(entry.parentPath, entry.name)).replaceAll(sep, "/"))
    .filter((file) => !file.includes("node_modules/") && !file.includes("/."));
}
