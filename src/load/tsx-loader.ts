import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { isMainThread } from "node:worker_threads";
import { shareState } from "../base/shared-state.js";
import { unreachable } from "../failure/serving-error.js";

/** Hooks belong to a thread, and are there once however many files are loaded. */
const hooks = shareState("tsx", (): { registered: Promise<void> | undefined } => ({ registered: undefined }));

/**
 * Lets tsx load everything from here on, as `node --import tsx` would: TypeScript of every kind, path aliases, imports without
 * ending. Does nothing where it does so already.
 *
 * A second copy of tsx beside the first would transform each file twice, so the process is asked what it was started with.
 *
 * @param folder Of tsx.
 * @param file   Whose nearest tsconfig.json counts, unless `TSX_TSCONFIG_PATH` names one.
 */
export function registerTsx(folder: string, file: string): Promise<void> {
  hooks.registered ??= startedWithTsx() ? Promise.resolve() : register(folder, findTsconfig(dirname(file)));
  return hooks.registered;
}

/** The folder of the tsx of the project a file belongs to, else of the one beside ekiben. */
export function findTsx(file: string): string | undefined {
  for (const from of [file, fileURLToPath(import.meta.url)]) {
    try {
      return dirname(createRequire(from).resolve("tsx/package.json"));
    } catch {
      // Not there; the next place may have it.
    }
  }
  return undefined;
}

/** The tsconfig.json that an editor takes for a file in this folder. */
export function findTsconfig(folder: string): string | undefined {
  const path = join(folder, "tsconfig.json");
  if (existsSync(path)) return path;
  return dirname(folder) === folder ? undefined : findTsconfig(dirname(folder));
}

function startedWithTsx(): boolean {
  // What the process was started with need not hold for its threads.
  if (!isMainThread) return false;
  const options = [...process.execArgv, ...(process.env["NODE_OPTIONS"] ?? "").split(" ")];
  return options.some((option) => /(^|=)tsx(\/esm|$)|[\\/]tsx[\\/]dist[\\/](loader|esm)/.test(option));
}

async function register(folder: string, tsconfig: string | undefined): Promise<void> {
  const cjs = await importApi(folder, "./cjs/api");
  const esm = await importApi(folder, "./esm/api");
  const { env } = process;
  const named = env["TSX_TSCONFIG_PATH"];
  const path = named ?? tsconfig;
  // One of the two takes it from there alone.
  if (path !== undefined) env["TSX_TSCONFIG_PATH"] = path;
  try {
    cjs.register();
    esm.register(path === undefined ? {} : { tsconfig: path });
  } finally {
    if (named === undefined) delete env["TSX_TSCONFIG_PATH"];
  }
}

/** By its path: a bare `import("tsx/esm/api")` would be resolved from ekiben, and its CommonJS form can't be used here. */
async function importApi(folder: string, entry: string): Promise<{ register(options?: object): unknown }> {
  const { exports } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as {
    exports: Record<string, { import: { default: string } }>;
  };
  const file = exports[entry]?.import.default ?? unreachable(`tsx has no ${entry}`);
  return await import(pathToFileURL(join(folder, file)).href);
}
