#!/usr/bin/env node
import { readFileSync, realpathSync } from "node:fs";
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
 * The command line of the ekiben that a project's own files import, when this one is another copy (a global install):
 * services and the command must share one copy, or no dependency finds the graph it belongs to.
 *
 * @param args Without `node` and the script.
 * @returns    The URL to import instead; `undefined` when this copy is the project's, or the project has none.
 */
function findProjectCli(args: readonly string[]): string | undefined {
  const file = args.find((arg) => fileAndName.test(arg)) ?? "service.ts";
  const require = createRequire(resolve(dirname(file), "package.json"));
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
