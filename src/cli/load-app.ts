import { existsSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { parseEnv } from "node:util";
import { type ResolvedApp, resolveApp, resolveAppOptions } from "../app/plan-app.js";
import { isBuildFolder, type ReadBuild, readBuild } from "../build/read-build.js";
import { readContractOf } from "../contract/contract-form.js";
import { toFault } from "../define/descriptor.js";
import { fail, type GraphFault } from "../failure/failures.js";
import { systemProblem } from "../failure/read-thrown.js";
import { messageOf } from "../failure/to-serving-error.js";
import { type Graph, resolveGraph } from "../graph/graph.js";
import { type EntryLocation, loadEntry } from "../load/entry-location.js";
import { findEntry, parseEntryName } from "../load/find-entry.js";
import { loadModule } from "../load/load-module.js";
import type { AppFile } from "../options/app-file.js";
import { createFault, type LoadedAppFile } from "../options/option-reader.js";
import type { OptionSources } from "../options/resolve-options.js";
import type { AppSettings } from "../options/settings.js";
import type { ParsedArgs } from "./command.js";

/** Loaded app: its graph and options are resolved, no service is started. */
export interface LoadedApp extends ResolvedApp {
  /** Path of the service file, as given. */
  readonly file: string;
  readonly appFile: LoadedAppFile | undefined;
  /** Path of the app file; `undefined` without one. */
  readonly appFilePath: string | undefined;
  /** Path of the environment file that was read; `undefined` without one. */
  readonly envFile: string | undefined;
  /** Folder beside which the app keeps its data. A build is replaced as a whole, so it keeps none. */
  readonly appFolder: string;
  /** Location of the code of each service of a build; absent for an app from its source. */
  readonly entries?: ReadonlyMap<string, EntryLocation>;
}

const appFileNames = ["ts", "mts", "js", "mjs", "json"].map((ending) => `ekiben.config.${ending}`);

/**
 * Loads the environment file, the service file and the app file that a command line names, and resolves graph and
 * options.
 *
 * @param env Environment of the process. Gets the variables of the environment file.
 * @throws {ServingError} of `loadEnvFile`, `loadModule`, `findEntry` and `resolveApp`.
 */
export async function loadApp(args: ParsedArgs, env: NodeJS.ProcessEnv): Promise<LoadedApp> {
  const [path] = args.positionals;
  if (isBuildFolder(path)) return loadBuild(path, args, env);
  const name = parseEntryName(args.positionals[0]);
  const envFile = loadEnvFile(findEnvFile(args.own, dirname(name.file)), env);
  const entry = findEntry(await loadModule(name.file), name);
  const appFilePath = findAppFile(args.own.get("config"), dirname(name.file));
  const appFile = appFilePath === undefined ? undefined : await loadAppFile(appFilePath);
  const sources = { flags: args.options, env, ...(envFile && { envFile }), ...(appFile && { appFile }) };
  const appFolder = dirname(resolve(name.file));
  const { graph, options } = resolveApp(entry, sources);
  const warnings = [...warnOfRefused(envFile), ...options.warnings];
  const common = { appFile, appFilePath, appFolder, envFile: envFile?.file };
  return { file: name.file, ...common, graph, options: { ...options, warnings } };
}

/** Loads a build: its manifests and contracts, and code only where it runs in this process. */
async function loadBuild(path: string, args: ParsedArgs, env: NodeJS.ProcessEnv): Promise<LoadedApp> {
  const envFile = loadEnvFile(findEnvFile(args.own, path), env);
  const build = readBuild(path);
  const named = args.own.get("config");
  const appFile = named === undefined ? withFunctions(build) : await loadAppFile(named);
  // The folder of one service names it already.
  const isListening = args.options["listen"] !== undefined || (env["EKIBEN_LISTEN"] ?? "") !== "";
  const flags =
    isListening && build.entries.size === 1 ? { service: [build.graph.entry], ...args.options } : args.options;
  const sources = { flags, env, ...(envFile && { envFile }), ...(appFile && { appFile }) };
  const { graph, options } = resolveAppOptions(build.graph, sources);
  const { settings, faults } = options;
  const tasks = { ...settings.tasks, namespace: settings.tasks.namespace || build.name };
  const placed = findPlaceFaults(build, settings);
  const entry = build.entries.get(graph.entry) as EntryLocation;
  const isHere = placed.length === 0 && settings.services.get(graph.entry)?.placement === "inline";
  return {
    file: entry.file,
    appFile,
    appFilePath: named ?? build.functions?.file,
    appFolder: process.cwd(),
    envFile: envFile?.file,
    entries: build.entries,
    graph: isHere ? withCode(graph, resolveGraph(await loadEntry(entry))) : graph,
    options: {
      ...options,
      settings: { ...settings, tasks },
      faults: [...faults, ...placed],
      warnings: [...warnOfRefused(envFile), ...options.warnings],
    },
  };
}

/** Finds services whose code is not where their options want it. */
function findPlaceFaults({ entries, inline, graph }: ReadBuild, { services }: AppSettings): GraphFault[] {
  return [...services].flatMap(([service, { placement, ...own }]) => {
    const wasInline = inline.has(service);
    const isInline = placement === "inline" && service !== graph.entry;
    if (!wasInline && !entries.has(service)) {
      const { at = [] } = own as { readonly at?: readonly unknown[] };
      return at.length > 0 ? [] : [toFault(service, "at", fail("not_in_build", { service }))];
    }
    if (wasInline === isInline) return [];
    return [toFault(service, "placement", fail("placement_is_built", { service, placement, wasInline }))];
  });
}

/** Adds the functions of the app file. Their code is loaded with the first call. */
function withFunctions({ appFile, functions }: ReadBuild): LoadedAppFile | undefined {
  if (functions === undefined) return appFile;
  const load = async () => (await loadModule(functions.file))["default"] as Required<AppFile>;
  const all: AppFile = {
    fastify: async (fastify) => (await load()).fastify(fastify),
    context: async (request) => (await load()).context(request),
  };
  const own = Object.entries(all).filter(([name]) => functions.names.includes(name));
  return { path: appFile?.path ?? "", value: { ...(appFile?.value as object), ...Object.fromEntries(own) } };
}

/** Puts the classes of a bundle in the place of those made of contracts: they run in this process. */
function withCode(graph: Graph, code: Graph): Graph {
  const isCode = (name: string): boolean => {
    const own = code.services.get(name);
    return own !== undefined && readContractOf(own.service) === undefined;
  };
  const services = [...graph.services].map(
    ([name, own]) => [name, isCode(name) ? (code.services.get(name) ?? own) : own] as const,
  );
  const edges = [...graph.edges.filter(({ from }) => !isCode(from)), ...code.edges];
  return { ...graph, services: new Map(services), edges };
}

/**
 * Finds the environment file: the one that `--env-file` names, or else `.env` beside the service file, or else beside
 * the nearest package.json above it. The current folder has no part in it: it may be anybody's.
 *
 * @returns `undefined` without one, and with `--no-env-file`.
 *
 * @param flags  Flags of the command itself.
 * @param folder Folder of the service file.
 */
export function findEnvFile(flags: ParsedArgs["own"], folder: string): string | undefined {
  if (flags.has("no-env-file")) return undefined;
  const named = flags.get("env-file");
  if (named !== undefined) return resolve(named);
  // A folder of this name belongs to Python.
  const isFile = (path: string) => statSync(path, { throwIfNoEntry: false })?.isDirectory() === false;
  const own = resolve(folder);
  return [own, findPackageFolder(own) ?? own].map((place) => join(place, ".env")).find(isFile);
}

/** Finds the folder with the nearest package.json, from a folder upwards. */
export function findPackageFolder(folder: string): string | undefined {
  if (existsSync(join(folder, "package.json"))) return folder;
  return dirname(folder) === folder ? undefined : findPackageFolder(dirname(folder));
}

/**
 * Variables that decide which code a process loads or trusts. An environment file has values for the app; one that a
 * stranger has written must not run code of his in every replica.
 */
const codeVariables =
  /^(PATH|LD_.*|DYLD_.*|NODE_(OPTIONS|PATH|EXTRA_CA_CERTS|COMPILE_CACHE|REPL_EXTERNAL_MODULE|ICU_DATA)|OPENSSL_(CONF|MODULES))$/i;

/** Environment file that was read. */
interface EnvFile extends NonNullable<OptionSources["envFile"]> {
  readonly file: string;
  /** Names of variables in it that were not taken. */
  readonly refused: readonly string[];
}

const warnOfRefused = (envFile: EnvFile | undefined): readonly GraphFault[] =>
  envFile === undefined || envFile.refused.length === 0
    ? []
    : [
        createFault(
          "env_variables_not_taken",
          { file: envFile.path, names: envFile.refused },
          { service: "", api: "", name: "" },
        ),
      ];

/**
 * Adds the variables of a file to the environment, as `node --env-file` does: a variable that is set already is kept.
 * Replicas get the environment of this process, and so these variables too. Variables that decide which code is loaded
 * are not taken.
 *
 * @returns The file, and the variables that it has set.
 * @throws {ServingError} `env_file_unreadable`.
 */
function loadEnvFile(file: string | undefined, env: NodeJS.ProcessEnv): EnvFile | undefined {
  if (file === undefined) return undefined;
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw fail("env_file_unreadable", { file, problem: systemProblem(error) });
  }
  const given = Object.entries(parseEnv(text));
  const refused = given
    .map(([name]) => name)
    .filter((name) => codeVariables.test(name))
    .sort();
  const added = given.filter(([name]) => env[name] === undefined && !refused.includes(name));
  Object.assign(env, Object.fromEntries(added));
  return { file, path: basename(file), variables: new Set(added.map(([name]) => name)), refused };
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
