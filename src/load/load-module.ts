import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, extname, join, relative, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { fail } from "../failure/fail.js";
import { type ServingError, unreachable } from "../failure/serving-error.js";
import { messageOf } from "../failure/to-serving-error.js";

/** What a loaded file exports. */
export type ModuleExports = Readonly<Record<string, unknown>>;

/**
 * Imports an author's file. TypeScript is run as it is: by Node itself where it can (22.18 and newer), else through the
 * project's tsx; also where Node's own support, which only strips types, stops at an enum or an `import "./x.js"` of a
 * `.ts` file.
 *
 * @throws {ServingError} `file_not_found`, `typescript_needs_loader`, `not_a_module`, or `module_failed` with the author's
 *   error as cause.
 */
export async function loadModule(file: string): Promise<ModuleExports> {
  const path = resolve(file);
  if (!existsSync(path)) throw fail("file_not_found", { file });
  const isTypeScript = /^\.[cm]?tsx?$/.test(extname(path));
  if (isTypeScript && !stripsTypes()) await useTsx(file);
  const url = pathToFileURL(path).href;
  const first = await tryImport(url);
  if ("exported" in first) return first.exported;
  // These errors come before anything of the file has run, so it can be loaded once more.
  const retries = isTypeScript && stripsTypes() && needsMoreThanStripping(first.error) && findTsx(path) !== undefined;
  if (!retries) throw createFailure(file, first.error);
  await useTsx(file);
  // Node keeps what it could not load, so the second attempt has a name of its own.
  const second = await tryImport(`${url}?tsx`);
  if ("exported" in second) return second.exported;
  throw createFailure(file, second.error);
}

async function tryImport(url: string): Promise<{ readonly exported: ModuleExports } | { readonly error: unknown }> {
  try {
    return { exported: toExports(await import(url)) };
  } catch (error) {
    return { error };
  }
}

/** CommonJS that a compiler made of ES modules has its exports in the default export. */
function toExports(loaded: ModuleExports): ModuleExports {
  const inner = loaded["default"] as ModuleExports | undefined;
  return inner?.["__esModule"] === true ? inner : loaded;
}

function createFailure(file: string, error: unknown): ServingError {
  if (error instanceof SyntaxError && error.message.includes("import statement outside a module")) {
    return fail(
      "not_a_module",
      { file, packageFile: findPackageFile(resolve(file)) ?? "package.json" },
      { cause: error },
    );
  }
  return fail("module_failed", { file, error: messageOf(error) }, { cause: error });
}

/** Whether this Node runs TypeScript by itself. */
function stripsTypes(): boolean {
  return Boolean((process.features as { typescript?: unknown }).typescript);
}

function needsMoreThanStripping(error: unknown): boolean {
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (code === "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX" || code === "ERR_UNKNOWN_FILE_EXTENSION") return true;
  if (code === "ERR_MODULE_NOT_FOUND") return /\.[cm]?jsx?'/.test(String(message));
  return error instanceof SyntaxError && /does not provide an export named/.test(String(message));
}

/**
 * Registers tsx.
 *
 * tsx turns files of a CommonJS project into CommonJS, and with them a second copy of ekiben; so such a file is refused.
 */
async function useTsx(file: string): Promise<void> {
  const path = resolve(file);
  const folder = findTsx(path);
  if (folder === undefined) throw fail("typescript_needs_loader", { file, node: process.versions.node });
  const packageFile = findPackageFile(path);
  if (!path.endsWith(".mts") && readJson(packageFile)["type"] !== "module") {
    throw fail("not_a_module", { file, packageFile: packageFile ?? "package.json, which does not exist," });
  }
  await registerLoader(folder, "./cjs/api");
  await registerLoader(folder, "./esm/api");
}

/** The folder of the tsx of the author's project, else of the one beside ekiben. */
function findTsx(path: string): string | undefined {
  for (const from of [path, fileURLToPath(import.meta.url)]) {
    try {
      return dirname(createRequire(from).resolve("tsx/package.json"));
    } catch {
      // Not there; the next place may have it.
    }
  }
  return undefined;
}

/** The package.json that decides how a file is loaded, relative to the working directory where it is below it. */
function findPackageFile(path: string): string | undefined {
  const file = join(dirname(path), "package.json");
  if (existsSync(file)) return relative(process.cwd(), file);
  return dirname(path) === path ? undefined : findPackageFile(dirname(path));
}

function readJson(file: string | undefined): Record<string, unknown> {
  return file === undefined ? {} : JSON.parse(readFileSync(file, "utf8"));
}

/** By its path: a bare `import("tsx/esm/api")` would be resolved from ekiben, and its CommonJS form can't be used here. */
async function registerLoader(folder: string, entry: string): Promise<void> {
  const exports = readJson(join(folder, "package.json"))["exports"] as Record<string, { import: { default: string } }>;
  const file = exports[entry]?.import.default ?? unreachable(`tsx has no ${entry}`);
  const loader = (await import(pathToFileURL(join(folder, file)).href)) as { register(): unknown };
  loader.register();
}
