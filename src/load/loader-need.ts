import { existsSync, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join, relative, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { isMainThread } from "node:worker_threads";
import { shareState } from "../base/shared-state.js";
import { unreachable } from "../failure/serving-error.js";

/** Most files that are searched for a line that an error does not name. */
const maxFiles = 200;

/**
 * Names the feature of a file that tsx supports and Node's own TypeScript support lacks, with its line:
 * `"app/service.ts:3 imports ./model without its ending"`.
 *
 * @param error Error of the import.
 * @param file  File that was imported.
 * @returns     `undefined` when tsx would fail as well.
 */
export function formatLoaderNeed(error: unknown, file: string): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { message } = error;
  switch ((error as NodeJS.ErrnoException).code) {
    case "ERR_MODULE_NOT_FOUND":
    case "ERR_UNSUPPORTED_DIR_IMPORT":
      return formatImportNeed(message);
    case "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX":
      return `${placeOf(error) ?? shorten(file)}: ${message}`;
    case "ERR_IMPORT_ATTRIBUTE_MISSING":
      return formatJsonNeed(message, file);
    case "ERR_UNKNOWN_FILE_EXTENSION": {
      const path = /for (.+)$/.exec(message)?.[1];
      return path !== undefined && /\.[cm]?[jt]sx?$/.test(path)
        ? `${shorten(path)} can't be loaded as it is`
        : undefined;
    }
    default:
      return error instanceof SyntaxError ? formatSyntaxNeed(error, file) : undefined;
  }
}

function formatImportNeed(message: string): string | undefined {
  const [, target = "", importer = ""] = /'(.+?)' .*imported from (.+)$/.exec(message) ?? [];
  if (!existsSync(importer)) return undefined;
  if (!target.startsWith("/")) {
    const line = findLine(importer, (specifier) => specifier === target || specifier.startsWith(`${target}/`));
    return isAlias(target, importer) ? `${line} imports ${target}, an alias of tsconfig.json` : undefined;
  }
  const found = findByTypescript(target);
  if (found === undefined) return undefined;
  const line = findLine(importer, (specifier) => resolve(dirname(importer), specifier) === target);
  return `${line} imports ${relativeTo(importer, target)} and means ${relativeTo(importer, found)}`;
}

/** Finds the file that a bundler or a compiler takes for a path without a file. */
function findByTypescript(path: string): string | undefined {
  const stem = path.replace(/\.([cm]?)js(x?)$/, "");
  const names = ["ts", "tsx", "mts", "cts", "js", "json"].flatMap((ending) => [
    `${stem}.${ending}`,
    join(path, `index.${ending}`),
  ]);
  return names.find((name) => statSync(name, { throwIfNoEntry: false })?.isFile());
}

/** True for an alias of tsconfig.json. Searches its text, since comments in it are not valid JSON. */
function isAlias(specifier: string, importer: string): boolean {
  const tsconfig = findTsconfig(dirname(importer));
  if (tsconfig === undefined) return false;
  const [, paths = ""] = /"paths"\s*:\s*\{([^}]*)\}/.exec(readFileSync(tsconfig, "utf8")) ?? [];
  return [...paths.matchAll(/"([^"]+)"\s*:/g)].some(([, alias = ""]) =>
    specifier.startsWith(alias.split("*")[0] ?? ""),
  );
}

function formatJsonNeed(message: string, file: string): string | undefined {
  const [, url] = /"(file:[^"]+)"/.exec(message) ?? [];
  if (url === undefined) return undefined;
  const path = fileURLToPath(url);
  const importer = listFiles(file).find((own) => importsOf(own).includes(path));
  const line = importer === undefined ? shorten(file) : findLine(importer, (text) => text.endsWith(basename(path)));
  return `${line} imports ${shorten(path)} without \`with { type: "json" }\``;
}

function formatSyntaxNeed(error: Error, file: string): string | undefined {
  const [, name] = /does not provide an export named '(.+?)'/.exec(error.message) ?? [];
  if (name !== undefined) {
    const isType = listFiles(file).some((own) =>
      new RegExp(`\\b(interface|type)\\s+${name.replaceAll("$", "\\$")}\\b`).test(readFileSync(own, "utf8")),
    );
    return isType ? `${placeOf(error) ?? shorten(file)} imports ${name}, a type, without \`import type\`` : undefined;
  }
  for (const own of listFiles(file)) {
    const line = readLines(own).findIndex((text) => /^\s*@[A-Za-z_$]/.test(text));
    if (line >= 0) return `${shorten(own)}:${line + 1} has a decorator`;
  }
  return undefined;
}

/** File and line of a syntax error, from the first line of its stack; `undefined` without one. */
function placeOf({ stack = "" }: Error): string | undefined {
  const [, url, line] = /^(file:\S+?):(\d+)\n/.exec(stack) ?? [];
  return url === undefined ? undefined : `${shorten(fileURLToPath(url))}:${line}`;
}

/** Lists a file and all files it imports by relative paths, directly or not. */
function listFiles(file: string): readonly string[] {
  const files = new Set([file]);
  for (const own of files) {
    if (files.size >= maxFiles) break;
    for (const target of importsOf(own)) {
      const found = statSync(target, { throwIfNoEntry: false })?.isFile() ? target : findByTypescript(target);
      if (found !== undefined && /\.[cm]?[jt]sx?$/.test(found)) files.add(found);
    }
  }
  return [...files];
}

function importsOf(file: string): readonly string[] {
  const specifiers = readFileSync(file, "utf8").matchAll(/(?:from|import)\s*\(?\s*["'](\.[^"']*)["']/g);
  return [...specifiers].map(([, specifier = ""]) => resolve(dirname(file), specifier));
}

/** Finds the line of an import: `"app/service.ts:3"`; the file alone without such an import. */
function findLine(file: string, isMeant: (specifier: string) => boolean): string {
  const line = readLines(file).findIndex((text) =>
    [...text.matchAll(/["']([^"']+)["']/g)].some(([, specifier = ""]) => isMeant(specifier)),
  );
  return line < 0 ? shorten(file) : `${shorten(file)}:${line + 1}`;
}

const readLines = (file: string): string[] => readFileSync(file, "utf8").split("\n");

function relativeTo(importer: string, path: string): string {
  const from = relative(dirname(importer), path);
  return from.startsWith(".") ? from : `./${from}`;
}

function shorten(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith("..") ? path : short;
}

/** Loader hooks of this thread, registered once for any number of files. */
const hooks = shareState("tsx", (): { registered: Promise<void> | undefined } => ({ registered: undefined }));

/**
 * Makes tsx load all later modules, as `node --import tsx` does: TypeScript of every kind, path aliases, imports
 * without ending. Does nothing when tsx loads them already.
 *
 * Reads the arguments of the process, since a second copy of tsx would transform each file twice.
 *
 * @param folder Folder of tsx.
 * @param file   File whose nearest tsconfig.json applies, unless `TSX_TSCONFIG_PATH` names one.
 */
export function registerTsx(folder: string, file: string): Promise<void> {
  hooks.registered ??= startedWithTsx() ? Promise.resolve() : register(folder, findTsconfig(dirname(file)));
  return hooks.registered;
}

/** Finds the folder of tsx: the one of the file's project, else the one installed beside ekiben. */
export function findTsx(file: string): string | undefined {
  for (const from of [file, fileURLToPath(import.meta.url)]) {
    try {
      return dirname(createRequire(from).resolve("tsx/package.json"));
    } catch {
      // Not found; the next location may have it.
    }
  }
  return undefined;
}

/** Finds the tsconfig.json that an editor applies to files in this folder. */
function findTsconfig(folder: string): string | undefined {
  const path = join(folder, "tsconfig.json");
  if (existsSync(path)) return path;
  return dirname(folder) === folder ? undefined : findTsconfig(dirname(folder));
}

function startedWithTsx(): boolean {
  // Arguments of the process need not apply to its threads.
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
  // One of the two APIs reads the path only from this variable.
  if (path !== undefined) env["TSX_TSCONFIG_PATH"] = path;
  try {
    cjs.register();
    esm.register(path === undefined ? {} : { tsconfig: path });
  } finally {
    if (named === undefined) delete env["TSX_TSCONFIG_PATH"];
  }
}

/**
 * Imports an API of tsx by its path: a bare `import("tsx/esm/api")` would be resolved from ekiben, and its CommonJS
 * form can't be used here.
 */
async function importApi(folder: string, entry: string): Promise<{ register(options?: object): unknown }> {
  const { exports } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as {
    exports: Record<string, { import: { default: string } }>;
  };
  const file = exports[entry]?.import.default ?? unreachable(`tsx has no ${entry}`);
  return await import(pathToFileURL(join(folder, file)).href);
}
