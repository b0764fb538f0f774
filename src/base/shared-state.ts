import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** One installed ekiben that this thread has loaded. */
export interface Copy {
  /** The folder of its package.json. */
  readonly folder: string;
  readonly version: string;
}

/** What all copies that one thread loads have in common. Its form never changes: copies of every version read it. */
interface Registry {
  readonly copies: Copy[];
  /** By version and name: only copies of one version share what they keep. */
  readonly states: Map<string, unknown>;
}

const registryKey = Symbol.for("ekiben.copies");
const registry: Registry = ((globalThis as { [registryKey]?: Registry })[registryKey] ??= {
  copies: [],
  states: new Map(),
});

/** The folder of ekiben's modules; `""` where they were put into a bundle and lie nowhere. */
export const ownFolder: string = findOwnFolder();

/**
 * Path of a module of ekiben that runs as a process or thread of its own: compiled, or TypeScript under a loader, as this file is.
 *
 * @param module For example `"runtime/process-main"`.
 */
export function findOwnModule(module: string): string {
  return join(ownFolder, `${module}.${import.meta.url.endsWith(".ts") ? "ts" : "js"}`);
}

/** The copy that this module is of. */
export const ownCopy: Copy = { folder: dirname(ownFolder), version: readVersion() };

if (!registry.copies.some(({ folder }) => folder === ownCopy.folder)) registry.copies.push(ownCopy);

/** The versions of the copies that this thread has loaded so far; more than one share nothing. */
export const loadedVersions = (): readonly string[] => [...new Set(registry.copies.map(({ version }) => version))];

/**
 * State of which a thread has one, whichever copy of ekiben asks for it: what one copy opens, a class that was made with another
 * of the same version finds. A module variable would be one for each copy.
 *
 * @param create Makes it for the first that asks.
 */
export function shareState<T>(name: string, create: () => T): T {
  const key = `${ownCopy.version} ${name}`;
  if (!registry.states.has(key)) registry.states.set(key, create());
  return registry.states.get(key) as T;
}

function findOwnFolder(): string {
  // A bundle has another name, or, where it is CommonJS, none.
  const url: string | undefined = import.meta.url;
  if (url?.startsWith("file:") !== true) return "";
  const file = fileURLToPath(url);
  const folder = dirname(dirname(file));
  const isWhole = /^shared-state\.[jt]s$/.test(basename(file)) && existsSync(join(folder, "../package.json"));
  return isWhole ? folder : "";
}

function readVersion(): string {
  if (ownFolder === "") return "in a bundle";
  return (JSON.parse(readFileSync(join(ownFolder, "../package.json"), "utf8")) as { version: string }).version;
}
