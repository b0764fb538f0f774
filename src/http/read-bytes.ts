import type { Readable } from "node:stream";
import type { Clock, Timer } from "../base/clock.js";
import { fail } from "../failure/failures.js";
import { ServingError } from "../failure/serving-error.js";
import { messageOf } from "../failure/to-serving-error.js";
import type { FileStore } from "../held/file-store.js";
import { minHeldBytes } from "../held/held-bytes.js";
import type { HeldFile } from "../held/held-file.js";
import { SpoolFile } from "../held/spool-file.js";

/** Bounds of a body, and who looks after its time. */
export interface BodyLimits {
  readonly maxBodyBytes: number;
  /** To the first byte, and again to the last. */
  readonly bodyTimeoutMs: number;
  readonly watch: BodyWatch;
}

/** Who waits for a body: is told of its bytes or of what went wrong, once. */
export interface BytesReceiver {
  receive(bytes: Uint8Array): void;
  /** For a large body that may lie in a file. @param beginning Its first bytes, 64 KiB and more. */
  receiveHeld?(file: HeldFile, beginning: Uint8Array): void;
  refuse(error: unknown): void;
}

/**
 * Collects a request's body.
 *
 * Refuses with `body_too_large` (at once when the headers already say so), `body_timeout`, or `cancelled` when the client
 * went away. What is left of the body is then unread: see `discardRest`.
 */
export function readBytes(source: Readable, declared: string | undefined, reading: BodyReading): void {
  if (declared !== undefined && Number(declared) > reading.limits.maxBodyBytes) {
    reading.receiver.refuse(tooLarge(reading.limits));
  } else {
    new RequestBodyReader(reading).read(source);
  }
}

/** One body to be read, and for whom. */
interface BodyReading {
  readonly limits: BodyLimits;
  readonly receiver: BytesReceiver;
  /** Where a large body goes as it comes; its receiver then takes a file. Absent: in memory. */
  readonly files?: FileStore | undefined;
}

/** A body that goes to a file. */
interface SpooledBody {
  readonly file: SpoolFile;
  readonly beginning: Uint8Array;
  size: number;
  weight: number;
}

/** What is kept of a body in memory for those who must know how it begins. */
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
  /** The time to the last byte runs from the first one on, wherever the bytes go. */
  #hasBegun = false;
  #isOver = false;

  constructor({ limits, receiver, files }: BodyReading) {
    this.#limits = limits;
    this.#receiver = receiver;
    this.#files = files;
  }

  /** Listeners stay to the end of the request: an error must find one even when nobody reads any more. */
  read(source: Readable): void {
    this.#limits.watch.add(this);
    const take = (chunk: Uint8Array) => this.#take(chunk, source);
    source.on("data", take);
    source.on("end", () => {
      // Left to itself Node takes this one off in a slower way.
      source.off("data", take);
      this.#finish();
    });
    source.on("error", (error) => this.#fail(() => bodyFailure(error)));
  }

  expire(): void {
    this.#fail(() => fail("body_timeout", { timeoutMs: this.#limits.bodyTimeoutMs }));
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

  /** What has come goes to a file, and what comes follows it. Where none can be made, everything stays in memory. */
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

/** Chunks from this size on are kept as they are; smaller ones are copied together. */
const largeBytes = 16_384;
/** Of what small chunks are copied to: the first block, and the last after each was twice as long as the one before. */
const firstBlockBytes = 1024;
const lastBlockBytes = 65_536;
/** What a chunk counts for at least: to receive one costs about as much as this many bytes of a long one. */
const leastWeight = 32;
/** Room for the many small chunks of an honest client that has little to say. */
const spareWeight = 1024 ** 2;

/**
 * Bytes of a body as they come, in memory that stays in proportion to them: a chunk of one byte would keep some 400.
 *
 * The first chunk is kept as it is, since most bodies have no second one.
 */
export class ByteGatherer {
  #chunks: Uint8Array[] = [];
  /** The beginning of it, up to `#filled`, is behind `#chunks`. */
  #block: Uint8Array | undefined;
  #filled = 0;
  #nextBlockBytes = firstBlockBytes;
  #size = 0;
  #weight = 0;

  /** Bytes that have come. */
  get size(): number {
    return this.#size;
  }

  /** Whether the bytes, or the chunks they were cut into, are more than a body of `maxBytes` may have. */
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

  /** What has come, in memory of its own where it came in several chunks, and forgets it. */
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

  /** A block that is hardly filled is not kept whole. */
  #closeBlock(): void {
    const block = this.#block as Uint8Array;
    const isFull = this.#filled > block.length / 2;
    this.#chunks.push(isFull ? block.subarray(0, this.#filled) : block.slice(0, this.#filled));
    this.#block = undefined;
    this.#filled = 0;
  }

  /** Not a piece of Node's pool: the bytes may become a tensor or reach an author's code. */
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
  /** A reading of the clock; 0 until the watch first looks, and again to give the body its whole time anew. */
  deadline: number;
  /** Neighbours in the list of the `BodyWatch`, which alone changes them. */
  previous: WatchedBody | undefined;
  next: WatchedBody | undefined;
  /** Called once the time has passed; the body is watched no longer then. */
  expire(): void;
}

/**
 * Notices bodies that do not arrive in time.
 *
 * Nearly every body is there before anyone could look at a clock: watching one costs four pointers, no timer and no reading
 * of the time. A body gets at least `timeoutMs`, counted from the first look at it, and at most half as much again.
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
    // Left running when the list empties: taking it back for each request would cost more than one idle look.
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

/** Why a body broke off: its client went away, or what a hook made of it failed. */
export function bodyFailure(error: unknown): ServingError {
  if (error instanceof ServingError) return error;
  const { code } = (error ?? {}) as { code?: unknown };
  if (error === undefined || goneCodes.includes(code)) {
    return fail("cancelled", { reason: "the client closed the connection" });
  }
  return fail("unreadable_body", { problem: messageOf(error) }, { cause: error });
}
