import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** One installed copy of ekiben that this thread has loaded. */
export interface Copy {
  /** Folder of its package.json. */
  readonly folder: string;
  readonly version: string;
}

/** State that all copies in one thread share. Its form never changes: copies of every version read it. */
interface Registry {
  readonly copies: Copy[];
  /** Values by version and name: only copies of one version share values. */
  readonly states: Map<string, unknown>;
}

const registryKey = Symbol.for("ekiben.copies");
const registry: Registry = ((globalThis as { [registryKey]?: Registry })[registryKey] ??= {
  copies: [],
  states: new Map(),
});

/** Folder of ekiben's modules; `""` when they are part of a bundle. */
export const ownFolder: string = findOwnFolder();

/**
 * Path of a module of ekiben that runs as a process or thread of its own: compiled, or TypeScript under a loader, as
 * this file is.
 *
 * @param module For example `"runtime/process-main"`.
 */
export function findOwnModule(module: string): string {
  return join(ownFolder, `${module}.${import.meta.url.endsWith(".ts") ? "ts" : "js"}`);
}

/** Copy that this module belongs to. */
export const ownCopy: Copy = { folder: dirname(ownFolder), version: readVersion() };

if (!registry.copies.some(({ folder }) => folder === ownCopy.folder)) registry.copies.push(ownCopy);

/** Versions of the copies that this thread has loaded so far. Copies of different versions share no values. */
export const loadedVersions = (): readonly string[] => [...new Set(registry.copies.map(({ version }) => version))];

/**
 * Returns a state that exists once in a thread, for all copies of ekiben of one version: a class made with one copy
 * finds the state that another has created. A module variable would exist once for each copy.
 *
 * @param create Makes the state for the first caller.
 */
export function shareState<T>(name: string, create: () => T): T {
  const key = `${ownCopy.version} ${name}`;
  if (!registry.states.has(key)) registry.states.set(key, create());
  return registry.states.get(key) as T;
}

function findOwnFolder(): string {
  // A bundle that is CommonJS has no URL.
  const url: string | undefined = import.meta.url;
  if (url?.startsWith("file:") !== true) return "";
  // Two folders deep, also where `ekiben build` has put several modules into one file. A bundle of an author lies
  // somewhere else: the package.json above it is not this one.
  const folder = dirname(dirname(fileURLToPath(url)));
  return readOwnPackage(folder)?.name === "ekiben" ? folder : "";
}

/** Reads the package.json above the folder of the modules. */
function readOwnPackage(folder: string): { readonly name?: string; readonly version: string } | undefined {
  const file = join(folder, "../package.json");
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined;
}

function readVersion(): string {
  if (ownFolder === "") return "in a bundle";
  return readOwnPackage(ownFolder)?.version ?? "unknown";
}
