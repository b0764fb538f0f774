// Runs all checks that do not run the code, two at a time.   tsx scripts/run-checks.ts [name …]
//
// Needs dist/ (`npm run build`): examples and type tests import "ekiben" by name.
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { repositoryRoot, typescriptBin } from "./repository.js";

interface Check {
  readonly name: string;
  /** Arguments of node. */
  readonly command: readonly string[];
  /** Files that the command writes: the check fails when it changes any of them. */
  readonly generates?: () => readonly string[];
}

const compile = (project: string, version: "5.9" | "7" = "7") => [typescriptBin(version), "--noEmit", "-p", project];
const bin = (path: string) => join(repositoryRoot, "node_modules", path);

const checks: readonly Check[] = [
  { name: "types: src, test, scripts", command: compile("tsconfig.json") },
  { name: "types: docs page", command: compile("docs-page/tsconfig.json") },
  { name: "types: examples", command: compile("examples/tsconfig.json") },
  { name: "types: bench", command: compile("bench/tsconfig.json") },
  { name: "type tests, TypeScript 5.9", command: compile("test/types/tsconfig.json", "5.9") },
  { name: "type tests, TypeScript 7.0", command: compile("test/types/tsconfig.json") },
  { name: "format and lint", command: [bin("@biomejs/biome/bin/biome"), "check", "."] },
  {
    name: "generated docs are up to date",
    command: ["--import", "tsx", "scripts/generate-docs.ts"],
    generates: () => listFolder("docs/reference"),
  },
  {
    name: "pictures of the examples are up to date",
    command: ["--import", "tsx", "scripts/draw-examples.ts"],
    generates: () => listFolder("examples").map((example) => `${example}/graph.svg`),
  },
  { name: "package: publint", command: [bin("publint/src/cli.js"), "run", "--strict"] },
  {
    name: "package: are the types right",
    command: [bin("@arethetypeswrong/cli/dist/index.js"), "--pack", ".", "--profile", "esm-only"],
  },
  { name: "nothing unused (knip)", command: [bin("knip/bin/knip.js")] },
];

const wanted = process.argv.slice(2);
const queue = checks.filter(({ name }) => wanted.length === 0 || wanted.some((part) => name.includes(part)));
const failed: string[] = [];
await Promise.all([work(), work()]);
if (failed.length > 0) {
  console.error(`\n${failed.length} of the checks failed: ${failed.join("; ")}`);
  process.exit(1);
}

async function work(): Promise<void> {
  for (let check = queue.shift(); check !== undefined; check = queue.shift()) {
    const startedAt = performance.now();
    const problem = await run(check);
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    console.log(`${problem === undefined ? "ok    " : "FAILED"} ${check.name} (${seconds} s)`);
    if (problem === undefined) continue;
    console.log(problem);
    failed.push(check.name);
  }
}

/** Runs one check. @returns Its problem; `undefined` when there is none. */
async function run({ command, generates = () => [] }: Check): Promise<string | undefined> {
  const before = new Map(generates().map((file) => [file, readText(file)]));
  const output = await runNode(command);
  if (output !== undefined) return output;
  const changed = generates().filter((file) => readText(file) !== before.get(file));
  return changed.length === 0 ? undefined : `was out of date and has been rewritten: ${changed.join(", ")}`;
}

/** Runs node. @returns All its output when it failed; `undefined` when it succeeded. */
function runNode(command: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, command, { cwd: repositoryRoot, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk));
    child.stderr.on("data", (chunk: Buffer) => (output += chunk));
    child.on("error", reject);
    child.on("close", (status) => resolve(status === 0 ? undefined : output));
  });
}

function listFolder(folder: string): string[] {
  return readdirSync(join(repositoryRoot, folder)).map((name) => `${folder}/${name}`);
}

function readText(file: string): string | undefined {
  const path = join(repositoryRoot, file);
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
}
