import { randomBytes } from "node:crypto";
import { closeSync, constants, fstatSync, ftruncateSync, openSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { type Clock, systemClock } from "../base/clock.js";
import { newBytes } from "../base/new-bytes.js";
import { keepOwnFolder } from "../base/own-folder.js";
import { readBytes } from "../held/held-bytes.js";
import { type LongText, writeContent } from "../held/long-text.js";
import type { FullMemory } from "../held/memory-files.js";
import { type Frame, frameKinds, malformed, noTails } from "./frame.js";

/** Smaller tails travel in their frame: below this a file costs more than the socket. */
export const minSlabBytes = 64 * 1024;

/** What the slabs of one channel may take of memory together; beyond it tails travel in their frames. */
const maxTotalBytes = 128 * 1024 ** 2;

/** Slabs that the other side has not opened yet; a burst needs no more to begin with. */
const maxUnopened = 16;

/** For how long nothing is tried again that found no memory, no descriptor or no folder. */
const restMs = 5_000;

interface Slab {
  readonly number: number;
  readonly bytes: number;
  readonly file: number;
  readonly path: string;
  isFree: boolean;
  /** The other side has opened it, so it has no name any more. */
  isShared: boolean;
}

/**
 * The sending half of a channel's shared memory: large tails are written to files that exist in memory alone, and read
 * from there by the other side. Measured against a Unix socket, that halves the time of a tensor of 600 kB.
 *
 * A slab is written when the other side has said that it has opened it, and again when it has said that it has read it. Until
 * then, and wherever either side can't, tails go in their frames.
 */
export class SlabWriter {
  readonly #folder: string;
  readonly #fullMemory: FullMemory | undefined;
  readonly #clock: Clock;
  readonly #slabs = new Map<number, Slab>();
  #lastNumber = 0;
  #unopened = 0;
  #totalBytes = 0;
  /** No slab is made before that. */
  #nextSlabAt = Number.NEGATIVE_INFINITY;
  /** Nothing is written before that. */
  #nextWriteAt = Number.NEGATIVE_INFINITY;

  /**
   * @param folder     In a file system that is in memory; only its owner may enter it.
   * @param fullMemory Hears where there is no room in it. Default: nobody does.
   */
  constructor(folder: string, clock: Clock = systemClock, fullMemory?: FullMemory) {
    this.#folder = folder;
    this.#fullMemory = fullMemory;
    this.#clock = clock;
  }

  /**
   * Writes a large tail into a slab.
   *
   * @param announce Sends what the other side must hear before the frame of this tail.
   * @returns The number of the slab, or 0 where the tail goes in the frame.
   */
  write(tail: Uint8Array | LongText, announce: (frame: Frame) => void): number {
    if (tail.byteLength < minSlabBytes) return 0;
    const slab = this.#take(tail.byteLength, announce);
    return slab !== undefined && this.#write(slab, tail) ? slab.number : 0;
  }

  /**
   * The other side has opened a slab, or read it; below 0, can't open it.
   *
   * @throws {ServingError} `malformed_frame` for one that it has none of.
   */
  release(number: number): void {
    const slab = this.#slabs.get(Math.abs(number));
    if (slab === undefined || slab.isFree || (number < 0 && slab.isShared))
      throw malformed(`it releases slab ${number}, which is not in use`);
    if (!slab.isShared) this.#unopened--;
    if (number < 0) {
      this.#drop(slab);
      return;
    }
    slab.isFree = true;
    slab.isShared = true;
  }

  close(): void {
    for (const slab of this.#slabs.values()) closeSlab(slab);
    this.#slabs.clear();
  }

  #take(byteLength: number, announce: (frame: Frame) => void): Slab | undefined {
    let best: Slab | undefined;
    for (const slab of this.#slabs.values()) {
      if (slab.isFree && slab.bytes >= byteLength && (best === undefined || slab.bytes < best.bytes)) best = slab;
    }
    if (best === undefined) this.#create(byteLength, announce);
    return best;
  }

  /** In powers of two, so that tensors of about one size share their slabs. */
  #create(byteLength: number, announce: (frame: Frame) => void): void {
    const bytes = 2 ** Math.ceil(Math.log2(byteLength));
    if (this.#totalBytes + bytes > maxTotalBytes || this.#unopened >= maxUnopened) return;
    if (this.#clock.now() < this.#nextSlabAt) return;
    const name = createSlabName();
    const path = join(this.#folder, name);
    let file: number;
    try {
      file = this.#open(path);
    } catch {
      // No room, no descriptor or no folder: the socket carries everything for now.
      this.#rest();
      return;
    }
    const number = ++this.#lastNumber;
    this.#slabs.set(number, { number, bytes, file, path, isFree: false, isShared: false });
    this.#unopened++;
    this.#totalBytes += bytes;
    announce({ kind: frameKinds.slab, flags: 0, id: number, head: name, tails: noTails });
  }

  #open(path: string): number {
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    try {
      return openSync(path, flags, 0o600);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      keepOwnFolder(this.#folder);
      return openSync(path, flags, 0o600);
    }
  }

  #write(slab: Slab, tail: Uint8Array | LongText): boolean {
    if (this.#nextWriteAt > 0 && this.#clock.now() < this.#nextWriteAt) return false;
    slab.isFree = false;
    try {
      writeContent(slab.file, tail);
      return true;
    } catch (error) {
      // The memory is full: what was taken of it is given back, and the tail goes in its frame.
      this.#fullMemory?.note(error, this.#folder, tail.byteLength);
      this.#nextWriteAt = this.#clock.now() + restMs;
      ftruncateSync(slab.file, 0);
      slab.isFree = true;
      return false;
    }
  }

  /** The other side lacks what opening it takes. */
  #drop(slab: Slab): void {
    closeSlab(slab);
    this.#slabs.delete(slab.number);
    this.#totalBytes -= slab.bytes;
    this.#rest();
  }

  #rest(): void {
    this.#nextSlabAt = this.#clock.now() + restMs;
  }
}

function closeSlab({ file, path, isShared }: Slab): void {
  closeSync(file);
  if (isShared) return;
  try {
    unlinkSync(path);
  } catch {
    // The other side was quicker.
  }
}

/** What is not a file of the writer's is not waited for. */
const openFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** The receiving half of a channel's shared memory. */
export class SlabReader {
  readonly #folder: string | undefined;
  readonly #files = new Map<number, number>();
  /** Read and not released yet. */
  readonly #read = new Set<number>();
  /** What the writer is to hear: a slab it may write, or below 0 one that can't be opened. */
  #answers: number[] = [];

  /** @param folder The only one whose files are opened; absent: none. */
  constructor(folder: string | undefined) {
    this.#folder = folder;
  }

  /**
   * Opens a slab the other side has made, and takes its name away: a crash of both then leaves nothing behind. Where that can't
   * be done, for lack of descriptors say, the other side hears it and sends its tails without.
   */
  add({ id, head: name }: Frame): void {
    if (this.#folder === undefined || !isSlabName(name)) throw malformed("it announces a slab that is none");
    if (this.#files.has(id)) throw malformed(`it announces slab ${id} twice`);
    const file = openSlab(`${this.#folder}/${name}`);
    if (file !== undefined) this.#files.set(id, file);
    this.#answers.push(file === undefined ? -id : id);
  }

  /** Copies a tail out of its slab, which may then be written again. Takes no memory for more than the slab holds. */
  read(slab: number, byteLength: number): Uint8Array {
    const file = this.#files.get(slab);
    if (file === undefined) throw malformed(`slab ${slab} was never announced`);
    if (this.#read.has(slab)) throw malformed(`slab ${slab} is used again before it was released`);
    const { size } = fstatSync(file);
    if (size < byteLength) throw malformed(`slab ${slab} holds ${size} bytes, not ${byteLength}`);
    const tail = newBytes(byteLength);
    readBytes(file, tail, byteLength, 0);
    this.#read.add(slab);
    this.#answers.push(slab);
    return tail;
  }

  /** The frame that says which slabs were opened or read since the last one; `undefined` for none. */
  takeReleases(): Frame | undefined {
    if (this.#answers.length === 0) return undefined;
    const head = this.#answers.join(" ");
    this.#answers = [];
    this.#read.clear();
    return { kind: frameKinds.release, flags: 0, id: 0, head, tails: noTails };
  }

  close(): void {
    for (const file of this.#files.values()) closeSync(file);
    this.#files.clear();
  }
}

/** @returns The file; `undefined` where there is none that can be opened and read. */
function openSlab(path: string): number | undefined {
  let file: number | undefined;
  try {
    file = openSync(path, openFlags);
    if (!fstatSync(file).isFile()) throw new Error("it is no file");
    unlinkSync(path);
    return file;
  } catch {
    if (file !== undefined) closeSync(file);
    return undefined;
  }
}

const form = /^[0-9a-f]{24}$/;

const prefixOf = (pid: number): string => pid.toString(16).padStart(8, "0");

/** A name for a slab that nobody can guess and no other has; it begins with the process that writes the slab. */
const createSlabName = (): string => prefixOf(process.pid) + randomBytes(8).toString("hex");

/** Whether a text is such a name, and no way out of the folder. */
const isSlabName = (text: string): boolean => form.test(text);

/** Whether a process has made the slab of that name. */
export const isSlabOf = (name: string, pid: number): boolean => isSlabName(name) && name.startsWith(prefixOf(pid));
