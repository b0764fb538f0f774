#!/usr/bin/env node
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { namePattern } from "../base/name-pattern.js";
import { keepCompiled, keepTickShape } from "../load/keep-compiled.js";

const fileAndName = new RegExp(`\\.[cm]?[jt]sx?(:${namePattern})?$`, "u");

keepTickShape();
keepCompiled();

const projectCli = findProjectCli(process.argv.slice(2));
if (projectCli === undefined) {
  const { runProcess } = await import("./run-command-line.js");
  await runProcess();
} else {
  await import(projectCli);
}

/**
 * Finds the command line of the project's own ekiben when this copy is another one, such as a global install. Services
 * and command line must share one copy; with two, a service does not find the graph that it belongs to.
 *
 * @param args Arguments without `node` and the script.
 * @returns    The URL to import instead; `undefined` when this is the project's copy or the project has none.
 */
function findProjectCli(args: readonly string[]): string | undefined {
  // A build has its own ekiben beside it. What follows a flag is its value, such as `--out .ekiben/build`.
  const isValue = (index: number) => index === 0 || (index > 1 && args[index - 1]?.startsWith("-") === true);
  const build = args.find((arg, index) => !isValue(index) && existsSync(join(arg, "manifest.json")));
  const folder = build ?? dirname(args.find((arg) => fileAndName.test(arg)) ?? "service.ts");
  const require = createRequire(resolve(folder, "package.json"));
  const own = realpathSync(fileURLToPath(new URL("../../package.json", import.meta.url)));
  try {
    const theirs = realpathSync(require.resolve("ekiben/package.json"));
    if (theirs === own) return undefined;
    const { bin } = JSON.parse(readFileSync(theirs, "utf8")) as { bin: { ekiben: string } };
    return pathToFileURL(join(dirname(theirs), bin.ekiben)).href;
  } catch {
    return undefined;
  }
}
