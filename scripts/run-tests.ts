// Runs every *.test.ts file of the repository in one `node --test`.   tsx scripts/run-tests.ts [part of a path …]
//
// Node 20's test runner takes no globs, so the files are listed here.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, relative, sep } from "node:path";
import { repositoryRoot } from "./repository.js";

const folders = ["src", "docs-page", "test", "examples", "scripts"];
/** A test that hangs fails after this long, with its name. */
const testTimeoutMs = 180_000;

const wanted = process.argv.slice(2);
const files = folders
  .flatMap(listTests)
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .sort();
if (files.length === 0) {
  console.error(`no test file has ${wanted.join(" or ")} in its path`);
  process.exit(1);
}

console.log(`${files.length} test files on Node ${process.versions.node}`);
const { status } = spawnSync(
  process.execPath,
  [
    "--import",
    "tsx",
    "--import",
    import.meta.resolve("./limit-test-file.mjs"),
    "--test",
    "--test-reporter=spec",
    `--test-concurrency=${Math.max(2, availableParallelism())}`,
    `--test-timeout=${testTimeoutMs}`,
    ...files,
  ],
  { cwd: repositoryRoot, stdio: "inherit" },
);
process.exit(status ?? 1);

function listTests(folder: string): string[] {
  return readdirSync(join(repositoryRoot, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".test.ts"))
    .map((entry) => relative(repositoryRoot, join(entry.parentPath, entry.name)).replaceAll(sep, "/"))
    .filter((file) => !file.includes("node_modules/") && !file.includes("/."));
}
