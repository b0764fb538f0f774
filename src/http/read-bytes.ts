import type { Readable } from "node:stream";
import type { Clock, Timer } from "../base/clock.js";
import { fail } from "../failure/failures.js";
import { ServingError } from "../failure/serving-error.js";
import { messageOf } from "../failure/to-serving-error.js";
import type { FileStore } from "../held/file-store.js";
import { minHeldBytes } from "../held/held-bytes.js";
import type { HeldFile } from "../held/held-file.js";
import { SpoolFile } from "../held/spool-file.js";

/** Bounds of a body, and the watch that enforces its time. */
export interface BodyLimits {
  readonly maxBodyBytes: number;
  /** Milliseconds until the first byte, and again from the first byte to the last. */
  readonly bodyTimeoutMs: number;
  /** Source of `bodyTimeoutMs`, for the failure. */
  readonly bodyTimeoutFrom?: string | undefined;
  readonly watch: BodyWatch;
}

/** Receives the bytes of a body or the error that prevented them, once. */
export interface BytesReceiver {
  receive(bytes: Uint8Array): void;
  /**
   * Receives a large body that may lie in a file.
   *
   * @param beginning Its first bytes, 64 KiB or more.
   */
  receiveHeld?(file: HeldFile, beginning: Uint8Array): void;
  refuse(error: unknown): void;
}

/**
 * Collects a request's body.
 *
 * Refuses with `body_too_large` (at once when the headers already say so), `body_timeout`, or `cancelled` when the
 * client left. The rest of the body stays unread then: see `discardRest`.
 */
export function readBytes(source: Readable, declared: string | undefined, reading: BodyReading): void {
  if (declared !== undefined && Number(declared) > reading.limits.maxBodyBytes) {
    reading.receiver.refuse(tooLarge(reading.limits));
  } else {
    new RequestBodyReader(reading).read(source);
  }
}

/** One body to read, and its receiver. */
interface BodyReading {
  readonly limits: BodyLimits;
  readonly receiver: BytesReceiver;
  /** Folder for large bodies; the receiver then gets a file. Absent: the body stays in memory. */
  readonly files?: FileStore | undefined;
}

/** A body that is written to a file. */
interface SpooledBody {
  readonly file: SpoolFile;
  readonly beginning: Uint8Array;
  size: number;
  weight: number;
}

/** Bytes of a body in a file that also stay in memory, for receivers that must know how it begins. */
const beginningBytes = 64 * 1024;

class RequestBodyReader implements WatchedBody {
  deadline = 0;
  previous: WatchedBody | undefined = undefined;
  next: WatchedBody | undefined = undefined;
  readonly #limits: BodyLimits;
  readonly #receiver: BytesReceiver;
  readonly #bytes = new ByteGatherer();
  readonly #files: FileStore | undefined;
  #spooled: SpooledBody | undefined;
  /** True from the first byte on. The time to the last byte starts then, also for a body in a file. */
  #hasBegun = false;
  #isOver = false;

  constructor({ limits, receiver, files }: BodyReading) {
    this.#limits = limits;
    this.#receiver = receiver;
    this.#files = files;
  }

  /**
   * Reads the body. The listeners stay until the request ends: an error must find one even when nobody reads any
   * more.
   */
  read(source: Readable): void {
    this.#limits.watch.add(this);
    const take = (chunk: Uint8Array) => this.#take(chunk, source);
    source.on("data", take);
    source.on("end", () => {
      // Node would remove this listener in a slower way.
      source.off("data", take);
      this.#finish();
    });
    source.on("error", (error) => this.#fail(() => bodyFailure(error)));
  }

  expire(): void {
    const { bodyTimeoutMs: timeoutMs, bodyTimeoutFrom: from } = this.#limits;
    this.#fail(() => fail("body_timeout", { timeoutMs, from }));
  }

  #take(chunk: Uint8Array, source: Readable): void {
    if (this.#isOver) return;
    if (!this.#hasBegun) {
      this.#hasBegun = true;
      this.deadline = 0;
    }
    if (this.#spooled !== undefined) {
      this.#spool(chunk, this.#spooled, source);
      return;
    }
    this.#bytes.push(chunk);
    if (this.#bytes.exceeds(this.#limits.maxBodyBytes)) this.#fail(() => tooLarge(this.#limits));
    else if (this.#bytes.size >= minHeldBytes && this.#files?.hasDisk) this.#divert(this.#files);
  }

  /**
   * Moves the bytes so far to a file, and the later ones after them. When no file can be made, the body stays in
   * memory.
   */
  #divert(files: FileStore): void {
    let file: SpoolFile;
    try {
      file = new SpoolFile(files);
    } catch {
      files.noteFull();
      return;
    }
    const come = this.#bytes.take();
    file.push(come);
    this.#spooled = { file, beginning: come.slice(0, beginningBytes), size: come.length, weight: come.length };
  }

  #spool(chunk: Uint8Array, spooled: SpooledBody, source: Readable): void {
    spooled.size += chunk.length;
    spooled.weight += Math.max(chunk.length, leastWeight);
    const { maxBodyBytes } = this.#limits;
    if (spooled.size > maxBodyBytes || spooled.weight > maxBodyBytes + spareWeight) {
      this.#fail(() => tooLarge(this.#limits));
      return;
    }
    if (spooled.file.push(chunk)) return;
    source.pause();
    spooled.file.drained().then(
      () => source.resume(),
      (error: unknown) => {
        this.#fail(() => error as ServingError);
        source.resume();
      },
    );
  }

  #finish(): void {
    if (this.#isOver) return;
    this.#end();
    if (this.#spooled === undefined) {
      this.#receiver.receive(this.#bytes.take());
      return;
    }
    const { file, beginning } = this.#spooled;
    file.finish({ use: "bytes" }).then(
      (held) => this.#receiver.receiveHeld?.(held, beginning),
      (error: unknown) => this.#receiver.refuse(error),
    );
  }

  #fail(createReason: () => ServingError): void {
    if (this.#isOver) return;
    this.#end();
    this.#bytes.clear();
    this.#spooled?.file.abort();
    this.#receiver.refuse(createReason());
  }

  #end(): void {
    this.#isOver = true;
    this.#limits.watch.remove(this);
  }
}

const tooLarge = ({ maxBodyBytes }: BodyLimits): ServingError => fail("body_too_large", { maxBodyBytes });

/** Size from which a chunk is kept as it is; smaller chunks are copied together. */
const largeBytes = 16_384;
/** Size of the first block for small chunks, and of the largest. Each block is twice as long as the one before. */
const firstBlockBytes = 1024;
const lastBlockBytes = 65_536;
/** Smallest weight of a chunk: receiving a tiny one costs about as much as this many bytes of a large one. */
const leastWeight = 32;
/** Extra weight for the many small chunks of an honest client that sends little. */
const spareWeight = 1024 ** 2;

/**
 * Gathers the bytes of a body in memory proportional to them: a chunk of one byte kept as it is would hold some 400
 * bytes.
 *
 * The first chunk is kept as it is, since most bodies have no second one.
 */
export class ByteGatherer {
  #chunks: Uint8Array[] = [];
  /** Block for small chunks, filled up to `#filled`; its bytes follow `#chunks`. */
  #block: Uint8Array | undefined;
  #filled = 0;
  #nextBlockBytes = firstBlockBytes;
  #size = 0;
  #weight = 0;

  /** Bytes received. */
  get size(): number {
    return this.#size;
  }

  /** True when the bytes, or the chunks they came in, are more than a body of `maxBytes` may have. */
  exceeds(maxBytes: number): boolean {
    return this.#size > maxBytes || this.#weight > maxBytes + spareWeight;
  }

  push(chunk: Uint8Array): void {
    const isFirst = this.#size === 0;
    this.#size += chunk.length;
    this.#weight += Math.max(chunk.length, leastWeight);
    if (this.#block !== undefined && this.#filled + chunk.length > this.#block.length) this.#closeBlock();
    if (isFirst || (chunk.length >= largeBytes && this.#block === undefined)) {
      this.#chunks.push(chunk);
      return;
    }
    this.#block ??= this.#openBlock(chunk.length);
    this.#block.set(chunk, this.#filled);
    this.#filled += chunk.length;
  }

  /** Returns the received bytes and forgets them. Bytes of several chunks come in their own memory. */
  take(): Uint8Array {
    if (this.#block !== undefined) this.#closeBlock();
    const bytes = this.#chunks.length === 1 ? (this.#chunks[0] as Uint8Array) : this.#join();
    this.clear();
    return bytes;
  }

  clear(): void {
    this.#chunks = [];
    this.#block = undefined;
    this.#filled = 0;
    this.#nextBlockBytes = firstBlockBytes;
    this.#size = 0;
    this.#weight = 0;
  }

  #openBlock(least: number): Uint8Array {
    const block = new Uint8Array(Math.max(this.#nextBlockBytes, least));
    this.#nextBlockBytes = Math.min(block.length * 2, lastBlockBytes);
    return block;
  }

  /** Closes the block. A block that is less than half full is copied to a smaller one. */
  #closeBlock(): void {
    const block = this.#block as Uint8Array;
    const isFull = this.#filled > block.length / 2;
    this.#chunks.push(isFull ? block.subarray(0, this.#filled) : block.slice(0, this.#filled));
    this.#block = undefined;
    this.#filled = 0;
  }

  /** Joins the chunks outside of Node's buffer pool: the bytes may become a tensor or reach an author's code. */
  #join(): Uint8Array {
    const bytes = new Uint8Array(this.#size);
    let at = 0;
    for (const chunk of this.#chunks) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
    return bytes;
  }
}

/** A body that is being received. */
export interface WatchedBody {
  /** A reading of the clock; 0 until the watch first looks at the body, and again to restart its time. */
  deadline: number;
  /** Neighbours in the list of the `BodyWatch`, which alone changes them. */
  previous: WatchedBody | undefined;
  next: WatchedBody | undefined;
  /** Called once when the time has passed; the body is no longer watched then. */
  expire(): void;
}

/**
 * Notices bodies that do not arrive in time.
 *
 * Nearly every body arrives before the first look: watching one costs four pointers, no timer and no reading of the
 * clock. A body gets at least `timeoutMs`, counted from the first look, and at most half as much again.
 */
export class BodyWatch {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #granularityMs: number;
  #first: WatchedBody | undefined;
  #timer: Timer | undefined;

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#granularityMs = Math.min(1000, timeoutMs / 4);
  }

  add(body: WatchedBody): void {
    const next = this.#first;
    body.next = next;
    if (next !== undefined) next.previous = body;
    this.#first = body;
    // The timer keeps running when the list empties: clearing it for each request would cost more than one idle look.
    if (this.#timer === undefined) this.#arm();
  }

  remove(body: WatchedBody): void {
    const { previous, next } = body;
    if (previous !== undefined) previous.next = next;
    else if (this.#first === body) this.#first = next;
    if (next !== undefined) next.previous = previous;
    body.previous = undefined;
    body.next = undefined;
  }

  #arm(): void {
    this.#timer = this.#clock.setTimer(() => this.#look(), this.#granularityMs);
  }

  #look(): void {
    this.#timer = undefined;
    const now = this.#clock.now();
    for (let body = this.#first; body !== undefined; ) {
      const { next } = body;
      if (body.deadline === 0) {
        body.deadline = now + this.#timeoutMs;
      } else if (body.deadline <= now) {
        this.remove(body);
        body.expire();
      }
      body = next;
    }
    if (this.#first !== undefined) this.#arm();
  }
}

const goneCodes: readonly unknown[] = ["ECONNRESET", "ERR_STREAM_PREMATURE_CLOSE"];

/** Creates the failure of a body that broke off: its client left, or a hook's stream failed. */
export function bodyFailure(error: unknown): ServingError {
  if (error instanceof ServingError) return error;
  const { code } = (error ?? {}) as { code?: unknown };
  if (error === undefined || goneCodes.includes(code)) {
    return fail("cancelled", { reason: "the client closed the connection" });
  }
  return fail("unreadable_body", { problem: messageOf(error) }, { cause: error });
}
