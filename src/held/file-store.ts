import { randomBytes } from "node:crypto";
import { constants, lstatSync, openSync, renameSync } from "node:fs";
import { join } from "node:path";
import { type Clock, systemClock } from "../base/clock.js";
import { collectAll } from "../base/new-bytes.js";
import { keepOwnFolder } from "../base/own-folder.js";
import { HeldFile, type HeldFileDeps, type HeldName, type HeldOwner, type HeldPlace, removeName } from "./held-file.js";
import { type FullMemory, MemoryFiles } from "./memory-files.js";

// Files with large values, of one thread or process of an app.
//
// VF1  All threads and processes of an app share the same folders, which only their user may enter. Each makes file
//      names that begin with its own life id.
// VF2  A file changes hands by its name. The sender makes one more name; the receiver renames it to a name of its own.
//      A file in transit when either side ends still has the sender's name, and is removed with the sender's files.
// VF3  A file that no object refers to is removed after a garbage collection. The store runs one when many files wait
//      for it.

/** Folders in which an app keeps large values. */
interface HeldFolders {
  /** Folder in memory; absent on a machine without one. */
  readonly memory: string | undefined;
  /** Folder on a disk; absent when no disk can be written to. */
  readonly disk: string | undefined;
}

const newFlags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** Most bytes of received files in memory that are not read yet. Beyond it the oldest are read. */
const maxHeldBytes = 128 * 1024 ** 2;

/** Bytes and files on the disk that may wait for a collection; at least twice what the last collection left. */
const minCollectBytes = 256 * 1024 ** 2;
const minCollectFiles = 256;
/**
 * Least pause between two such collections; also this many times the last one, since a collection blocks the thread.
 */
const collectPauseMs = 100;
const collectPauseShare = 20;
/** The same factor when memory is needed: files that are not collected then have to be read. */
const memoryPauseShare = 4;
/** Time within which the engine reports the objects that a collection found dead. */
const toldMs = 50;

/** Pause before a full disk is tried again. */
const restMs = 5_000;

/** Part of a file that is needed, and its use. */
type HeldUse = Pick<HeldFileDeps, "start" | "byteLength" | "use" | "isPassing">;

/** A received file, as its sender names it. */
interface GivenFile {
  readonly place: HeldPlace;
  readonly name: string;
  readonly start: number;
  readonly byteLength: number;
  readonly use: "bytes" | "blob";
}

/** Keeps the files with large values of one thread or process, and removes those that are no longer used. */
export class FileStore implements HeldOwner {
  readonly fullMemory: FullMemory | undefined;
  readonly #life: string;
  readonly #folders: () => HeldFolders;
  readonly #clock: Clock;
  readonly #dead = new FinalizationRegistry<HeldName>((name) => this.release(name));
  /** Files in memory that are not read yet, oldest first. */
  readonly #unread = new Map<HeldName, WeakRef<HeldFile>>();
  /** Names that this thread owns, without those in transit. */
  readonly #names = new Set<HeldName>();
  #unreadBytes = 0;
  #diskBytes = 0;
  #diskFiles = 0;
  #nextSpoolAt = Number.NEGATIVE_INFINITY;
  #collectBytes = minCollectBytes;
  #collectFiles = minCollectFiles;
  #nextCollectionAt = Number.NEGATIVE_INFINITY;
  #nextMemoryCollectionAt = Number.NEGATIVE_INFINITY;
  #memory: MemoryFiles | undefined;

  /**
   * @param life       Id that is unique to this thread or process.
   * @param folders    Called when the first large value arrives.
   * @param fullMemory Receives failures to write because memory is full. Default: they are not reported.
   */
  constructor(life: string, folders: () => HeldFolders, clock: Clock = systemClock, fullMemory?: FullMemory) {
    this.#life = life;
    this.#folders = folders;
    this.#clock = clock;
    this.fullMemory = fullMemory;
  }

  /** True when there is a disk for large values that is not known to be full. */
  get hasDisk(): boolean {
    return this.#clock.now() >= this.#nextSpoolAt && this.#folders().disk !== undefined;
  }

  /** Files in memory that this thread writes; absent without a folder in memory. */
  get memory(): MemoryFiles | undefined {
    if (this.#folders().memory === undefined) return undefined;
    this.#memory ??= new MemoryFiles(this, this.#clock);
    return this.#memory;
  }

  /** Returns a path that no file has yet. @throws {Error} when there is no folder. */
  newPath(place: HeldPlace): string {
    return join(this.#folderOf(place), createHeldName(this.#life));
  }

  /** Creates a file to write and read. Creates the folder again if it was removed. @throws {Error} of the system. */
  create(place: HeldPlace): { readonly path: string; readonly file: number } {
    const path = this.newPath(place);
    try {
      return { path, file: openSync(path, newFlags, 0o600) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      keepOwnFolder(this.#folderOf(place));
      return { path, file: openSync(path, newFlags, 0o600) };
    }
  }

  /** Takes ownership of the file on the disk at `path`. */
  own(path: string, parts: HeldUse): HeldFile {
    return this.#hold({ place: "disk", path, byteLength: parts.byteLength }, parts);
  }

  /** Makes a part of a file on the disk a file of its own; `undefined` on a disk without hard links. */
  cut(file: HeldFile, parts: HeldUse): HeldFile | undefined {
    const path = this.newPath("disk");
    try {
      file.linkTo(path);
    } catch {
      return undefined;
    }
    return this.own(path, { ...parts, start: file.start + parts.start });
  }

  /** Notes that the disk is full: no file is created there for some seconds. */
  noteFull(): void {
    this.#nextSpoolAt = this.#clock.now() + restMs;
  }

  /**
   * Takes ownership of a file that another thread or process has sent. Follows no link and touches nothing outside the
   * app's folders.
   *
   * A file that was removed in between is returned as lost: reading it fails.
   *
   * @returns The problem, in words, when the name is not a file that could have been sent.
   */
  adopt({ place, name, start, byteLength, use }: GivenFile): HeldFile | string {
    if (!isHeldName(name)) return "its name is not valid";
    const folder = this.#folders()[place];
    if (folder === undefined) return noFolder(place);
    const path = join(folder, createHeldName(this.#life));
    const held: HeldName = { place, path, byteLength };
    try {
      renameSync(join(folder, name), path);
      const problem = fileProblem(path, start + byteLength);
      if (problem === undefined) return this.#hold(held, { start, byteLength, use });
      removeName(held);
      return problem;
    } catch (error) {
      const lost = new HeldFile({ name: held, owner: this, start, byteLength, use });
      lost.lose(error);
      return lost;
    }
  }

  /** Removes a name that this thread owns, and with the last name the file. */
  release(name: HeldName): void {
    if (!this.#names.delete(name)) return;
    if (name.place === "memory") {
      this.#forgetUnread(name);
    } else {
      this.#diskBytes -= name.byteLength;
      this.#diskFiles--;
    }
    removeName(name);
  }

  /** Gives up the name of a file: from now on its receiver removes it. */
  handOff(file: HeldFile): HeldName | undefined {
    const name = file.forget();
    if (name === undefined) return undefined;
    this.#names.delete(name);
    if (name.place === "disk") {
      this.#diskBytes -= name.byteLength;
      this.#diskFiles--;
    } else {
      this.#forgetUnread(name);
    }
    return name;
  }

  /** Removes every name that this thread owns. */
  close(): void {
    this.#memory?.close();
    for (const name of [...this.#names]) this.release(name);
  }

  #folderOf(place: HeldPlace): string {
    const folder = this.#folders()[place];
    if (folder === undefined) throw new Error(noFolder(place));
    return folder;
  }

  #hold(name: HeldName, parts: HeldUse): HeldFile {
    const file = new HeldFile({ name, owner: this, ...parts });
    this.#names.add(name);
    this.#dead.register(file, name);
    if (name.place === "memory") {
      this.#unread.set(name, new WeakRef(file));
      this.#unreadBytes += name.byteLength;
      if (this.#unreadBytes > maxHeldBytes) this.#settleOldest(file);
    } else {
      this.#diskBytes += name.byteLength;
      this.#diskFiles++;
      if (this.#diskBytes > this.#collectBytes || this.#diskFiles > this.#collectFiles) this.#collect();
    }
    return file;
  }

  /**
   * Frees shared memory that unread values take, so that a receiver which keeps values without reading them does not
   * block its senders. Most of them are dead by then, left by calls that passed them on: a collection finds those, and
   * takes no longer than reading them. Only the values that are still used are read.
   */
  #settleOldest(newest: HeldFile): void {
    const now = this.#clock.now();
    if (now >= this.#nextMemoryCollectionAt) {
      // Before any `deref()`: the engine keeps what a weak reference returned until the end of the turn.
      collectAll();
      this.#nextMemoryCollectionAt = now + (this.#clock.now() - now) * memoryPauseShare;
    }
    this.#releaseDead();
    if (this.#unreadBytes <= maxHeldBytes) return;
    for (const [name, ref] of this.#unread) {
      const file = ref.deref();
      if (this.#unreadBytes <= maxHeldBytes / 2 || file === newest) return;
      try {
        file?.settle();
      } catch {
        // The failure belongs to the reader of this file. It is not read again before that reader asks.
        this.#forgetUnread(name);
      }
    }
  }

  #forgetUnread(name: HeldName): void {
    if (this.#unread.delete(name)) this.#unreadBytes -= name.byteLength;
  }

  #releaseDead(): void {
    for (const [name, ref] of this.#unread) if (ref.deref() === undefined) this.release(name);
  }

  /** Collects garbage: files weigh nothing on the heap, so the engine alone would collect their objects late. */
  #collect(): void {
    const now = this.#clock.now();
    if (now < this.#nextCollectionAt) return;
    collectAll();
    const tookMs = this.#clock.now() - now;
    this.#nextCollectionAt = now + Math.max(collectPauseMs, tookMs * collectPauseShare);
    this.#clock.setTimer(() => {
      this.#collectBytes = Math.max(minCollectBytes, this.#diskBytes * 2);
      this.#collectFiles = Math.max(minCollectFiles, this.#diskFiles * 2);
    }, toldMs);
  }
}

const noFolder = (place: HeldPlace): string =>
  `there is no folder for large values ${place === "disk" ? "on a disk" : "in memory"}`;

function fileProblem(path: string, least: number): string | undefined {
  const stats = lstatSync(path);
  if (!stats.isFile()) return "it is not a regular file";
  if (process.getuid !== undefined && stats.uid !== process.getuid()) return "it belongs to another user";
  return stats.size < least ? `it has ${stats.size} bytes, not ${least}` : undefined;
}

/** Hexadecimal digits of a life id with which file names begin. */
const lifeDigits = 16;
const form = /^[0-9a-f]{40}$/;

/**
 * Makes a unique file name that cannot be guessed; it begins with the life id of the thread or process that owns the
 * file.
 */
export const createHeldName = (life: string): string => life.slice(0, lifeDigits) + randomBytes(12).toString("hex");

/** True for such a name. It has no path separators, so it cannot lead out of the folder. */
export const isHeldName = (text: string): boolean => form.test(text);

/** True when the thread or process owns the file of that name. @param life At least 16 hexadecimal digits. */
export const isHeldBy = (name: string, life: string): boolean =>
  isHeldName(name) && name.startsWith(life.slice(0, lifeDigits));
