import { basename, dirname, extname, isAbsolute, relative, sep } from "node:path";

const endings = new Set([".ts", ".mts", ".cts", ".tsx", ".js", ".mjs", ".cjs", ".jsx", ".json"]);

/** What other programs write, unless the service file itself lies in it. */
const outputFolders = new Set(["dist", "build", "coverage"]);

/** What a rule about watched paths is made of; every path is absolute. */
export interface WatchedPathsParts {
  /** The folder of the project. */
  readonly folder: string;
  readonly serviceFile: string;
  /** A file that counts wherever it lies: the app file that was named. */
  readonly appFile?: string | undefined;
}

/** Which folders are looked into, and which files start a new version when they change. */
export class WatchedPaths {
  readonly #folder: string;
  readonly #serviceFile: string;
  readonly #appFile: string | undefined;

  constructor({ folder, serviceFile, appFile }: WatchedPathsParts) {
    this.#folder = folder;
    this.#serviceFile = serviceFile;
    this.#appFile = appFile;
  }

  /** Folders to begin at. */
  get folders(): string[] {
    const outside = this.#appFile === undefined ? [] : [dirname(this.#appFile)].filter((path) => !this.hasFolder(path));
    return [this.#folder, ...outside];
  }

  /** Whether every file of its kind in this folder counts. */
  hasFolder(path: string): boolean {
    if (path === this.#folder) return true;
    if (!isWithin(this.#folder, path)) return false;
    if (!this.hasFolder(dirname(path))) return false;
    if (isWithin(path, this.#serviceFile)) return true;
    const name = basename(path);
    return name !== "node_modules" && !name.startsWith(".") && !outputFolders.has(name);
  }

  /** Whether a change of this file counts. */
  hasFile(path: string): boolean {
    if (path === this.#serviceFile || path === this.#appFile) return true;
    return isSource(basename(path)) && this.hasFolder(dirname(path));
  }
}

/** Source by its name. Other names that begin with a dot are an editor's own: `.#model.ts`, `._model.ts`. */
function isSource(name: string): boolean {
  if (name === ".env" || name.startsWith(".env.") || name.endsWith(".env")) return true;
  return !name.startsWith(".") && endings.has(extname(name));
}

function isWithin(folder: string, path: string): boolean {
  const below = relative(folder, path);
  return below !== "" && below !== ".." && !below.startsWith(`..${sep}`) && !isAbsolute(below);
}
