import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { type ResolvedApp, resolveApp } from "../app/plan-app.js";
import { fail } from "../failure/fail.js";
import { messageOf } from "../failure/to-serving-error.js";
import type { LoadedAppFile } from "../options/read-app-file.js";
import type { OptionSources } from "../options/resolve-options.js";
import { findEntry, parseEntryName } from "./find-entry.js";
import type { ParsedArgs } from "./flags.js";
import { loadModule } from "./load-module.js";

/** An author's app as the commands work with it: graph and options decided, nothing started. */
export interface LoadedApp extends ResolvedApp {
  /** The service file, as it was named. */
  readonly file: string;
  readonly appFile: LoadedAppFile | undefined;
}

const appFileNames = ["ts", "mts", "js", "mjs", "json"].map((ending) => `ekiben.config.${ending}`);

/**
 * Loads the service file and the app file that a command line names, and resolves graph and options.
 *
 * @throws {ServingError} of `loadModule`, `findEntry` and `resolveApp`.
 */
export async function loadApp(args: ParsedArgs, env: OptionSources["env"]): Promise<LoadedApp> {
  const name = parseEntryName(args.positionals[0]);
  const entry = findEntry(await loadModule(name.file), name);
  const appFile = await loadAppFile(args.own.get("config"), dirname(name.file));
  const sources = { flags: args.options, env, ...(appFile && { appFile }) };
  return { file: name.file, appFile, ...resolveApp(entry, sources) };
}

/** The file named by `--config`, else `ekiben.config.*` beside the service file, if there is one. */
async function loadAppFile(named: string | undefined, folder: string): Promise<LoadedAppFile | undefined> {
  const beside = appFileNames.map((name) => join(folder, name)).find((file) => existsSync(file));
  const file = named ?? beside;
  if (file === undefined) return undefined;
  const path = basename(file).replaceAll(" ", "_");
  if (!file.endsWith(".json")) return { path, value: (await loadModule(file))["default"] };
  if (!existsSync(file)) throw fail("file_not_found", { file });
  try {
    return { path, value: JSON.parse(readFileSync(resolve(file), "utf8")) };
  } catch (error) {
    throw fail("module_failed", { file, error: messageOf(error) });
  }
}
