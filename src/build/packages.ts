import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join, sep } from "node:path";
import { maskComments } from "./mask-comments.js";

/** Platform that native code is for. */
export interface Platform {
  readonly os: string;
  readonly arch: string;
  /** `"glibc"` or `"musl"` on Linux, else `""`. */
  readonly libc: string;
}

/** Platform of this process. */
export function readPlatform(): Platform {
  const { platform: os, arch } = process;
  if (os !== "linux") return { os, arch, libc: "" };
  const report = process.report.getReport() as { readonly header?: { readonly glibcVersionRuntime?: string } };
  return { os, arch, libc: report.header?.glibcVersionRuntime === undefined ? "musl" : "glibc" };
}

export const formatPlatform = ({ os, arch, libc }: Platform): string => [os, arch, libc].filter(Boolean).join("-");

/** One installed package. */
export interface InstalledPackage {
  readonly name: string;
  /** Real path of its folder. */
  readonly folder: string;
}

/** One file that comes along with a package. */
export interface PackageFile {
  readonly source: string;
  /** Path in the folder of the service: `"node_modules/sharp/dist/index.cjs"`. */
  readonly target: string;
  /** True for native code, which another platform has in another form. */
  readonly isNative: boolean;
}

/** Fields of a `package.json` that are read. */
interface PackageFields {
  readonly name?: string;
  readonly version?: string;
  readonly gypfile?: boolean;
  readonly binary?: unknown;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
  readonly libc?: readonly string[];
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
}

/** Most files of one package that are looked through. */
const maxFiles = 50_000;

const modulesFolder = `${sep}node_modules${sep}`;

/** Finds the package that a file belongs to; `undefined` for a file of the author, also in a workspace. */
export function packageOf(file: string): InstalledPackage | undefined {
  const at = file.lastIndexOf(modulesFolder);
  if (at < 0) return undefined;
  const start = at + modulesFolder.length;
  const [first = "", second = ""] = file.slice(start).split(sep);
  const name = first.startsWith("@") ? `${first}/${second}` : first;
  return { name, folder: file.slice(0, start) + name.replaceAll("/", sep) };
}

/** Finds an installed package as Node does: in the `node_modules` folders of a folder and above it. */
export function findInstalled(name: string, from: string): InstalledPackage | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    const path = join(folder, "node_modules", name);
    if (existsSync(join(path, "package.json"))) return { name, folder: realpathSync(path) };
    if (dirname(folder) === folder) return undefined;
  }
}

const read = new Map<string, PackageFields>();

export function readPackage(folder: string): PackageFields {
  let fields = read.get(folder);
  if (fields === undefined) {
    try {
      fields = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as PackageFields;
    } catch {
      fields = {};
    }
    read.set(folder, fields);
  }
  return fields;
}

const native = new Map<string, boolean>();

/**
 * True for a package that says that it has native code: it can't be part of a bundle, and comes along as it is
 * installed. It builds such code, is for one platform, or has an optional dependency that is.
 */
export function isNativePackage(folder: string): boolean {
  let found = native.get(folder);
  if (found === undefined) {
    const { gypfile, binary, optionalDependencies = {} } = readPackage(folder);
    const isForOnePlatform = (name: string): boolean => {
      const installed = findInstalled(name, folder);
      return installed !== undefined && isBound(readPackage(installed.folder));
    };
    found =
      gypfile === true ||
      binary !== undefined ||
      isBound(readPackage(folder)) ||
      Object.keys(optionalDependencies).some(isForOnePlatform);
    native.set(folder, found);
  }
  return found;
}

const isBound = ({ os, cpu }: PackageFields): boolean => os !== undefined || cpu !== undefined;

function suits({ os, cpu, libc }: PackageFields, name: string, own: Platform): boolean {
  const allows = (list: readonly string[] | undefined, value: string): boolean =>
    list === undefined ||
    list.some((entry) => entry === value || entry === "any") ||
    (list.every((entry) => entry.startsWith("!")) && !list.includes(`!${value}`));
  if (!allows(os, own.os) || !allows(cpu, own.arch)) return false;
  if (own.libc === "") return true;
  // Packages that are older than the field `libc` say it by their name.
  return libc === undefined ? own.libc === "musl" || !name.includes("musl") : allows(libc, own.libc);
}

/** Lists the files of a folder, in a fixed order. Other packages in it, and hidden folders, are left out. */
function listFiles(root: string, isWanted: (path: string) => boolean): string[] {
  const found: string[] = [];
  const walk = (folder: string): void => {
    const entries = readdirSync(join(root, folder), { withFileTypes: true });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (found.length >= maxFiles) return;
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (entry.name === "node_modules" || entry.name.startsWith(".")) continue;
      if (!isWanted(path)) continue;
      if (entry.isDirectory()) walk(path);
      else found.push(path);
    }
  };
  walk("");
  return found;
}

/** Files that no program reads when it runs. */
const unread =
  /\.(map|md|markdown|tsbuildinfo|flow|gyp|gypi|cc|cpp|c|h|hpp|pdb|lib)$|\.[cm]?tsx?$|^(tsconfig.*\.json|\.npmignore|yarn\.lock|package-lock\.json)$/;
/** Files without which a package has no data. */
const paperwork = /^(package\.json|licen[cs]e|notice|copying)[^/]*$/i;
const unreadFolders = /^(tests?|__tests__|specs?|docs?|examples?|benchmarks?|typings|coverage)$/;
const codeFile = /\.[cm]?jsx?$/;
const nativeFile = /\.(node|so|dylib|dll|exe)$|\.so\.[\d.]+$/;

const systems = ["aix", "android", "darwin", "freebsd", "linux", "linuxmusl", "openbsd", "sunos", "win32", "windows"];
const processors = ["arm", "arm64", "ia32", "loong64", "ppc64", "riscv64", "s390x", "x64", "x86", "x86_64"];

/** True for a folder that is named after another platform, such as `win32`, `arm64` or `darwin-arm64`. */
function isOfOther(name: string, { os, arch, libc }: Platform): boolean {
  const words = name.toLowerCase().split("-");
  const isPlatform = (word: string) =>
    systems.includes(word) || processors.includes(word) || ["musl", "gnu", "glibc"].includes(word);
  if (!words.every(isPlatform)) return false;
  return words.some((word) => {
    if (systems.includes(word)) return word === "linuxmusl" ? libc !== "musl" : word !== os;
    if (processors.includes(word)) return word !== arch && !(arch === "x64" && word === "x86_64");
    return (word === "musl") !== (libc === "musl");
  });
}

/** Part of a package that comes along. */
export type PackagePart =
  /** All that it needs to run, with the packages it depends on. */
  | "whole"
  /** All its files, without the packages it depends on. */
  | "files"
  /** Files that are no code: its code is in the bundle. */
  | "data";

/** Parts of a package, each with all of the one before. */
const widths: readonly PackagePart[] = ["data", "files", "whole"];

/** Packages beside the bundle of one service: where each lies there, and its files. */
export class PackageCopies {
  readonly #platform: Platform;
  /** Folders by their place: `"node_modules/sharp"`. */
  readonly #placed = new Map<string, { readonly folder: string; part: PackagePart }>();

  constructor(platform: Platform) {
    this.#platform = platform;
  }

  /** Names of the packages, with versions: `["sharp@0.35.5"]`. */
  get names(): string[] {
    return [...this.#placed.values()].map(({ folder }) => {
      const { name, version } = readPackage(folder);
      return `${name}@${version}`;
    });
  }

  add({ name, folder }: InstalledPackage, part: PackagePart, above = ""): void {
    const fields = readPackage(folder);
    if (!suits(fields, name, this.#platform)) return;
    const place = this.#placeOf(name, folder, above);
    const known = this.#placed.get(place);
    if (known !== undefined && widths.indexOf(known.part) >= widths.indexOf(part)) return;
    this.#placed.set(place, { folder, part });
    if (part !== "whole") return;
    const { dependencies = {}, optionalDependencies = {}, peerDependencies = {}, peerDependenciesMeta = {} } = fields;
    const peers = Object.keys(peerDependencies).filter((peer) => peerDependenciesMeta[peer]?.optional !== true);
    for (const wanted of new Set([...Object.keys(dependencies), ...Object.keys(optionalDependencies), ...peers])) {
      // ekiben is beside all services already.
      const installed = wanted === "ekiben" ? undefined : findInstalled(wanted, folder);
      if (installed !== undefined) this.add(installed, "whole", `${place}/`);
    }
  }

  /**
   * Adds the packages that a file of an author names in a text, and not only in imports: code finds a model or an asset
   * in a package by its name.
   *
   * @param code Code of the bundle. A text that is not in it belonged to code that was dropped.
   */
  addNamed(file: string, text: string, code: string): void {
    const { dependencies, optionalDependencies, peerDependencies } = readPackage(findOwner(file));
    const requires = /\bcreateRequire\(/.test(text);
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })) {
      const quoted = `["'\`]${name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}["'\`/]`;
      const isLoaded = requires && new RegExp(`\\brequire(?:\\.resolve)?\\(\\s*${quoted}`).test(text);
      const isNamed = new RegExp(`(?<!\\b(?:from|import)\\s*|\\b(?:import|require)\\(\\s*)${quoted}`).test(text);
      if ((!isLoaded && !isNamed) || !new RegExp(quoted).test(code)) continue;
      const installed = findInstalled(name, dirname(file));
      if (installed !== undefined) this.add(installed, isLoaded ? "whole" : "files");
    }
  }

  /** Every file, in a fixed order. */
  files(): PackageFile[] {
    return [...this.#placed].flatMap(([place, { folder, part }]) => {
      const isNativeWhole = isBound(readPackage(folder));
      const isWanted = (path: string): boolean => {
        const name = path.slice(path.lastIndexOf("/") + 1);
        if (
          path !== "package.json" &&
          (unread.test(name) || unreadFolders.test(path) || isOfOther(name, this.#platform))
        ) {
          return false;
        }
        return part !== "data" || path === "package.json" || !codeFile.test(name);
      };
      const files = listFiles(folder, isWanted);
      if (part === "data" && files.every((path) => paperwork.test(path))) return [];
      return files.map((path) => ({
        source: join(folder, path),
        target: `${place}/${path}`,
        isNative: isNativeWhole || nativeFile.test(path),
      }));
    });
  }

  /** Puts a package at the top, or below the one that needs it where the top has another version of it. */
  #placeOf(name: string, folder: string, above: string): string {
    const top = `node_modules/${name}`;
    const other = this.#placed.get(top);
    return other === undefined || other.folder === folder ? top : `${above}node_modules/${name}`;
  }
}

/** Folder of the nearest package.json with a name, above a file. */
export function findOwner(file: string): string {
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    const { name } = readPackage(folder);
    if (typeof name === "string" && name !== "") return folder;
    if (dirname(folder) === folder) return dirname(file);
  }
}

/** Code of a package that finds other files at run time, so that the package can't be part of a bundle. */
const findsFiles =
  /(?<![\w$.])require\(\s*[^"'`)\s]|(?<![\w$.])require\(\s*`[^`]*\$\{|\brequire\.resolve\(|\bcreateRequire\(|\bnew Worker\(|\bprocess\.dlopen\b|\.node["'`]|["'](?:bindings|node-gyp-build)["']|(?<![\w$.])import\(\s*[^"'`)\s]/;
const ownPlace = /(?<![\w$.])__(dirname|filename)(?![\w$])|\bimport\.meta\.(url|dirname|filename)\b/;

/** Needs of a file of a package, by its text. */
export function judgeCode(text: string): "bundled" | "with its data" | "apart" {
  if (!findsFiles.test(text) && !ownPlace.test(text)) return "bundled";
  // Reading comments takes long in the largest files, which have few of them.
  const code = text.length > 300_000 ? text : maskComments(text);
  if (findsFiles.test(code)) return "apart";
  return ownPlace.test(code) ? "with its data" : "bundled";
}
