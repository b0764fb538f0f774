import { basename, dirname, join } from "node:path";
import { type Clock, systemClock, type Timer } from "../base/clock.js";
import { removePath } from "../base/own-folder.js";
import type { FileStore } from "../held/file-store.js";
import { openHeldBlob } from "../held/held-blob.js";
import { minHeldBytes } from "../held/held-bytes.js";
import { HeldFile, type HeldPlace, type Tail } from "../held/held-file.js";
import type { LongText } from "../held/long-text.js";
import { checkFrameSize, type Frame, frameFlags, frameKinds, malformed, noTails } from "./frame.js";
import { maxTails } from "./mark-value.js";
import type { SlabReader, SlabWriter } from "./slab-writer.js";

/** First number of a file; numbers of slabs begin at 1. */
export const firstFileNumber = 0x8000_0000;
const lastFileNumber = 0xffff_ffff;

/** Milliseconds that untaken files stay after the end of a link, for a reader that reaches its last frames late. */
const graceMs = 5_000;

/** Tails in the form in which a frame carries them. */
interface PlacedTails {
  /** Number of the slab or file of each tail, or 0 where its bytes are in the frame; `undefined` when all are. */
  readonly numbers: readonly number[] | undefined;
  readonly tails: readonly Tail[];
}

/**
 * The sending half of the data that a channel carries beside its frames: slabs that it writes again and again, and
 * files that it gives away.
 */
export class TailSender {
  readonly #slabs: SlabWriter | undefined;
  readonly #files: FileStore | undefined;
  readonly #clock: Clock;
  /** Files given and not yet taken, by number. */
  readonly #given = new Map<number, string>();
  #lastNumber = lastFileNumber;

  constructor(slabs: SlabWriter | undefined, files: FileStore | undefined, clock: Clock = systemClock) {
    this.#slabs = slabs;
    this.#files = files;
    this.#clock = clock;
  }

  /**
   * Places the tails of a frame. Every step that can fail comes first: after an error the other side has heard nothing.
   *
   * @param announce Sends the frames that the other side needs before this frame.
   * @throws {ServingError} `payload_too_large` for files that can't be given and are too large for a frame;
   * `held_bytes_lost`.
   */
  place(frame: Frame, announce: (frame: Frame) => void): PlacedTails {
    const given = this.#files === undefined ? undefined : giveAll(this.#files, frame.tails);
    const tails = loadRest(frame, given);
    let numbers: number[] | undefined;
    for (let i = 0; i < tails.length; i++) {
      const tail = tails[i] as Tail;
      const file = given?.[i];
      const number =
        file !== undefined
          ? this.#announce(file, tail.byteLength, announce)
          : (this.#slabs?.write(tail as Uint8Array | LongText, announce) ?? 0);
      if (number === 0) continue;
      numbers ??= new Array<number>(tails.length).fill(0);
      numbers[i] = number;
    }
    return { numbers, tails };
  }

  /**
   * Notes the files taken and the slabs opened or read by the other side. @throws {ServingError} `malformed_frame` for
   * an unknown number.
   */
  release({ head }: Frame): void {
    for (const text of head.split(" ")) {
      const number = Number(text);
      if (this.#given.delete(number)) continue;
      if (this.#slabs === undefined || !(Math.abs(number) < firstFileNumber))
        throw malformed(`it releases ${text.slice(0, 40)}, which is not in use`);
      this.#slabs.release(number);
    }
  }

  close(): void {
    this.#slabs?.close();
    if (this.#given.size === 0) return;
    const paths = [...this.#given.values()];
    this.#given.clear();
    const timer: Timer = this.#clock.setTimer(() => {
      timer.clear();
      for (const path of paths) removePath(path);
    }, graceMs);
  }

  #announce(given: Given, byteLength: number, announce: (frame: Frame) => void): number {
    const number = this.#nextNumber();
    this.#given.set(number, given.path);
    const head = `${given.place} ${basename(given.path)} ${given.start} ${byteLength}`;
    const flags = given.isBlob ? frameFlags.blob : 0;
    announce({ kind: frameKinds.file, flags, id: number, head, tails: noTails });
    return number;
  }

  #nextNumber(): number {
    do this.#lastNumber = this.#lastNumber === lastFileNumber ? firstFileNumber : this.#lastNumber + 1;
    while (this.#given.has(this.#lastNumber));
    return this.#lastNumber;
  }
}

interface Given {
  readonly path: string;
  readonly place: HeldPlace;
  readonly start: number;
  readonly isBlob: boolean;
}

/** The given file of each tail; `undefined` for tails that go otherwise, or where all do. */
type GivenTails = readonly (Given | undefined)[] | undefined;

function giveAll(files: FileStore, tails: readonly Tail[]): GivenTails {
  let given: (Given | undefined)[] | undefined;
  for (let i = 0; i < tails.length; i++) {
    const tail = tails[i] as Tail;
    if (tail.byteLength < minHeldBytes) continue;
    const file = tail instanceof HeldFile ? giveFile(files, tail) : writeFile(files, tail);
    if (file === undefined) continue;
    given ??= new Array<Given | undefined>(tails.length).fill(undefined);
    given[i] = file;
  }
  return given;
}

/** Reads the files that can't be given. An error leaves no given file behind. */
function loadRest(frame: Frame, given: GivenTails): readonly Tail[] {
  const { tails } = frame;
  for (let i = 0; i < tails.length; i++) {
    if (tails[i] instanceof HeldFile && given?.[i] === undefined) return loadFiles(frame, given);
  }
  return tails;
}

function loadFiles(frame: Frame, given: GivenTails = []): readonly Tail[] {
  const { tails } = frame;
  try {
    checkFrameSize({ ...frame, tails: tails.map((tail, i) => (given[i]?.place === "disk" ? noBytes : tail)) });
    return tails.map((tail, i) => (tail instanceof HeldFile && given[i] === undefined ? tail.copy() : tail));
  } catch (error) {
    for (const file of given) if (file !== undefined) removePath(file.path);
    throw error;
  }
}

const noBytes = new Uint8Array(0);

function writeFile(files: FileStore, bytes: Uint8Array | LongText): Given | undefined {
  const path = files.memory?.write(bytes);
  return path === undefined ? undefined : { path, place: "memory", start: 0, isBlob: false };
}

/** Makes one more name for the file, or passes on the only name of a file that is passed on once. */
function giveFile(files: FileStore, file: HeldFile): Given | undefined {
  const { name, start } = file;
  if (name === undefined) return undefined;
  const given = { place: name.place, start, isBlob: file.use === "blob" };
  if (file.isPassing) {
    files.handOff(file);
    return { ...given, path: name.path };
  }
  try {
    const path = join(dirname(name.path), basename(files.newPath(name.place)));
    file.linkTo(path);
    return { ...given, path };
  } catch {
    // The file system has no links, or the folder is gone.
    return undefined;
  }
}

const form = /^(memory|disk) ([0-9a-f]{40}) (\d{1,15}) (\d{1,15})$/;

/** The receiving half of the data that a channel carries beside its frames. */
export class TailReceiver {
  readonly #slabs: SlabReader | undefined;
  readonly #files: FileStore | undefined;
  /** Files announced, and not in a frame yet. */
  readonly #announced = new Map<number, HeldFile>();
  #taken: number[] = [];

  constructor(slabs: SlabReader | undefined, files: FileStore | undefined) {
    this.#slabs = slabs;
    this.#files = files;
  }

  /** Opens a slab of the other side. @throws {ServingError} `malformed_frame`. */
  addSlab(frame: Frame): void {
    if (this.#slabs === undefined) throw malformed("it announces a slab where there are none");
    this.#slabs.add(frame);
  }

  /**
   * Takes a file from the other side. A file that can't be taken or opened fails the call that reads it, and no other
   * call of the link.
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
      place: place as "memory" | "disk",
      name,
      start: Number(start),
      byteLength: Number(byteLength),
      use: isBlob ? "blob" : "bytes",
    });
    if (typeof file === "string") throw malformed(`it gives a file that can't be had: ${file}`);
    if (file.byteLength < minHeldBytes) throw malformed(`it gives a file of ${file.byteLength} bytes`);
    this.#announced.set(id, file);
    this.#taken.push(id);
    if (!isBlob) return undefined;
    // A file that can't be opened is lost to its reader.
    return openHeldBlob(file).catch(() => {});
  }

  /** Returns a tail by its number. @throws {ServingError} `malformed_frame`. */
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

  /** Returns the frame with the numbers opened, read or taken since the last one; `undefined` for none. */
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
