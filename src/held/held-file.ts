import { closeSync, constants, linkSync, openSync } from "node:fs";
import { newBytes } from "../base/new-bytes.js";
import { removePath } from "../base/own-folder.js";
import { fail } from "../failure/failures.js";
import { systemProblem } from "../failure/read-thrown.js";
import type { ServingError } from "../failure/serving-error.js";
import { decodedBytes, type HeldBytes, readBytes } from "./held-bytes.js";
import { type LongText, makeText, readText, type TextForm } from "./long-text.js";

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
export interface HeldFileDeps {
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
  /** Why it can't be read. */
  #loss: { readonly path: string; readonly cause: unknown } | undefined;

  constructor({ name, owner, start, byteLength, use, isPassing = false }: HeldFileDeps) {
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
    const isLast = this.#letGo();
    const settled = this.#settled;
    const bytes = settled === undefined ? this.#read() : isLast ? settled : new Uint8Array(settled);
    if (isLast) this.#end();
    return bytes;
  }

  /** The text that the bytes are. @throws {ServingError} as `take`. */
  takeText(form: TextForm): string {
    const isLast = this.#letGo();
    const { byteLength, start } = this;
    const text =
      this.#settled === undefined
        ? this.#open((file) => readText(file, form, byteLength, start))
        : makeText(this.#settled, form);
    if (isLast) this.#end();
    return text;
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

  /** It can't be had: whoever reads it hears why. @returns That failure, `held_bytes_lost`. */
  lose(cause: unknown): ServingError {
    this.#loss ??= { path: this.#name?.path ?? "", cause };
    this.drop();
    return this.#failure(cause);
  }

  drop(): void {
    const name = this.#name;
    this.#name = undefined;
    if (name !== undefined) this.#owner.release(name);
  }

  /** @returns Whether no other user is left. */
  #letGo(): boolean {
    this.#users = Math.max(0, this.#users - 1);
    return this.#users === 0;
  }

  #end(): void {
    this.#settled = undefined;
    this.drop();
  }

  #read(): Uint8Array {
    const { byteLength, start } = this;
    return this.#open((file) => {
      const bytes = newBytes(byteLength);
      readBytes(file, bytes, byteLength, start);
      return bytes;
    });
  }

  /** @throws {ServingError} `held_bytes_lost`. */
  #open<T>(read: (file: number) => T): T {
    const { byteLength } = this;
    let file: number | undefined;
    try {
      if (this.#name === undefined) throw new Error("it was let go of");
      file = openSync(this.#name.path, openFlags);
      const content = read(file);
      decodedBytes.count += byteLength;
      return content;
    } catch (error) {
      throw this.#failure(error);
    } finally {
      if (file !== undefined) closeSync(file);
    }
  }

  #failure(error: unknown): ServingError {
    const { byteLength } = this;
    const { path, cause } = this.#loss ?? { path: this.#name?.path ?? "", cause: error };
    return fail("held_bytes_lost", { path, byteLength, problem: systemProblem(cause) }, { cause });
  }
}

/** Raw bytes, a file that holds them, or a text that is made into bytes where it is written. */
export type Tail = Uint8Array | HeldFile | LongText;

/** Removes a name; what was removed before is no reason to fail. */
export const removeName = ({ path }: HeldName): void => removePath(path);
