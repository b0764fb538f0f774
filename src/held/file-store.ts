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
// F1  All of an app have the same folders, which their user alone may enter, and each makes names that begin with its life.
// F2  A file changes hands by its name: whoever sends it makes one more, and whoever gets it makes that one its own. What was
//     on its way when either side ended has the name of its sender, and goes with that.
// F3  What nobody refers to any more is removed after a collection; one is made where files wait for that in large numbers.

/** Where an app keeps large values. */
interface HeldFolders {
  /** In memory; absent where the machine has no such place. */
  readonly memory: string | undefined;
  /** On a disk; absent where none can be written to. */
  readonly disk: string | undefined;
}

const newFlags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** What files in memory that came to this thread and were not read yet may take; beyond it the oldest are read. */
const maxHeldBytes = 128 * 1024 ** 2;

/** So much on the disk, and so many files, may wait for a collection; or as much again as the last one has left. */
const minCollectBytes = 256 * 1024 ** 2;
const minCollectFiles = 256;
/** Between two collections made for this; and so many times as long as the last one took, since nothing else runs meanwhile. */
const collectPauseMs = 100;
const collectPauseShare = 20;
/** The same where memory is wanted: what is not collected then has to be read. */
const memoryPauseShare = 4;
/** When what a collection has found dead is surely told. */
const toldMs = 50;

/** For how long nothing is begun on a disk that was full. */
const restMs = 5_000;

/** What of a file is wanted, and what for. */
type HeldUse = Pick<HeldFileDeps, "start" | "byteLength" | "use" | "isPassing">;

/** A file that came, as its sender names it. */
interface GivenFile {
  readonly place: HeldPlace;
  readonly name: string;
  readonly start: number;
  readonly byteLength: number;
  readonly use: "bytes" | "blob";
}

export class FileStore implements HeldOwner {
  readonly fullMemory: FullMemory | undefined;
  readonly #life: string;
  readonly #folders: () => HeldFolders;
  readonly #clock: Clock;
  readonly #dead = new FinalizationRegistry<HeldName>((name) => this.release(name));
  /** In memory and not read yet, oldest first. */
  readonly #unread = new Map<HeldName, WeakRef<HeldFile>>();
  /** Names this thread owns, but for those on their way. */
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
   * @param life       Unique to this thread or process.
   * @param folders    Asked when the first large value is there.
   * @param fullMemory Hears where there is no room in memory. Default: nobody does.
   */
  constructor(life: string, folders: () => HeldFolders, clock: Clock = systemClock, fullMemory?: FullMemory) {
    this.#life = life;
    this.#folders = folders;
    this.#clock = clock;
    this.fullMemory = fullMemory;
  }

  /** Whether there is a disk for large values, with room as far as is known. */
  get hasDisk(): boolean {
    return this.#clock.now() >= this.#nextSpoolAt && this.#folders().disk !== undefined;
  }

  /** Files in memory that this thread writes; absent where there are none. */
  get memory(): MemoryFiles | undefined {
    if (this.#folders().memory === undefined) return undefined;
    this.#memory ??= new MemoryFiles(this, this.#clock);
    return this.#memory;
  }

  /** A path that no file has yet. @throws {Error} where there is no folder. */
  newPath(place: HeldPlace): string {
    return join(this.#folderOf(place), createHeldName(this.#life));
  }

  /** Makes a new file that is written and read. A folder that was removed is made again. @throws {Error} of the system. */
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

  /** A file on the disk that is this thread's own, and lies at `path`. */
  own(path: string, parts: HeldUse): HeldFile {
    return this.#hold({ place: "disk", path, byteLength: parts.byteLength }, parts);
  }

  /** A piece of a file on the disk as one of its own; `undefined` where the file can have no other name, as on disks without links. */
  cut(file: HeldFile, parts: HeldUse): HeldFile | undefined {
    const path = this.newPath("disk");
    try {
      file.linkTo(path);
    } catch {
      return undefined;
    }
    return this.own(path, { ...parts, start: file.start + parts.start });
  }

  /** The disk takes no more: for some seconds nothing is begun there. */
  noteFull(): void {
    this.#nextSpoolAt = this.#clock.now() + restMs;
  }

  /**
   * Makes a file this thread's own that another has given. Nothing is followed, and nothing outside of the app's folders is touched.
   *
   * One that was taken away meanwhile is lost for its own reader, who then hears of it.
   *
   * @returns What is wrong with it, if it is none that could be given.
   */
  adopt({ place, name, start, byteLength, use }: GivenFile): HeldFile | string {
    if (!isHeldName(name)) return "its name is none";
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

  /** Another removes that name from now on. */
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

  /** Removes every name of this thread's. */
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
   * A sender is not kept waiting for its memory by one who keeps values and reads none. Nearly all are dead by then, of calls that
   * passed them on: a collection tells, and takes no longer than to read them. Only what is kept is read.
   */
  #settleOldest(newest: HeldFile): void {
    const now = this.#clock.now();
    if (now >= this.#nextMemoryCollectionAt) {
      // Before any of them is looked at: what a weak reference has given is kept to the end of the turn.
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
        // What can't be read is its own reader's trouble, and nobody else's: it is not tried again before that.
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

  /** Files weigh nothing on the heap, so the engine alone would leave them for long. */
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
  if (!stats.isFile()) return "it is no file";
  if (process.getuid !== undefined && stats.uid !== process.getuid()) return "it is another user's";
  return stats.size < least ? `it has ${stats.size} bytes, not ${least}` : undefined;
}

/** A life of a thread or process, as names of files have it: so many hexadecimal digits of it. */
const lifeDigits = 16;
const form = /^[0-9a-f]{40}$/;

/** A name for a file that nobody can guess and no other has; it begins with the thread or process that owns the file. */
export const createHeldName = (life: string): string => life.slice(0, lifeDigits) + randomBytes(12).toString("hex");

/** Whether a text is such a name, and no way out of the folder. */
export const isHeldName = (text: string): boolean => form.test(text);

/** Whether a thread or process owns the file of that name. @param life At least 16 hexadecimal digits. */
export const isHeldBy = (name: string, life: string): boolean =>
  isHeldName(name) && name.startsWith(life.slice(0, lifeDigits));
