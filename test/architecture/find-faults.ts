import {
  browserEntry,
  emptyWords,
  entries,
  type HouseCounts,
  type Layer,
  maxFileLines,
  maxFunctionLines,
  sealedClasses,
  shortFileLines,
} from "./layers.js";
import type { Import, SourceFile } from "./source-tree.js";

/** Lists all violations of the house rules in a source tree, one sentence each. */
export function findFaults(files: readonly SourceFile[], layers: Readonly<Record<string, Layer>>): string[] {
  return [
    ...files.flatMap((file) => findImportFaults(file, layers)),
    ...findCycles(files),
    ...findNodeImports(files),
    ...files.flatMap(findExportFaults),
    ...files.flatMap(findSizeFaults),
    ...files.flatMap(findOpenFields),
    ...files.flatMap((file) => findNameFaults(file, files)),
  ];
}

const folderOf = (path: string) => (path.includes("/") ? (path.split("/", 1)[0] as string) : "");

function findImportFaults(file: SourceFile, layers: Readonly<Record<string, Layer>>): string[] {
  const folder = folderOf(file.path);
  if (folder === "") {
    return entries.includes(file.path) ? [] : [`${file.path} lies in no folder and is not an entry`];
  }
  const layer = layers[folder];
  if (layer === undefined) return [`folder ${folder} has no row in the table of layers`];
  return file.imports.flatMap((found) => {
    if (found.file === undefined || folderOf(found.file) === folder) return [];
    if (layer.may.some((target) => allows(target, found))) return [];
    return [`${file.path} imports ${found.file}: ${folder} may import ${layer.may.join(", ") || "nothing"}`];
  });
}

function allows(target: string, { file, isType }: Import): boolean {
  if (file === undefined) return true;
  const [place, only] = target.split(":");
  if (only === "types" && !isType) return false;
  return folderOf(file) === place || file === `${place}.ts`;
}

/** Reports each cycle once, from its first file in the order of paths. Imports of types and lazy imports count. */
function findCycles(files: readonly SourceFile[]): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const done = new Set<string>();
  const faults: string[] = [];
  const walk = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path);
    if (at >= 0) {
      faults.push(`files import one another in a circle: ${[...trail.slice(at), path].join(" -> ")}`);
      return;
    }
    if (done.has(path)) return;
    for (const { file } of byPath.get(path)?.imports ?? []) {
      if (file !== undefined && byPath.has(file)) walk(file, [...trail, path]);
    }
    done.add(path);
  };
  for (const path of [...byPath.keys()].sort()) walk(path, []);
  return faults;
}

/** Follows the imports that the browser entry loads at run time; type imports do not exist then. */
function findNodeImports(files: readonly SourceFile[]): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const seen = new Set<string>();
  const queue = [browserEntry];
  const faults: string[] = [];
  for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
    if (seen.has(path)) continue;
    seen.add(path);
    for (const { file, specifier, isType } of byPath.get(path)?.imports ?? []) {
      if (isType) continue;
      if (file !== undefined) queue.push(file);
      else faults.push(`${path} imports ${specifier}, and ${browserEntry}, which runs in browsers, loads ${path}`);
    }
  }
  return faults;
}

/** Counts what the house as a whole has, to be compared with `houseLimits`. */
export function countHouse(files: readonly SourceFile[]): HouseCounts {
  const arrows = files.flatMap(({ path, imports }) =>
    imports.flatMap(({ file }) =>
      file === undefined || folderOf(path) === "" ? [] : [`${folderOf(path)} ${folderOf(file)}`],
    ),
  );
  const isBetween = (arrow: string) => arrow.split(" ")[0] !== arrow.split(" ")[1];
  return {
    files: files.length,
    shortFiles: files.filter(({ lines }) => lines < shortFileLines).length,
    folderArrows: new Set(arrows.filter(isBetween)).size,
  };
}

function findExportFaults({ path, hasDefaultExport, hasStarExport }: SourceFile): string[] {
  return [
    ...(hasDefaultExport ? [`${path} has a default export; name what it exports`] : []),
    ...(hasStarExport && !entries.includes(path) ? [`${path} says export *; only an entry may`] : []),
  ];
}

function findSizeFaults({ path, lines, functions }: SourceFile): string[] {
  const long = functions.filter((found) => found.lines > maxFunctionLines);
  return [
    ...(lines > maxFileLines ? [`${path} has ${lines} lines, at most ${maxFileLines} are allowed`] : []),
    ...long.map((found) => `${path}: ${found.name} has ${found.lines} lines, at most ${maxFunctionLines} are allowed`),
  ];
}

function findOpenFields({ path, writableFields }: SourceFile): string[] {
  return writableFields
    .filter((field) => sealedClasses.includes(field.split(".", 1)[0] as string))
    .map((field) => `${path}: other files can write ${field}; make it readonly, or private with a method`);
}

function findNameFaults({ path, exports }: SourceFile, files: readonly SourceFile[]): string[] {
  const stem = path.replace(/^.*\//, "").replace(/\.ts$/, "");
  const twin = path.replace(/\d+\.ts$/, ".ts");
  const names = [stem, ...exports.filter((name) => !name.includes("."))];
  return [
    ...(/^[a-z0-9]+(-[a-z0-9]+)*$/.test(stem) ? [] : [`${path} is not named in kebab-case`]),
    ...(twin !== path && files.some((file) => file.path === twin) ? [`${path} is a numbered twin of ${twin}`] : []),
    ...names.flatMap((name) => {
      const word = wordsOf(name).find((part) => emptyWords.includes(part));
      return word === undefined ? [] : [`${path}: the name ${name} says "${word}", which says nothing`];
    }),
  ];
}

/** Splits a name into words: `"batch-window"` and `"BatchWindow"` → `["batch", "window"]`. */
const wordsOf = (name: string) =>
  name
    .replace(/([a-z0-9])([A-Z])/g, "$1-$2")
    .toLowerCase()
    .split(/[-_]/);
