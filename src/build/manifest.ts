import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fail } from "../failure/failures.js";
import { systemProblem } from "../failure/read-thrown.js";

/** Version of the form of manifests. A reader refuses any other. */
export const manifestVersion = 1;

/** Name of the manifest in the folder of a build and in that of each service. */
export const manifestFile = "manifest.json";

/** Largest manifest that is read, in bytes. */
const maxManifestBytes = 16 * 1024 ** 2;

/** Programs that made a build. A digest depends on them. */
export interface Toolchain {
  readonly ekiben: string;
  readonly esbuild: string;
  /** Range of Node versions that run the build. */
  readonly node: string;
}

/** Content of one file. */
export interface FileRecord {
  readonly bytes: number;
  readonly sha256: string;
}

/** One dependency of a service, or of an inline service in its folder. */
export interface ManifestEdge {
  readonly from: string;
  /** Class field. */
  readonly field: string;
  readonly to: string;
  /** Limit of the edge; absent for none. */
  readonly timeoutMs?: number;
  /** Digest of the contract of `to`. */
  readonly contract: string;
}

/** Options that one service declares, as plain JSON (see `toPlain`). */
export interface DeclaredPlain {
  readonly options: Readonly<Record<string, unknown>>;
  /** Options in contracts, by api. */
  readonly apis: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** Options of a build. The command line and the environment of the run win over them. */
export interface BuiltOptions {
  /** Services of the folder, by name: its own, and the inline ones. */
  readonly declared: Readonly<Record<string, DeclaredPlain>>;
  /** Values of the app file, without its functions; absent without an app file. */
  readonly appFile?: { readonly path: string; readonly value: unknown };
}

/** Files that run only on one platform: native code of packages. */
export interface PlatformPart {
  /** Name such as `"linux-x64-glibc"`. */
  readonly target: string;
  readonly digest: string;
  readonly files: Readonly<Record<string, FileRecord>>;
}

/** Content of `manifest.json` in the folder of a service. */
export interface ServiceManifest {
  readonly ekiben: "service";
  readonly format: typeof manifestVersion;
  readonly service: string;
  /** Digest of all else here but `sourceMap` and `platform`. The same on every machine. */
  readonly digest: string;
  /** Digest of `contract.json`. */
  readonly contract: string;
  readonly dependsOn: readonly ManifestEdge[];
  /** Inline services whose code is in the folder, callees first. */
  readonly inline: readonly string[];
  readonly options: BuiltOptions;
  /** Functions of the app file that are in the folder of the entry service. */
  readonly functions: readonly string[];
  readonly app: { readonly name: string; readonly entry: string };
  readonly toolchain: Toolchain;
  readonly files: Readonly<Record<string, FileRecord>>;
  readonly sourceMap: Readonly<Record<string, FileRecord>>;
  readonly platform?: PlatformPart;
}

/** Content of `manifest.json` in the folder of a build: the graph. */
export interface AppManifest {
  readonly ekiben: "app";
  readonly format: typeof manifestVersion;
  readonly name: string;
  readonly entry: string;
  readonly digest: string;
  /** Services with a folder of their own, callees first. */
  readonly services: readonly { readonly service: string; readonly digest: string; readonly contract: string }[];
  readonly edges: readonly ManifestEdge[];
  readonly toolchain: Toolchain;
}

/**
 * Reads the manifest of a folder.
 *
 * @returns `undefined` for a folder without a manifest of ekiben.
 * @throws {ServingError} `not_a_build` for a manifest that can't be used.
 */
export function readManifest(folder: string): AppManifest | ServiceManifest | undefined {
  const file = join(folder, manifestFile);
  const refuse = (problem: string) => fail("not_a_build", { folder, problem });
  let text: string;
  try {
    if (statSync(file).size > maxManifestBytes) throw refuse(`${manifestFile} has more than ${maxManifestBytes} bytes`);
    text = readFileSync(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw code === undefined ? error : refuse(`${manifestFile}: ${systemProblem(error)}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw refuse(`${manifestFile} is not JSON`);
  }
  const manifest = value as AppManifest | ServiceManifest | null;
  if (manifest?.ekiben !== "app" && manifest?.ekiben !== "service") return undefined;
  if (manifest.format !== manifestVersion) {
    throw refuse(`its manifest has form ${String(manifest.format)}, this ekiben reads form ${manifestVersion}`);
  }
  if (!isWhole(manifest)) throw refuse(`${manifestFile} lacks fields`);
  return manifest;
}

/** True when a manifest has the fields that are read without a further check. */
function isWhole(manifest: AppManifest | ServiceManifest): boolean {
  const { toolchain, digest } = manifest;
  if (typeof digest !== "string" || typeof toolchain?.ekiben !== "string") return false;
  if (manifest.ekiben === "app") {
    const { services, edges, entry } = manifest;
    return Array.isArray(services) && Array.isArray(edges) && services.at(-1)?.service === entry;
  }
  const { service, dependsOn, inline, options, functions, app, files } = manifest;
  return (
    typeof service === "string" &&
    [dependsOn, inline, functions].every(Array.isArray) &&
    [options?.declared, app, files].every((part) => typeof part === "object" && part !== null) &&
    [service, ...inline].every((name) => typeof name === "string" && Object.hasOwn(options.declared, name))
  );
}
