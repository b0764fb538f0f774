import { closeSync, constants, fstatSync, openSync, unlinkSync } from "node:fs";
import { newBytes } from "../base/new-bytes.js";
import { readBytes } from "../held/file-bytes.js";
import { type Frame, frameKinds, malformed, noTails } from "./frame.js";
import { isSlabName } from "./slab-name.js";

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
