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

/** Smallest tail in a slab: below this a file costs more than the socket. */
export const minSlabBytes = 64 * 1024;

/** Memory of all slabs of one channel; beyond it tails travel in their frames. */
const maxTotalBytes = 128 * 1024 ** 2;

/** Slabs that the other side has not opened yet; a burst needs no more to begin with. */
const maxUnopened = 16;

/** Pause in milliseconds after a lack of memory, descriptors or folder. */
const restMs = 5_000;

interface Slab {
  readonly number: number;
  readonly bytes: number;
  readonly file: number;
  readonly path: string;
  isFree: boolean;
  /** True when the other side has opened it, so that it has no name any more. */
  isShared: boolean;
}

/**
 * The sending half of a channel's shared memory. Large tails are written to files that exist only in memory, and the
 * other side reads them from there. Measured against a Unix socket, that halves the time of a tensor of 600 kB.
 *
 * A slab is written once the other side has opened it, and again each time the other side has read it. Until then, and
 * wherever either side can't, tails go in their frames.
 */
export class SlabWriter {
  readonly #folder: string;
  readonly #fullMemory: FullMemory | undefined;
  readonly #clock: Clock;
  readonly #slabs = new Map<number, Slab>();
  #lastNumber = 0;
  #unopened = 0;
  #totalBytes = 0;
  /** No slab is created before this time. */
  #nextSlabAt = Number.NEGATIVE_INFINITY;
  /** No slab is written before this time. */
  #nextWriteAt = Number.NEGATIVE_INFINITY;

  /**
   * @param folder In a file system in memory; only its owner may enter it.
   * @param fullMemory Hears of a lack of room in it. Default: silence.
   */
  constructor(folder: string, clock: Clock = systemClock, fullMemory?: FullMemory) {
    this.#folder = folder;
    this.#fullMemory = fullMemory;
    this.#clock = clock;
  }

  /**
   * Writes a large tail into a slab.
   *
   * @param announce Sends the frame that the other side needs before the frame of this tail.
   * @returns The number of the slab, or 0 where the tail goes in the frame.
   */
  write(tail: Uint8Array | LongText, announce: (frame: Frame) => void): number {
    if (tail.byteLength < minSlabBytes) return 0;
    const slab = this.#take(tail.byteLength, announce);
    return slab !== undefined && this.#write(slab, tail) ? slab.number : 0;
  }

  /**
   * Notes that the other side has opened or read a slab; a number below 0: it can't open the slab.
   *
   * @throws {ServingError} `malformed_frame` for an unknown number.
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

  /** Creates a slab. Sizes are powers of two, so that tensors of similar size share their slabs. */
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
      // The memory is full: the taken part is given back, and the tail goes in its frame.
      this.#fullMemory?.note(error, this.#folder, tail.byteLength);
      this.#nextWriteAt = this.#clock.now() + restMs;
      ftruncateSync(slab.file, 0);
      slab.isFree = true;
      return false;
    }
  }

  /** Drops a slab that the other side can't open. */
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
    // The other side has removed the name already.
  }
}

/** Opening does not wait for a file that the writer has not made. */
const openFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** The receiving half of a channel's shared memory. */
export class SlabReader {
  readonly #folder: string | undefined;
  readonly #files = new Map<number, number>();
  /** Slabs read and not released yet. */
  readonly #read = new Set<number>();
  /** Messages for the writer: a slab that it may write, or below 0 one that can't be opened. */
  #answers: number[] = [];

  /** @param folder The only folder whose files are opened; absent: none. */
  constructor(folder: string | undefined) {
    this.#folder = folder;
  }

  /**
   * Opens a slab of the other side and removes its name: a crash of both then leaves nothing behind. Where that fails,
   * for lack of descriptors for example, the other side hears of it and sends its tails without.
   */
  add({ id, head: name }: Frame): void {
    if (this.#folder === undefined || !isSlabName(name)) throw malformed("it announces a slab that is none");
    if (this.#files.has(id)) throw malformed(`it announces slab ${id} twice`);
    const file = openSlab(`${this.#folder}/${name}`);
    if (file !== undefined) this.#files.set(id, file);
    this.#answers.push(file === undefined ? -id : id);
  }

  /** Copies a tail out of its slab, which may then be written again. Allocates no more than the size of the slab. */
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

  /** Returns the frame with the slabs opened or read since the last one; `undefined` for none. */
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

/** @returns The file; `undefined` where no readable file of that name exists. */
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

/** Creates a name for a slab that can't be guessed and is unique. It begins with the process that writes the slab. */
const createSlabName = (): string => prefixOf(process.pid) + randomBytes(8).toString("hex");

/** True when a text is such a name, so that it can't leave the folder. */
const isSlabName = (text: string): boolean => form.test(text);

/** True when the process made the slab of that name. */
export const isSlabOf = (name: string, pid: number): boolean => isSlabName(name) && name.startsWith(prefixOf(pid));
