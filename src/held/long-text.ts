import { newBytes } from "../base/new-bytes.js";
import { readBytes, writeBytes } from "./held-bytes.js";

/** Encoding of a text: one byte for each character, or two. */
export type TextForm = "latin1" | "utf16";

const encodings = { latin1: "latin1", utf16: "utf16le" } as const;

/** Characters that are encoded at a time, few enough to be in the processor's cache when they are written. */
const pieceChars = 128 * 1024;

/** Buffer for one piece: at most two bytes a character. */
let scratch: Buffer | undefined;

// biome-ignore lint/suspicious/noControlCharactersInRegex: the range is all of latin1.
const beyondLatin1 = /[^\x00-\xff]/;

/**
 * A text that travels as bytes. It is encoded only when it is written.
 *
 * A text with a character beyond latin1 takes two bytes for each character, as it does in memory. Lone surrogates are
 * kept.
 */
export class LongText {
  readonly form: TextForm;
  readonly byteLength: number;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
    this.form = beyondLatin1.test(text) ? "utf16" : "latin1";
    this.byteLength = this.form === "utf16" ? text.length * 2 : text.length;
  }

  /** Returns its bytes in new memory. */
  copy(): Uint8Array {
    const bytes = newBytes(this.byteLength);
    this.copyTo(bytes, 0);
    return bytes;
  }

  /** Writes its bytes into `target` at offset `at`; there must be room. */
  copyTo(target: Uint8Array, at: number): void {
    const { buffer, byteOffset, byteLength } = target;
    const bytes = Buffer.from(buffer as ArrayBuffer, byteOffset + at, byteLength - at);
    bytes.write(this.#text, encodings[this.form]);
  }

  /** Writes its bytes to the beginning of a file. @throws {Error} of the system. */
  writeTo(file: number): void {
    scratch ??= Buffer.allocUnsafeSlow(pieceChars * 2);
    const width = this.form === "latin1" ? 1 : 2;
    const encoding = encodings[this.form];
    for (let at = 0; at < this.#text.length; at += pieceChars) {
      const piece = this.#text.substring(at, at + pieceChars);
      writeBytes(file, scratch, scratch.write(piece, encoding), at * width);
    }
  }
}

let readBuffer: WeakRef<Buffer> | undefined;

/** Reads a text from a file, from offset `at`. @throws {Error} of the system, or when the file ends earlier. */
export function readText(file: number, form: TextForm, byteLength: number, at: number): string {
  let buffer = readBuffer?.deref();
  if (buffer === undefined || buffer.length < byteLength) {
    // Reading into used memory takes half the time of new memory. The next collection of the whole heap frees it.
    buffer = Buffer.from(newBytes(byteLength).buffer);
    readBuffer = new WeakRef(buffer);
  }
  readBytes(file, buffer, byteLength, at);
  return buffer.toString(encodings[form], 0, byteLength);
}

/** Decodes a text from its bytes. */
export const makeText = (bytes: Uint8Array, form: TextForm): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(encodings[form]);

/** Writes bytes or a text to the beginning of a file. @throws {Error} of the system. */
export function writeContent(file: number, content: Uint8Array | LongText): void {
  if (content instanceof LongText) content.writeTo(file);
  else writeBytes(file, content, content.byteLength, 0);
}
