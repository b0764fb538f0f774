import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { type ResolvedApp, resolveApp } from "../app/plan-app.js";
import { fail } from "../failure/failures.js";
import { messageOf } from "../failure/to-serving-error.js";
import { findEntry, parseEntryName } from "../load/find-entry.js";
import { loadModule } from "../load/load-module.js";
import type { LoadedAppFile } from "../options/option-reader.js";
import type { OptionSources } from "../options/resolve-options.js";
import type { ParsedArgs } from "./command.js";

/** Loaded app: its graph and options are resolved, no service is started. */
export interface LoadedApp extends ResolvedApp {
  /** Path of the service file, as given. */
  readonly file: string;
  readonly appFile: LoadedAppFile | undefined;
  /** Path of the app file; `undefined` without one. */
  readonly appFilePath: string | undefined;
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
  const appFilePath = findAppFile(args.own.get("config"), dirname(name.file));
  const appFile = appFilePath === undefined ? undefined : await loadAppFile(appFilePath);
  const sources = { flags: args.options, env, ...(appFile && { appFile }) };
  return { file: name.file, appFile, appFilePath, ...resolveApp(entry, sources) };
}

/** Returns the file given by `--config`, or else `ekiben.config.*` beside the service file, if there is one. */
function findAppFile(named: string | undefined, folder: string): string | undefined {
  return named ?? appFileNames.map((name) => join(folder, name)).find((file) => existsSync(file));
}

async function loadAppFile(file: string): Promise<LoadedAppFile> {
  const path = basename(file).replaceAll(" ", "_");
  if (!file.endsWith(".json")) return { path, value: (await loadModule(file))["default"] };
  if (!existsSync(file)) throw fail("file_not_found", { file });
  try {
    return { path, value: JSON.parse(readFileSync(resolve(file), "utf8")) };
  } catch (error) {
    throw fail("module_failed", { file, error: messageOf(error) });
  }
}
