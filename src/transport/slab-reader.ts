import { closeSync, fstatSync, openSync, readSync, unlinkSync } from "node:fs";
import { newBytes } from "../base/new-bytes.js";
import { type Frame, frameKinds, malformed, noTails } from "./frame.js";
import { isSlabName } from "./slab-name.js";

/** The receiving half of a channel's shared memory. */
export class SlabReader {
  readonly #folder: string | undefined;
  readonly #files = new Map<number, number>();
  #read: number[] = [];

  /** @param folder The only one whose files are opened; absent: none. */
  constructor(folder: string | undefined) {
    this.#folder = folder;
  }

  /** Opens a slab the other side has made, and takes its name away: a crash of both then leaves nothing behind. */
  add({ id, head: path }: Frame): void {
    if (this.#folder === undefined || !isSlabName(path)) throw malformed("it announces a slab that is none");
    if (this.#files.has(id)) throw malformed(`it announces slab ${id} twice`);
    const full = `${this.#folder}/${path}`;
    try {
      this.#files.set(id, openSync(full, "r"));
      unlinkSync(full);
    } catch (error) {
      throw malformed(`slab ${id} can't be opened: ${(error as Error).message}`);
    }
  }

  /** Copies a tail out of its slab, which may then be written again. Takes no memory for more than the slab holds. */
  read(slab: number, byteLength: number): Uint8Array {
    const file = this.#files.get(slab);
    if (file === undefined) throw malformed(`slab ${slab} was never announced`);
    if (this.#read.includes(slab)) throw malformed(`slab ${slab} is used again before it was released`);
    const { size } = fstatSync(file);
    if (size < byteLength) throw malformed(`slab ${slab} holds ${size} bytes, not ${byteLength}`);
    const tail = newBytes(byteLength);
    for (let at = 0; at < byteLength; ) {
      const count = readSync(file, tail, at, byteLength - at, at);
      if (count === 0) throw malformed(`slab ${slab} holds ${at} bytes, not ${byteLength}`);
      at += count;
    }
    this.#read.push(slab);
    return tail;
  }

  /** The frame that says which slabs were read since the last one; `undefined` for none. */
  takeReleases(): Frame | undefined {
    if (this.#read.length === 0) return undefined;
    const head = this.#read.join(" ");
    this.#read = [];
    return { kind: frameKinds.release, flags: 0, id: 0, head, tails: noTails };
  }

  close(): void {
    for (const file of this.#files.values()) closeSync(file);
    this.#files.clear();
  }
}
