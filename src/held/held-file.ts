import { closeSync, constants, linkSync, openSync } from "node:fs";
import { newBytes } from "../base/new-bytes.js";
import { removePath } from "../base/own-folder.js";
import { fail } from "../failure/failures.js";
import { systemProblem } from "../failure/read-thrown.js";
import type { ServingError } from "../failure/serving-error.js";
import { decodedBytes, type HeldBytes, readBytes } from "./held-bytes.js";
import { type LongText, makeText, readText, type TextForm } from "./long-text.js";

/** Place of a file: memory that both sides see, or a disk. */
export type HeldPlace = "memory" | "disk";

/** One name of a file. It is removed once, by the first owner that no longer needs it. */
export interface HeldName {
  readonly place: HeldPlace;
  readonly path: string;
  readonly byteLength: number;
}

/** Keeps account of names. */
export interface HeldOwner {
  /** Called once the name is no longer needed. */
  release(name: HeldName): void;
}

/** Constructor arguments of a `HeldFile`. */
export interface HeldFileDeps {
  readonly name: HeldName;
  readonly owner: HeldOwner;
  /** Offset of its bytes in the file. */
  readonly start: number;
  readonly byteLength: number;
  /** Bytes of a tensor, or a file of the author's. */
  readonly use: "bytes" | "blob";
  /** True when the file is passed on once and not used afterwards. */
  readonly isPassing?: boolean;
}

/** `O_NONBLOCK`: opening something other than a regular file, such as a pipe, does not block. */
const openFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * Bytes in a file that this thread owns.
 *
 * VH1  A file has one name for each holder, in any process. The kernel counts the names, and frees the file with the
 *      last.
 * VH2  Each reader has its own name. So a file with one name belongs to its writer alone, who may overwrite it.
 * VH3  The name is removed with the last user that takes the bytes, or once nothing refers to this object.
 */
export class HeldFile implements HeldBytes {
  byteLength: number;
  /** Form in which the receiver gets it: bytes of a tensor, or a file. */
  use: "bytes" | "blob";
  start: number;
  readonly isPassing: boolean;
  /** The same bytes as a `Blob`, which reads the file when it is read. */
  blob: Blob | undefined;
  readonly #owner: HeldOwner;
  #name: HeldName | undefined;
  #users = 1;
  /** Bytes that were read into memory before a user asked for them. */
  #settled: Uint8Array | undefined;
  /** Reason for which the file cannot be read. */
  #loss: { readonly path: string; readonly cause: unknown } | undefined;

  constructor({ name, owner, start, byteLength, use, isPassing = false }: HeldFileDeps) {
    this.#name = name;
    this.#owner = owner;
    this.start = start;
    this.byteLength = byteLength;
    this.use = use;
    this.isPassing = isPassing;
  }

  /** Name of the file; absent once its bytes are in memory. */
  get name(): HeldName | undefined {
    return this.#name;
  }

  /** Leaves out the first `start` bytes. */
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

  /** Takes the bytes as a text. @throws {ServingError} as `take`. */
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

  /** Returns a copy, for a user that only passes the bytes on. */
  copy(): Uint8Array {
    return this.#settled === undefined ? this.#read() : new Uint8Array(this.#settled);
  }

  /** Reads the bytes into memory and removes the file, whose place is needed. */
  settle(): void {
    if (this.#settled !== undefined || this.#name === undefined) return;
    this.#settled = this.#read();
    this.drop();
  }

  /** Gives the same file one more name. @throws {Error} of the system. */
  linkTo(path: string): void {
    linkSync((this.#name as HeldName).path, path);
  }

  /** Forgets the name, which its receiver removes from now on. */
  forget(): HeldName | undefined {
    const name = this.#name;
    this.#name = undefined;
    return name;
  }

  /** Marks the file as unreadable: every read fails with the cause. @returns That failure, `held_bytes_lost`. */
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

  /** @returns True when no other user is left. */
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
      if (this.#name === undefined) throw new Error("it was released");
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

/** Raw bytes, a file that holds them, or a text that becomes bytes when it is written. */
export type Tail = Uint8Array | HeldFile | LongText;

/** Removes a name. Does nothing if it was removed before. */
export const removeName = ({ path }: HeldName): void => removePath(path);
