import { existsSync } from "node:fs";
import { extname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import { messageOf } from "../failure/to-serving-error.js";
import { findTsx, formatLoaderNeed, registerTsx } from "./loader-need.js";

/** Exports of a loaded file. */
export type ModuleExports = Readonly<Record<string, unknown>>;

/**
 * Imports an author's file. TypeScript behaves the same on every Node: tsx loads all files of a project that has tsx;
 * Node itself (22.18 and newer), which only strips types, loads any other project.
 *
 * @throws {ServingError} `file_not_found`, `typescript_needs_loader`, `not_a_module`, or `module_failed` with the
 *   author's error as cause.
 */
export async function loadModule(file: string): Promise<ModuleExports> {
  const path = resolve(file);
  if (!existsSync(path)) throw fail("file_not_found", { file });
  const isTypeScript = /^\.[cm]?tsx?$/.test(extname(path));
  const tsx = isTypeScript ? findTsx(path) : undefined;
  if (tsx !== undefined) await registerTsx(tsx, path);
  else if (isTypeScript && !stripsTypes()) throw fail("typescript_needs_loader", { file, node: process.versions.node });
  try {
    return toExports(await import(pathToFileURL(path).href));
  } catch (error) {
    throw createFailure(file, error, tsx !== undefined);
  }
}

/** Unwraps CommonJS that a compiler made of ES modules: its exports are in the default export. */
export function toExports(loaded: ModuleExports): ModuleExports {
  const inner = loaded["default"] as ModuleExports | undefined;
  return inner?.["__esModule"] === true ? inner : loaded;
}

function createFailure(file: string, error: unknown, hasTsx: boolean): ServingError {
  if (error instanceof SyntaxError && error.message.includes("import statement outside a module")) {
    return fail("not_a_module", { file }, { cause: error });
  }
  const need = hasTsx ? undefined : formatLoaderNeed(error, resolve(file));
  if (need !== undefined) {
    return fail("typescript_needs_loader", { file, node: process.versions.node, need }, { cause: error });
  }
  return fail("module_failed", { file, error: messageOf(error) }, { cause: error });
}

/** True when this Node runs TypeScript without a loader. */
function stripsTypes(): boolean {
  return Boolean((process.features as { typescript?: unknown }).typescript);
}
