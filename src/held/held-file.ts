import { closeSync, constants, linkSync, openSync, readSync } from "node:fs";
import { newBytes } from "../base/new-bytes.js";
import { removePath } from "../base/remove-path.js";
import { systemProblem } from "../base/system-problem.js";
import { fail } from "../failure/fail.js";
import { decodedBytes, type HeldBytes } from "./held-bytes.js";

/** Where a file lies: in memory both sides see, or on a disk. */
export type HeldPlace = "memory" | "disk";

/** One name of a file. It is removed once, by whoever is first to need it no more. */
export interface HeldName {
  readonly place: HeldPlace;
  readonly path: string;
  readonly byteLength: number;
}

/** Keeps account of names; knows nothing of what is done with them. */
export interface HeldOwner {
  /** This name is needed no more. */
  release(name: HeldName): void;
}

/** What a file is for. */
export interface HeldParts {
  readonly name: HeldName;
  readonly owner: HeldOwner;
  /** Where its bytes begin. */
  readonly start: number;
  readonly byteLength: number;
  /** Bytes of a tensor, or a file of the author's. */
  readonly use: "bytes" | "blob";
  /** Whether it is passed on once and then needed no more. */
  readonly isPassing?: boolean;
}

/** What is not an ordinary file is not waited for. */
const openFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * Bytes in a file of this thread's.
 *
 * H1  A file has one name for each that holds it, in whatever process; the kernel counts them, and frees it with the last.
 * H2  Who reads it does so under its own name. So a file with one name is nobody else's, and may be written again.
 * H3  The name goes with the last who takes the bytes, or when nothing refers to this any more.
 */
export class HeldFile implements HeldBytes {
  byteLength: number;
  /** What whoever it is passed on to makes of it. */
  use: "bytes" | "blob";
  start: number;
  readonly isPassing: boolean;
  /** The same bytes as a `Blob`, which reads them when it is read. */
  blob: Blob | undefined;
  readonly #owner: HeldOwner;
  #name: HeldName | undefined;
  #users = 1;
  /** Read before anybody asked. */
  #settled: Uint8Array | undefined;

  constructor({ name, owner, start, byteLength, use, isPassing = false }: HeldParts) {
    this.#name = name;
    this.#owner = owner;
    this.start = start;
    this.byteLength = byteLength;
    this.use = use;
    this.isPassing = isPassing;
  }

  /** Absent once its bytes are in memory. */
  get name(): HeldName | undefined {
    return this.#name;
  }

  /** Leaves the beginning out. */
  from(start: number): this {
    this.start += start;
    this.byteLength -= start;
    return this;
  }

  share(): void {
    this.#users++;
  }

  take(): Uint8Array {
    this.#users = Math.max(0, this.#users - 1);
    const isLast = this.#users === 0;
    const bytes = this.#settled ?? this.#read();
    if (!isLast) return bytes === this.#settled ? new Uint8Array(bytes) : bytes;
    this.#settled = undefined;
    this.drop();
    return bytes;
  }

  /** A copy for one who only passes it on. */
  copy(): Uint8Array {
    return this.#settled === undefined ? this.#read() : new Uint8Array(this.#settled);
  }

  /** Puts the bytes into memory, where the file is wanted elsewhere. */
  settle(): void {
    if (this.#settled !== undefined || this.#name === undefined) return;
    this.#settled = this.#read();
    this.drop();
  }

  /** Gives the same file one more name. @throws {Error} of the system. */
  linkTo(path: string): void {
    linkSync((this.#name as HeldName).path, path);
  }

  /** Somebody else removes the name from now on. */
  forget(): HeldName | undefined {
    const name = this.#name;
    this.#name = undefined;
    return name;
  }

  drop(): void {
    const name = this.#name;
    this.#name = undefined;
    if (name !== undefined) this.#owner.release(name);
  }

  #read(): Uint8Array {
    const { byteLength, start } = this;
    const bytes = newBytes(byteLength);
    let file: number | undefined;
    try {
      if (this.#name === undefined) throw new Error("it was let go of");
      file = openSync(this.#name.path, openFlags);
      for (let at = 0; at < byteLength; ) {
        const count = readSync(file, bytes, at, byteLength - at, start + at);
        if (count === 0) throw new Error(`it ends after ${at} bytes`);
        at += count;
      }
    } catch (error) {
      const path = this.#name?.path ?? "";
      throw fail("held_bytes_lost", { path, byteLength, problem: systemProblem(error) }, { cause: error });
    } finally {
      if (file !== undefined) closeSync(file);
    }
    decodedBytes.count += byteLength;
    return bytes;
  }
}

/** Raw bytes, or a file that holds them. */
export type Tail = Uint8Array | HeldFile;

/** Removes a name; what was removed before is no reason to fail. */
export const removeName = ({ path }: HeldName): void => removePath(path);
