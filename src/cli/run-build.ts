import { createHash } from "node:crypto";
import { mkdir, stat, writeFile } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { nameApp } from "../app/plan-app.js";
import { systemClock } from "../base/clock.js";
import { ownCopy } from "../base/shared-state.js";
import { type BuildReport, buildApp } from "../build/build-app.js";
import { FileDigests, readJson } from "../build/build-folder.js";
import { type FileRecord, manifestFile } from "../build/manifest.js";
import { formatMegabytes } from "../models/download.js";
import { type CommandContext, exitCodes } from "./command.js";
import { formatFaults, formatFinding } from "./format-failure.js";
import { type LoadedApp, loadApp } from "./load-app.js";
import { formatColumns, formatDuration, type Output } from "./terminal.js";

/** Form of the file that is kept beside a build. */
const cacheVersion = 1;

/** Facts about the last build, to skip what has not changed. Only this machine reads it. */
interface BuildCache {
  readonly version: number;
  readonly ekiben: string;
  /** Command line of the build. */
  readonly words: string;
  /** Size and time of change of every input, by path; `""` for one that was not there. */
  readonly inputs: Readonly<Record<string, string>>;
  /** Digests of the texts of environment variables that the author's files have read while they were loaded. */
  readonly env: Readonly<Record<string, string>>;
  /** State of the manifest of the build. */
  readonly manifest: string;
  readonly digests: Readonly<Record<string, FileRecord & { readonly mtimeMs: number }>>;
  readonly report: BuildReport;
}

/** Runs `ekiben build`: one folder a service, with only what that service needs. */
export async function runBuild({ args, words, env, terminal }: CommandContext): Promise<number> {
  const begun = systemClock.now();
  const out = resolve(args.own.get("out") ?? ".ekiben/build");
  const cacheFile = join(dirname(out), ".build-cache.json");
  const cache = args.own.has("force") ? undefined : readCache(await readJson(cacheFile));
  const told = JSON.stringify([process.cwd(), ...words]);
  if (cache?.words === told && (await isCurrent(cache, out, env))) {
    const services = cache.report.services.map((service) => ({ ...service, isChanged: false }));
    terminal.out.write(formatBuild({ ...cache.report, services }, out, terminal.out));
    terminal.err.write(`unchanged since the last build, checked in ${formatDuration(systemClock.now() - begun)}\n`);
    return exitCodes.ok.code;
  }
  const seen = new Set<string>();
  const app = await loadWatched(args, env, seen);
  const { faults, warnings, settings } = app.options;
  if (faults.length > 0) {
    terminal.err.write(formatFaults(faults, terminal.err));
    return exitCodes.failed.code;
  }
  for (const warning of warnings) terminal.err.write(formatFinding({ ...warning, kind: "warning" }, terminal.err));
  const digests = new FileDigests(cache?.digests);
  const file = resolve(app.file);
  const report = await buildApp({
    ...{ graph: app.graph, settings, file, appFile: app.appFile, out, digests },
    appFilePath: app.appFilePath && resolve(app.appFilePath),
    name: settings.tasks.namespace || nameApp(file, app.graph.entry),
    env: Object.fromEntries([...seen].map((name) => [name, env[name]])),
  });
  const inputs = [...report.inputs, ...listLikelyFiles(file, app.appFilePath)];
  const kept: BuildCache = {
    ...{ version: cacheVersion, ekiben: await stateOf(join(ownCopy.folder, "package.json")), words: told },
    inputs: Object.fromEntries(await Promise.all([...inputs, ...Object.keys(digests.used)].map(readState))),
    env: Object.fromEntries([...seen].sort().map((name) => [name, digestText(env[name])])),
    manifest: await stateOf(join(out, manifestFile)),
    ...{ digests: digests.used, report },
  };
  await mkdir(dirname(cacheFile), { recursive: true });
  await writeFile(cacheFile, JSON.stringify(kept));
  terminal.out.write(formatBuild(report, out, terminal.out));
  terminal.err.write(`built in ${formatDuration(systemClock.now() - begun)}\n`);
  return exitCodes.ok.code;
}

/** Files that change a build when they appear: app files and environment files beside the service file. */
function listLikelyFiles(file: string, appFile: string | undefined): string[] {
  const names = ["ts", "mts", "js", "mjs", "json"].map((ending) => `ekiben.config.${ending}`);
  const beside = [...names, ".env", "package.json", "tsconfig.json"].map((name) => join(dirname(file), name));
  return [...beside, ...(appFile === undefined ? [] : [resolve(appFile)])];
}

function readCache(value: unknown): BuildCache | undefined {
  const cache = value as BuildCache | undefined;
  return cache?.version === cacheVersion ? cache : undefined;
}

/** True when a build would give what is there already. */
async function isCurrent(cache: BuildCache, out: string, env: NodeJS.ProcessEnv): Promise<boolean> {
  if (Object.entries(cache.env).some(([name, digest]) => digestText(env[name]) !== digest)) return false;
  const own = { [join(out, manifestFile)]: cache.manifest, [join(ownCopy.folder, "package.json")]: cache.ekiben };
  const states = await Promise.all(
    Object.entries({ ...cache.inputs, ...own }).map(async ([path, state]) => (await stateOf(path)) === state),
  );
  return states.every(Boolean);
}

const readState = async (path: string): Promise<[string, string]> => [path, await stateOf(path)];

async function stateOf(path: string): Promise<string> {
  try {
    const { size, mtimeMs } = await stat(path);
    return `${size} ${mtimeMs}`;
  } catch {
    return "";
  }
}

const digestText = (text = ""): string => createHash("sha256").update(text).digest("hex");

/**
 * Loads the app, and notes which variables the author's files read meanwhile. Options in the environment do not apply:
 * they are those of a run.
 */
async function loadWatched(
  args: CommandContext["args"],
  env: NodeJS.ProcessEnv,
  seen: Set<string>,
): Promise<LoadedApp> {
  // Who starts a process reads all variables to copy them, at once after their names.
  let isCopying = false;
  const watched = new Proxy(env, {
    get: (target, name) => {
      if (typeof name === "string" && !isCopying) seen.add(name);
      return Reflect.get(target, name) as unknown;
    },
    ownKeys: (target) => {
      isCopying = true;
      queueMicrotask(() => {
        isCopying = false;
      });
      return Reflect.ownKeys(target);
    },
  });
  const outer = process.env;
  process.env = watched;
  try {
    return await loadApp(args, new Proxy(env, { ownKeys: () => [] }));
  } finally {
    process.env = outer;
  }
}

function formatBuild({ services, digest }: BuildReport, out: string, { paint }: Output): string {
  const rows = services.map(({ service, digest: own, bytes, isChanged }) => [
    `  ${paint("cyan", service)}`,
    own.slice(0, 12),
    formatBytes(bytes),
    isChanged ? "changed" : paint("dim", "as before"),
  ]);
  const place = relative(process.cwd(), out) || ".";
  return `${formatColumns(rows).join("\n")}\n${place}  ${digest.slice(0, 12)}\n`;
}

const formatBytes = (bytes: number): string =>
  bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : formatMegabytes(bytes);
