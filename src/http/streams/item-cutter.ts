import type { Revive } from "../../define/revive-input.js";
import { fail } from "../../failure/failures.js";
import { messageOf } from "../../failure/to-serving-error.js";
import type { JsonLimits } from "../check-json.js";
import { decodeText } from "../media-type.js";
import { parseJsonInTurns } from "../parse-json.js";
import { ByteGatherer } from "../read-bytes.js";

/** Cuts items out of the bytes of a body as they arrive. */
export interface ItemCutter {
  /** Adds bytes. All items cut before have been taken. @throws {ServingError} when the bytes can't become an item. */
  push(chunk: Uint8Array): void;
  /** Ends the body. */
  end(): void;
  /**
   * Returns the next complete item, a long one as a promise; `undefined` for none. @throws {ServingError} when it is
   * invalid.
   */
  take(): CutItem | undefined;
}

/** An item. A promise stands for an item that is parsed in turns: JSON has no promises of its own. */
export interface CutItem {
  readonly value: unknown;
}

/** Bounds of one line. */
interface LineLimits extends JsonLimits {
  readonly maxBodyBytes: number;
}

const newline = 0x0a;

/** Cuts lines of JSON: one item a line. Blank lines are skipped. The last line needs no newline. */
export class LineCutter implements ItemCutter {
  readonly #limits: LineLimits;
  readonly #charset: string;
  /** Complete lines that were not taken yet, from `#at` on, and the beginning of the next one. */
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  /** Beginning of an unfinished line, from earlier chunks. */
  readonly #begun = new ByteGatherer();
  #isEnded = false;
  #line = 0;

  constructor(limits: LineLimits, charset: string) {
    this.#limits = limits;
    this.#charset = charset;
  }

  push(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    if (bytes.indexOf(newline) < 0) {
      this.#begun.push(bytes);
      if (this.#begun.exceeds(this.#limits.maxBodyBytes)) this.#refuseLength(this.#line + 1);
      return;
    }
    this.#bytes = this.#begun.size === 0 ? bytes : Buffer.concat([this.#begun.take(), bytes]);
    this.#at = 0;
  }

  end(): void {
    this.#isEnded = true;
    this.#bytes = Buffer.concat([this.#bytes.subarray(this.#at), this.#begun.take()]);
    this.#at = 0;
  }

  take(): CutItem | undefined {
    for (;;) {
      const line = this.#takeLine();
      if (line === undefined) return undefined;
      this.#line++;
      if (line.length > this.#limits.maxBodyBytes) this.#refuseLength(this.#line);
      if (!isBlank(line)) return { value: this.#parse(line) };
    }
  }

  #takeLine(): Buffer | undefined {
    const bytes = this.#bytes;
    const from = this.#at;
    const end = bytes.indexOf(newline, from);
    if (end >= 0) {
      this.#at = end + 1;
      return bytes.subarray(from, end);
    }
    if (from >= bytes.length) return undefined;
    const rest = bytes.subarray(from);
    this.#bytes = Buffer.alloc(0);
    this.#at = 0;
    if (this.#isEnded) return rest;
    this.#begun.push(rest);
    return undefined;
  }

  #refuseLength(line: number): never {
    throw fail("line_too_large", { line, maxBodyBytes: this.#limits.maxBodyBytes });
  }

  #parse(bytes: Buffer): unknown {
    const line = this.#line;
    const refuse = (error: unknown): never => {
      throw fail("invalid_line", { line, problem: messageOf(error) }, { cause: error });
    };
    try {
      const value = parseJsonInTurns(decodeText(bytes, this.#charset, "invalid_json"), this.#limits);
      return value instanceof Promise ? value.catch(refuse) : value;
    } catch (error) {
      return refuse(error);
    }
  }
}

/** Turns the JSON forms in the items of another cutter into what the api takes. */
export class RevivingCutter implements ItemCutter {
  readonly #cutter: ItemCutter;
  readonly #revive: Revive;

  constructor(cutter: ItemCutter, revive: Revive) {
    this.#cutter = cutter;
    this.#revive = revive;
  }

  push(chunk: Uint8Array): void {
    this.#cutter.push(chunk);
  }

  end(): void {
    this.#cutter.end();
  }

  take(): CutItem | undefined {
    const item = this.#cutter.take();
    if (item === undefined) return undefined;
    const { value } = item;
    return { value: value instanceof Promise ? value.then(this.#revive) : this.#revive(value) };
  }
}

/** True for a line of spaces, tabs and the carriage return before its newline. */
function isBlank(line: Uint8Array): boolean {
  for (const byte of line) if (byte !== 0x20 && byte !== 0x09 && byte !== 0x0d) return false;
  return true;
}

/** Gives bytes as they arrive. The network does not keep a client's chunks, so an item is whatever has arrived. */
export class ChunkCutter implements ItemCutter {
  #chunk: Uint8Array | undefined;

  push(chunk: Uint8Array): void {
    // Copied: Node reuses the memory of a chunk for the next read.
    this.#chunk = new Uint8Array(chunk);
  }

  end(): void {}

  take(): CutItem | undefined {
    const value = this.#chunk;
    this.#chunk = undefined;
    return value === undefined ? undefined : { value };
  }
}
