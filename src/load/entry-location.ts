import { realpathSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { ServiceClass } from "../define/depends.js";
import { expectHandover } from "../define/entry-handover.js";
import { readServiceFiles, readServiceOptions } from "../define/service.js";
import { fail } from "../failure/fail.js";
import { loadModule, type ModuleExports } from "./load-module.js";

/** Where another thread or process finds the entry service of an app. Plain data. */
export interface EntryLocation {
  /** A path. */
  readonly file: string;
  /** Name of the service in the graph. */
  readonly service: string;
  /** The file calls `serve()` itself: it hands over the class then. */
  readonly isScript: boolean;
}

/**
 * Finds the file from which a class can be loaded again.
 *
 * @throws {ServingError} `not_importable` when no file of the class exports it.
 */
export async function locateEntry(entry: ServiceClass, service: string): Promise<EntryLocation> {
  const files = readServiceFiles(entry);
  const script = mainScript();
  for (const url of files) {
    const file = fileURLToPath(url);
    if (url.split("?", 1)[0] === script) {
      // Importing the script that runs now would wait for itself; a file of tests, loaded again, would run them again.
      if (process.env["NODE_TEST_CONTEXT"] !== undefined) continue;
      return { file, service, isScript: true };
    }
    if (await exportsClass(url, entry)) return { file, service, isScript: false };
  }
  throw fail("not_importable", { service, files: files.map((url) => fileURLToPath(url)) }, { service });
}

/** Loads the entry class again, in a replica. @throws {ServingError} `unknown_service`, and those of `loadModule`. */
export async function loadEntry({ file, service, isScript }: EntryLocation): Promise<ServiceClass> {
  if (isScript) return Promise.race([expectHandover(), loadModule(file).then((loaded) => pick(loaded, file, service))]);
  return pick(await loadModule(file), file, service);
}

function pick(loaded: ModuleExports, file: string, service: string): ServiceClass {
  const services = Object.values(loaded).filter((value) => readServiceOptions(value) !== undefined) as ServiceClass[];
  const found = services.find((candidate) => nameOf(candidate) === service);
  if (found !== undefined) return found;
  throw fail("unknown_service", { service, file, known: services.map(nameOf) }, { service });
}

const nameOf = (service: ServiceClass): string => readServiceOptions(service)?.name ?? service.name;

/** The module is loaded already, so importing it gives the very same classes. */
async function exportsClass(url: string, entry: ServiceClass): Promise<boolean> {
  try {
    return Object.values((await import(url)) as ModuleExports).includes(entry);
  } catch {
    return false;
  }
}

function mainScript(): string | undefined {
  const [, script] = process.argv;
  if (script === undefined) return undefined;
  try {
    return pathToFileURL(realpathSync(script)).href;
  } catch {
    return undefined;
  }
}
