import { type FSWatcher, lstatSync, readdirSync, watch } from "node:fs";
import { join, sep } from "node:path";
import type { Clock } from "../../base/clock.js";
import { ServingError } from "../../failure/serving-error.js";
import { ChangeWindow } from "./change-window.js";
import { FilePrints } from "./file-prints.js";
import type { WatchedPaths } from "./watched-paths.js";

// Watches the files of a project.
//
// W1  A folder is watched before it is read, so that no change falls in between.
// W2  A folder is watched by itself, never "recursively": Node's own way of doing that on Linux watches each single file,
//     node_modules and all.

/** More folders than this are no project. */
const maxFolders = 10_000;

/** What a watch of files is made of. */
export interface WatchFilesParts {
  readonly paths: WatchedPaths;
  readonly clock: Clock;
  /** Files whose content is another now; at least one. */
  readonly onChange: (files: readonly string[]) => void;
  /** What can't be watched from now on, though the rest still is. */
  readonly onFailure: (error: unknown) => void;
}

/** Files that are watched until they are no more. */
export interface FileWatch {
  close(): void;
}

/**
 * Begins to watch; what lies there now is what later changes are compared with.
 *
 * @throws {ServingError} `watch_failed` when the system grants no more watches.
 */
export function watchFiles(parts: WatchFilesParts): FileWatch {
  const tree = new FolderTree(parts);
  for (const folder of parts.paths.folders) tree.begin(folder);
  return tree;
}

class FolderTree implements FileWatch {
  readonly #parts: WatchFilesParts;
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #prints = new FilePrints();
  readonly #window: ChangeWindow;

  constructor(parts: WatchFilesParts) {
    this.#parts = parts;
    this.#window = new ChangeWindow(parts.clock, (paths) => this.#compare(paths));
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
    const { paths } = this.#parts;
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
    const { paths } = this.#parts;
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
      this.#parts.onFailure(error);
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
    if (changed.length > 0) this.#parts.onChange(changed);
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
