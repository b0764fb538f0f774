import { readdirSync, statSync } from "node:fs";
import { dirname, join, posix, relative, sep } from "node:path";
import { toFault } from "../define/descriptor.js";
import { fail, type GraphFault } from "../failure/failures.js";
import type { AuthorModule } from "./author-module.js";
import { filesFolder } from "./author-module.js";
import { type Bundle, placeOf } from "./bundle-service.js";

/** One file that comes along: its path here, and its path in the folder of the service. */
export interface CopiedFile {
  readonly source: string;
  readonly target: string;
}

/** Most files of one folder that come along. */
const maxFiles = 20_000;

/** Inputs of `collectAssets`. */
interface AssetWish {
  readonly service: string;
  readonly bundle: Bundle;
  /** Folder that `patterns` are relative to. */
  readonly project: string;
  /** Option `build.assets`. */
  readonly patterns: readonly string[];
  readonly faults: GraphFault[];
}

/** Finds the files that the code of a bundle reads by its own place, and those that the option names. */
export function collectAssets({ service, bundle, project, patterns, faults }: AssetWish): CopiedFile[] {
  const found = new Map<string, string>();
  const at = (file: string, line: number) => `${relative(project, file)}:${line}`;
  for (const [file, { uses, unknownImports }] of bundle.modules) {
    for (const { line, code } of unknownImports) {
      faults.push(toFault(service, "", fail("import_unknown", { place: at(file, line), code })));
    }
    for (const { line, asset, unknown } of uses.filter((use) => isUsed(use, bundle.code))) {
      const place = at(file, line);
      if (unknown !== undefined && patterns.length === 0) {
        faults.push(toFault(service, "", fail("asset_unknown", { place, code: unknown })));
      }
      if (asset === undefined) continue;
      const problem = addAsset(found, file, asset);
      if (problem !== undefined) faults.push(toFault(service, "", fail("asset_missing", { place, asset, problem })));
    }
  }
  for (const pattern of patterns) {
    const matching = findMatching(project, pattern.replace(/^\.\//, ""));
    if (matching.length === 0) {
      faults.push(
        toFault(
          service,
          "build.assets",
          fail("asset_missing", { place: "build.assets", asset: pattern, problem: "no file matches" }),
        ),
      );
    }
    for (const path of matching) found.set(`${filesFolder}/${placeOf(join(project, path))}`, join(project, path));
  }
  return [...found].map(([target, source]) => ({ target, source })).sort((a, b) => (a.target < b.target ? -1 : 1));
}

/** The bundler drops a use with the code around it. One without a name of its own counts as long as its file does. */
const isUsed = ({ name }: AuthorModule["uses"][number], code: string): boolean => name === "" || code.includes(name);

/** @returns A text that describes the problem; `undefined` when the files were added. */
function addAsset(found: Map<string, string>, file: string, asset: string): string | undefined {
  const folder = dirname(file);
  const place = posix.dirname(placeOf(file));
  const add = (path: string): void => {
    found.set(`${filesFolder}/${posix.normalize(`${place}/${path}`)}`, join(folder, path));
  };
  if (posix.normalize(`${place}/${asset}`).startsWith("..")) return "it lies outside of the project";
  if (asset.includes("*")) {
    const matching = findMatching(folder, asset);
    for (const path of matching) add(path);
    return matching.length === 0 ? "no file matches" : undefined;
  }
  const stat = statSync(join(folder, asset), { throwIfNoEntry: false });
  if (stat === undefined) return "there is no such file";
  if (stat.isFile()) {
    if (/(?<!\.d)\.[cm]?tsx?$/.test(asset)) return "it is TypeScript, which runs only in a bundle";
    add(asset);
    return undefined;
  }
  const files = listFolder(join(folder, asset));
  if (files.length >= maxFiles) return `the folder has more than ${maxFiles} files`;
  for (const path of files) add(`${asset.replace(/\/$/, "")}/${path}`);
  return undefined;
}

/** Lists the files of a folder and its folders, in a fixed order; packages and hidden files are left out. */
function listFolder(root: string, isWanted: (folder: string) => boolean = () => true): string[] {
  const found: string[] = [];
  const walk = (folder: string): void => {
    const entries = readdirSync(join(root, folder), { withFileTypes: true });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (entry.name === "node_modules" || entry.name.startsWith(".") || found.length >= maxFiles) continue;
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      const isFolder = entry.isDirectory() || (entry.isSymbolicLink() && statSync(join(root, path)).isDirectory());
      if (isFolder && isWanted(path)) walk(path);
      else if (!isFolder) found.push(path);
    }
  };
  walk("");
  return found;
}

/** Finds files by a pattern: `*` is any part of a name, `**` any folders. */
function findMatching(folder: string, pattern: string): string[] {
  const parts = pattern.split("/");
  const first = parts.findIndex((part) => part.includes("*"));
  const fixed = (first < 0 ? parts : parts.slice(0, first)).join("/");
  const root = join(folder, fixed);
  const stat = statSync(root, { throwIfNoEntry: false });
  if (first < 0) {
    if (stat?.isDirectory() === true) return listFolder(root).map((path) => posix.join(fixed, path));
    return stat === undefined ? [] : [fixed];
  }
  if (stat?.isDirectory() !== true) return [];
  const rest = parts.slice(first);
  const matcher = new RegExp(`^${rest.map(toExpression).join("/").replaceAll("(?:.*/)?/", "(?:.*/)?")}$`);
  const depth = rest.includes("**") ? Number.POSITIVE_INFINITY : rest.length - 1;
  const files = listFolder(root, (path) => path.split("/").length <= depth);
  return files.filter((path) => matcher.test(path)).map((path) => posix.join(fixed, path.split(sep).join("/")));
}

const toExpression = (part: string): string =>
  part === "**" ? "(?:.*/)?" : part.replace(/[.+^${}()|[\]\\?]/g, "\\$&").replaceAll("*", "[^/]*");
