import type { FileStore } from "../held/file-store.js";
import { openHeldBlob } from "../held/held-blob.js";
import { minHeldBytes } from "../held/held-bytes.js";
import type { HeldFile, Tail } from "../held/held-file.js";
import { type Frame, frameFlags, frameKinds, malformed, noTails } from "./frame.js";
import { maxTails } from "./mark.js";
import type { SlabReader } from "./slab-reader.js";
import { firstFileNumber } from "./tail-sender.js";

const form = /^(memory|disk) ([0-9a-f]{40}) (\d{1,15}) (\d{1,15})$/;

/** The receiving half of what a channel carries beside its frames. */
export class TailReceiver {
  readonly #slabs: SlabReader | undefined;
  readonly #files: FileStore | undefined;
  /** Announced, and not in a frame yet. */
  readonly #announced = new Map<number, HeldFile>();
  #taken: number[] = [];

  constructor(slabs: SlabReader | undefined, files: FileStore | undefined) {
    this.#slabs = slabs;
    this.#files = files;
  }

  /** Opens a slab that the other side has made. @throws {ServingError} `malformed_frame`. */
  addSlab(frame: Frame): void {
    if (this.#slabs === undefined) throw malformed("it announces a slab where there are none");
    this.#slabs.add(frame);
  }

  /**
   * Takes a file that the other side gives. One that can't be had or opened fails the call that reads it, and no other of the link.
   *
   * @returns A promise where nothing may be read before it resolves: an author's file must be opened.
   * @throws {ServingError} `malformed_frame`.
   */
  add({ id, head, flags }: Frame): Promise<void> | undefined {
    const [, place, name, start, byteLength] = form.exec(head) ?? [];
    if (this.#files === undefined || name === undefined) throw malformed("it gives a file that is none");
    if (id < firstFileNumber || this.#announced.has(id) || this.#announced.size >= maxTails)
      throw malformed(`it gives a file the number ${id}`);
    const isBlob = (flags & frameFlags.blob) !== 0;
    const file = this.#files.adopt({
      ...{ place: place as "memory" | "disk", name, start: Number(start), byteLength: Number(byteLength) },
      use: isBlob ? "blob" : "bytes",
    });
    if (typeof file === "string") throw malformed(`it gives a file that can't be had: ${file}`);
    if (file.byteLength < minHeldBytes) throw malformed(`it gives a file of ${file.byteLength} bytes`);
    this.#announced.set(id, file);
    this.#taken.push(id);
    if (!isBlob) return undefined;
    // One that can't be opened is lost to its reader.
    return openHeldBlob(file).catch(() => {});
  }

  /** A tail by its number. @throws {ServingError} `malformed_frame`. */
  read(number: number, byteLength: number): Tail {
    if (number < firstFileNumber) {
      if (this.#slabs === undefined) throw malformed(`slab ${number} was never announced`);
      return this.#slabs.read(number, byteLength);
    }
    const file = this.#announced.get(number);
    if (file === undefined) throw malformed(`file ${number} was never given, or is used twice`);
    if (file.byteLength >>> 0 !== byteLength)
      throw malformed(`file ${number} has ${file.byteLength} bytes, not ${byteLength}`);
    this.#announced.delete(number);
    return file;
  }

  /** The frame that says what was opened, read or taken since the last one; `undefined` for none. */
  takeReleases(): Frame | undefined {
    const slabs = this.#slabs?.takeReleases();
    if (this.#taken.length === 0) return slabs;
    const files = this.#taken.join(" ");
    this.#taken = [];
    const head = slabs === undefined ? files : `${slabs.head} ${files}`;
    return { kind: frameKinds.release, flags: 0, id: 0, head, tails: noTails };
  }

  close(): void {
    this.#slabs?.close();
    for (const file of this.#announced.values()) file.drop();
    this.#announced.clear();
  }
}
