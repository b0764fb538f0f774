import { closeSync, constants, openSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import { type Frame, frameKinds, malformed, noTails } from "./frame.js";
import { createSlabName } from "./slab-name.js";

/** Smaller tails travel in their frame: below this a file costs more than the socket. */
export const minSlabBytes = 64 * 1024;

/** What the slabs of one channel may take of memory together; beyond it tails travel in their frames. */
const maxTotalBytes = 128 * 1024 ** 2;

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
 * A slab is written again only when the other side has said that it has read it.
 */
export class SlabWriter {
  readonly #folder: string;
  readonly #slabs: Slab[] = [];
  #totalBytes = 0;
  #isBroken = false;

  /** @param folder In a file system that is in memory; only its owner may enter it. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Writes large tails into slabs.
   *
   * @param announce Sends what the other side must hear before the frame of these tails.
   * @returns For each tail the number of its slab, or 0 where it goes in the frame; `undefined` when all do.
   */
  place(tails: readonly Uint8Array[], announce: (frame: Frame) => void): number[] | undefined {
    let numbers: number[] | undefined;
    for (let i = 0; i < tails.length; i++) {
      const tail = tails[i] as Uint8Array;
      if (tail.byteLength < minSlabBytes) continue;
      const slab = this.#take(tail.byteLength, announce);
      if (slab === undefined || !this.#write(slab, tail)) continue;
      numbers ??= new Array<number>(tails.length).fill(0);
      numbers[i] = slab.number;
    }
    return numbers;
  }

  /** The other side has read these slabs. @throws {ServingError} `malformed_frame` for one that it has none of. */
  release({ head }: Frame): void {
    for (const text of head.split(" ")) {
      const slab = this.#slabs[Number(text) - 1];
      if (slab === undefined || slab.isFree)
        throw malformed(`it releases slab ${text.slice(0, 40)}, which is not in use`);
      slab.isFree = true;
      slab.isShared = true;
    }
  }

  close(): void {
    for (const { file, path, isShared } of this.#slabs) {
      closeSync(file);
      if (!isShared) removeFile(path);
    }
    this.#slabs.length = 0;
  }

  #take(byteLength: number, announce: (frame: Frame) => void): Slab | undefined {
    let best: Slab | undefined;
    for (const slab of this.#slabs) {
      if (slab.isFree && slab.bytes >= byteLength && (best === undefined || slab.bytes < best.bytes)) best = slab;
    }
    best ??= this.#create(byteLength, announce);
    if (best !== undefined) best.isFree = false;
    return best;
  }

  /** In powers of two, so that tensors of about one size share their slabs. */
  #create(byteLength: number, announce: (frame: Frame) => void): Slab | undefined {
    const bytes = 2 ** Math.ceil(Math.log2(byteLength));
    if (this.#isBroken || this.#totalBytes + bytes > maxTotalBytes) return undefined;
    const name = createSlabName();
    const path = join(this.#folder, name);
    try {
      const file = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
      const slab = { number: this.#slabs.length + 1, bytes, file, path, isFree: true, isShared: false };
      this.#slabs.push(slab);
      this.#totalBytes += bytes;
      announce({ kind: frameKinds.slab, flags: 0, id: slab.number, head: name, tails: noTails });
      return slab;
    } catch {
      // No room or no such folder: the socket carries everything.
      this.#isBroken = true;
      return undefined;
    }
  }

  #write(slab: Slab, tail: Uint8Array): boolean {
    try {
      for (let at = 0; at < tail.byteLength; ) at += writeSync(slab.file, tail, at, tail.byteLength - at, at);
      return true;
    } catch {
      // The memory is full. The slab stays out of use; the tail goes in its frame.
      this.#isBroken = true;
      return false;
    }
  }
}

function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // The other side was quicker.
  }
}
