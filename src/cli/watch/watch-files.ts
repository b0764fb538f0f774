import { createHash } from "node:crypto";
import { type FSWatcher, lstatSync, readdirSync, readFileSync, statSync, watch } from "node:fs";
import { basename, dirname, extname, isAbsolute, join, relative, sep } from "node:path";
import type { Clock, Timer } from "../../base/clock.js";
import { ServingError } from "../../failure/serving-error.js";

// Watches the files of a project.
//
// W1  A folder is watched before it is read, so that no change falls in between.
// W2  A folder is watched by itself, never "recursively": Node's own way of doing that on Linux watches each single file,
//     node_modules and all.

/** More folders than this are no project. */
const maxFolders = 10_000;

/** What a watch of files is made of. */
interface WatchFilesDeps {
  readonly paths: WatchedPaths;
  readonly clock: Clock;
  /** Files whose content is another now; at least one. */
  readonly onChange: (files: readonly string[]) => void;
  /** What can't be watched from now on, though the rest still is. */
  readonly onFailure: (error: unknown) => void;
}

/** Files that are watched until they are no more. */
interface FileWatch {
  close(): void;
}

/**
 * Begins to watch; what lies there now is what later changes are compared with.
 *
 * @throws {ServingError} `watch_failed` when the system grants no more watches.
 */
export function watchFiles(deps: WatchFilesDeps): FileWatch {
  const tree = new FolderTree(deps);
  for (const folder of deps.paths.folders) tree.begin(folder);
  return tree;
}

class FolderTree implements FileWatch {
  readonly #deps: WatchFilesDeps;
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #prints = new FilePrints();
  readonly #window: ChangeWindow;

  constructor(deps: WatchFilesDeps) {
    this.#deps = deps;
    this.#window = new ChangeWindow(deps.clock, (paths) => this.#compare(paths));
  }

  begin(folder: string): void {
    this.#enter(folder, (file) => this.#prints.update(file));
  }

  close(): void {
    this.#window.close();
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  /** Watches a folder and all that count below it. @param see Takes every file that counts. */
  #enter(folder: string, see: (file: string) => void): void {
    const { paths } = this.#deps;
    this.#watch(folder);
    for (const entry of readFolder(folder)) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        if (paths.hasFolder(path)) this.#enter(path, see);
      } else if (paths.hasFile(path)) see(path);
    }
  }

  #watch(folder: string): void {
    this.#watchers.get(folder)?.close();
    if (this.#watchers.size >= maxFolders) throw failToWatch(folder, `it is one of more than ${maxFolders} folders`);
    try {
      const watcher = watch(folder, (event, name) => this.#see(folder, event, name));
      watcher.on("error", () => this.#leave(folder));
      this.#watchers.set(folder, watcher);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // It may be gone again.
      if (code !== "ENOENT" && code !== "ENOTDIR") throw failToWatch(folder, code, error);
    }
  }

  #see(folder: string, event: string, name: string | null): void {
    if (name === null) {
      this.#reread(folder);
      return;
    }
    const path = join(folder, name);
    const { paths } = this.#deps;
    // Said of folders that come and go; what is in one that came again may be new throughout.
    if (event === "rename" && paths.hasFolder(path)) {
      this.#leave(path);
      if (isFolder(path)) this.#reread(path);
    }
    if (paths.hasFile(path)) this.#window.add(path);
  }

  #reread(folder: string): void {
    try {
      this.#enter(folder, (file) => this.#window.add(file));
    } catch (error) {
      this.#deps.onFailure(error);
    }
  }

  /** A folder is gone, or may be; so may its files. */
  #leave(folder: string): void {
    for (const [path, watcher] of this.#watchers) {
      if (path !== folder && !path.startsWith(folder + sep)) continue;
      watcher.close();
      this.#watchers.delete(path);
    }
    for (const file of this.#prints.within(folder)) this.#window.add(file);
  }

  #compare(paths: readonly string[]): void {
    const changed = paths.filter((path) => this.#prints.update(path));
    if (changed.length > 0) this.#deps.onChange(changed);
  }
}

function readFolder(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

/** A link to a folder is none: what it leads to belongs to another project. */
const isFolder = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

/** Why a folder can't be watched, and what to do about it. @param code Of the system, or a reason in words. */
export function failToWatch(folder: string, code: string | undefined, cause?: unknown): ServingError {
  const reasons: Readonly<Record<string, string>> = {
    ENOSPC: "the system's limit of watched folders is reached (ENOSPC)",
    EMFILE: "too many files are open, or too many programs watch files (EMFILE)",
  };
  const fixes: Readonly<Record<string, string>> = {
    ENOSPC: "Raise it: sudo sysctl fs.inotify.max_user_watches=524288. Or end other programs that watch many files.",
    EMFILE: "Raise it: sudo sysctl fs.inotify.max_user_instances=1024, and ulimit -n 65536.",
  };
  return new ServingError({
    code: "resource_exhausted",
    id: "watch_failed",
    message: `${folder} can't be watched: ${reasons[code ?? ""] ?? code ?? "unknown reason"}`,
    fix: fixes[code ?? ""] ?? "Put a package.json beside the service file, so that only its own folder is watched.",
    cause,
  });
}

/** What comes within this long of one another is one change: editors and formatters write a file several times. */
const quietMs = 50;
/** Something that never comes to rest is passed on after this long all the same. */
const longestMs = 1_000;

/** Gathers the paths of events that belong together. */
export class ChangeWindow {
  readonly #clock: Clock;
  readonly #onClose: (paths: readonly string[]) => void;
  readonly #paths = new Set<string>();
  #openedAt = 0;
  #timer: Timer | undefined;

  /** @param onClose Takes each path once, in the order of their first events. */
  constructor(clock: Clock, onClose: (paths: readonly string[]) => void) {
    this.#clock = clock;
    this.#onClose = onClose;
  }

  add(path: string): void {
    const now = this.#clock.now();
    if (this.#paths.size === 0) this.#openedAt = now;
    this.#paths.add(path);
    this.#timer?.clear();
    this.#timer = this.#clock.setTimer(() => this.#flush(), Math.min(quietMs, this.#openedAt + longestMs - now));
  }

  /** Forgets what it has. */
  close(): void {
    this.#timer?.clear();
    this.#paths.clear();
  }

  #flush(): void {
    const paths = [...this.#paths];
    this.#paths.clear();
    this.#onClose(paths);
  }
}

/** A larger file is known by its size and time alone. */
const maxReadBytes = 4 * 1024 ** 2;

/** Remembers the content of files, so that a save that changes nothing counts for nothing. */
class FilePrints {
  readonly #prints = new Map<string, string>();

  /** Reads a file anew. @returns Whether it is another than when it was last read; a file that is gone is another. */
  update(path: string): boolean {
    const before = this.#prints.get(path);
    const print = takePrint(path);
    if (print === undefined) this.#prints.delete(path);
    else this.#prints.set(path, print);
    return print !== before;
  }

  /** Known files in `folder` itself and below it. */
  within(folder: string): string[] {
    return [...this.#prints.keys()].filter((path) => {
      for (let at = dirname(path); ; at = dirname(at)) {
        if (at === folder) return true;
        if (at === dirname(at)) return false;
      }
    });
  }
}

/** `undefined` for what is no file, or can't be read: an editor may be about to put it in its place. */
function takePrint(path: string): string | undefined {
  try {
    const { size, mtimeMs } = statSync(path);
    return size > maxReadBytes ? `${size} ${mtimeMs}` : createHash("sha1").update(readFileSync(path)).digest("hex");
  } catch {
    return undefined;
  }
}

const endings = new Set([".ts", ".mts", ".cts", ".tsx", ".js", ".mjs", ".cjs", ".jsx", ".json"]);

/** What other programs write, unless the service file itself lies in it. */
const outputFolders = new Set(["dist", "build", "coverage"]);

/** What a rule about watched paths is made of; every path is absolute. */
interface WatchedPathsParts {
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
