import { existsSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { namePattern } from "../base/name-pattern.js";
import type { ServiceClass } from "../define/depends.js";
import { compileService } from "../define/descriptor.js";
import { readServiceName, readServiceOptions } from "../define/service.js";
import { fail } from "../failure/failures.js";
import type { ModuleExports } from "./load-module.js";

/** File and service of `file[:Class]`. */
interface EntryName {
  /** Path, relative to the working directory. */
  readonly file: string;
  /** Name after the colon. */
  readonly service: string | undefined;
}

const defaultFiles = ["service.ts", "service.js", "service.mjs", "service.mts"];

const fileAndName = new RegExp(`^(.*?)(?::(${namePattern}))?$`, "su");

/** Reads `file[:Class]`. Without a file, or for a folder, takes the first existing of service.ts, .js, .mjs, .mts. */
export function parseEntryName(text = ""): EntryName {
  const [, path = "", service] = fileAndName.exec(text) ?? [];
  if (path !== "" && !isFolder(path)) return { file: path, service };
  const files = defaultFiles.map((name) => join(path, name));
  return { file: files.find((file) => existsSync(file)) ?? (files[0] as string), service };
}

const isFolder = (path: string) => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

/**
 * Finds the entry service of a file: the one named after the colon, else the default export, else the only exported
 * service that no other depends on.
 *
 * @throws {ServingError} `entry_not_found`, `entry_ambiguous`.
 */
export function findEntry(exported: ModuleExports, { file, service: wanted }: EntryName): ServiceClass {
  const services = new Map<ServiceClass, string>();
  for (const [name, value] of Object.entries(exported)) {
    if (readServiceOptions(value) !== undefined && (name !== "default" || !services.has(value as ServiceClass))) {
      services.set(value as ServiceClass, name);
    }
  }
  if (wanted !== undefined) return findNamed(services, { file, wanted });
  const byDefault = exported["default"];
  if (readServiceOptions(byDefault) !== undefined) return byDefault as ServiceClass;
  const called = findCalled(services.keys());
  const candidates = [...services.keys()].filter((service) => !called.has(service));
  const [first] = candidates.length === 0 ? services.keys() : candidates;
  // If every service is called by another, there is a cycle: resolving the graph of any of them reports it.
  if (first !== undefined && candidates.length < 2) return first;
  throw fail("entry_ambiguous", { file: shorten(file), candidates: candidates.map(readServiceName) });
}

function findNamed(
  services: ReadonlyMap<ServiceClass, string>,
  { file, wanted }: { readonly file: string; readonly wanted: string },
): ServiceClass {
  const entries = [...services];
  const found =
    entries.find(([, exportName]) => exportName === wanted) ??
    entries.find(([service]) => readServiceName(service) === wanted || service.name === wanted);
  if (found !== undefined) return found[0];
  throw fail("entry_not_found", {
    file: shorten(file),
    wanted,
    exported: entries.map(([service]) => readServiceName(service)),
  });
}

/** Finds all services that services reachable from the exported ones depend on. */
function findCalled(services: Iterable<ServiceClass>): Set<ServiceClass> {
  const called = new Set<ServiceClass>();
  const seen = new Set<ServiceClass>();
  const waiting = [...services];
  for (let service = waiting.pop(); service !== undefined; service = waiting.pop()) {
    if (seen.has(service) || readServiceOptions(service) === undefined) continue;
    seen.add(service);
    for (const { target } of compileService(service).dependencies) {
      called.add(target);
      waiting.push(target);
    }
  }
  return called;
}

function shorten(file: string): string {
  const path = relative(process.cwd(), file);
  return path === "" || path.startsWith("..") ? file : path;
}
