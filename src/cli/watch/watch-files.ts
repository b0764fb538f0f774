import { createHash } from "node:crypto";
import { type FSWatcher, lstatSync, readdirSync, readFileSync, statSync, watch } from "node:fs";
import { basename, dirname, extname, isAbsolute, join, relative, sep } from "node:path";
import type { Clock, Timer } from "../../base/clock.js";
import { ServingError } from "../../failure/serving-error.js";

// Watches the files of a project.
//
// WF1  A folder is watched before it is read, so that no change between the two is missed.
// WF2  Each folder has a watch of its own, never a "recursive" one: on Linux, Node implements that with a watch for
//      each file, those in node_modules included.

/** Maximum number of watched folders; a larger tree is not a project. */
const maxFolders = 10_000;

/** Dependencies of `watchFiles`. */
interface WatchFilesDeps {
  readonly paths: WatchedPaths;
  readonly clock: Clock;
  /** Takes the files whose content changed; at least one. */
  readonly onChange: (files: readonly string[]) => void;
  /** Takes the reason why a folder is no longer watched. All other folders still are. */
  readonly onFailure: (error: unknown) => void;
}

/** Running watch; `close` ends it. */
interface FileWatch {
  close(): void;
}

/**
 * Starts watching. Later changes are compared with the present content of the files.
 *
 * @throws {ServingError} `watch_failed` when the system refuses a watch.
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

  /** Watches a folder and all relevant folders below it (WF1, WF2). @param see Takes each relevant file. */
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
      // The folder may be deleted already.
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
    // Event "rename": a folder was created, deleted or both, so all its contents may be new.
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

  /** Stops watching a folder that may be gone, and checks its files. */
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

/** False for a link to a folder, because its target belongs to another project. */
const isFolder = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

/** Makes the failure of a folder that cannot be watched. @param code Error code of the system, or a reason in words. */
export function failToWatch(folder: string, code: string | undefined, cause?: unknown): ServingError {
  const reasons: Readonly<Record<string, string>> = {
    ENOSPC: "the system's limit of watched folders is reached (ENOSPC)",
    EMFILE: "too many files are open, or too many programs watch files (EMFILE)",
  };
  const fixes: Readonly<Record<string, string>> = {
    ENOSPC:
      "Raise the limit: sudo sysctl fs.inotify.max_user_watches=524288. Or end other programs that watch many files.",
    EMFILE: "Raise the limits: sudo sysctl fs.inotify.max_user_instances=1024, and ulimit -n 65536.",
  };
  return new ServingError({
    code: "resource_exhausted",
    id: "watch_failed",
    message: `${folder} can't be watched: ${reasons[code ?? ""] ?? code ?? "unknown reason"}`,
    fix: fixes[code ?? ""] ?? "Put a package.json beside the service file, so that only its own folder is watched.",
    cause,
  });
}

/** Events closer together than this are one change: editors and formatters write a file several times. */
const quietMs = 50;
/** Longest time that events are gathered, even when they do not stop. */
const longestMs = 1_000;

/** Gathers the paths of events that follow each other closely. */
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

  /** Drops the gathered paths. */
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

/** Size up to which files are compared by content; larger files are compared by size and time. */
const maxReadBytes = 4 * 1024 ** 2;

/** Remembers the content of files, so that a save without a change is ignored. */
class FilePrints {
  readonly #prints = new Map<string, string>();

  /** Reads a file again. @returns True when it differs from the last reading; a deleted file differs. */
  update(path: string): boolean {
    const before = this.#prints.get(path);
    const print = takePrint(path);
    if (print === undefined) this.#prints.delete(path);
    else this.#prints.set(path, print);
    return print !== before;
  }

  /** Returns the known files in `folder` and below it. */
  within(folder: string): string[] {
    return [...this.#prints.keys()].filter((path) => {
      for (let at = dirname(path); ; at = dirname(at)) {
        if (at === folder) return true;
        if (at === dirname(at)) return false;
      }
    });
  }
}

/** Returns a print of the content; `undefined` for a file that cannot be read: an editor may be replacing it. */
function takePrint(path: string): string | undefined {
  try {
    const { size, mtimeMs } = statSync(path);
    return size > maxReadBytes ? `${size} ${mtimeMs}` : createHash("sha1").update(readFileSync(path)).digest("hex");
  } catch {
    return undefined;
  }
}

const endings = new Set([".ts", ".mts", ".cts", ".tsx", ".js", ".mjs", ".cjs", ".jsx", ".json"]);

/** Names of output folders; such a folder is ignored unless the service file is inside. */
const outputFolders = new Set(["dist", "build", "coverage"]);

/** Input of `WatchedPaths`. All paths are absolute. */
interface WatchedPathsParts {
  /** Folder of the project. */
  readonly folder: string;
  readonly serviceFile: string;
  /** App file given on the command line; it is watched wherever it is. */
  readonly appFile?: string | undefined;
  /** The same for an environment file. */
  readonly envFile?: string | undefined;
}

/** Decides which folders are watched, and which files start a new version when they change. */
export class WatchedPaths {
  readonly #folder: string;
  readonly #serviceFile: string;
  /** Files given on the command line. */
  readonly #given: readonly string[];

  constructor({ folder, serviceFile, appFile, envFile }: WatchedPathsParts) {
    this.#folder = folder;
    this.#serviceFile = serviceFile;
    this.#given = [appFile, envFile].filter((file) => file !== undefined);
  }

  /** Folders to start at. */
  get folders(): string[] {
    const outside = this.#given.map((file) => dirname(file)).filter((path) => !this.hasFolder(path));
    return [...new Set([this.#folder, ...outside])];
  }

  /** True when source files in this folder are watched. */
  hasFolder(path: string): boolean {
    if (path === this.#folder) return true;
    if (!isWithin(this.#folder, path)) return false;
    if (!this.hasFolder(dirname(path))) return false;
    if (isWithin(path, this.#serviceFile)) return true;
    const name = basename(path);
    return name !== "node_modules" && !name.startsWith(".") && !outputFolders.has(name);
  }

  /** True when a change of this file starts a new version. */
  hasFile(path: string): boolean {
    if (path === this.#serviceFile || this.#given.includes(path)) return true;
    return isSource(basename(path)) && this.hasFolder(dirname(path));
  }
}

/** True for names of source files. Other names with a leading dot belong to editors: `.#model.ts`, `._model.ts`. */
function isSource(name: string): boolean {
  if (name === ".env" || name.startsWith(".env.") || name.endsWith(".env")) return true;
  return !name.startsWith(".") && endings.has(extname(name));
}

function isWithin(folder: string, path: string): boolean {
  const below = relative(folder, path);
  return below !== "" && below !== ".." && !below.startsWith(`..${sep}`) && !isAbsolute(below);
}
