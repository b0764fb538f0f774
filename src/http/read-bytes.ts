import type { Readable } from "node:stream";
import { fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import type { FileStore } from "../held/file-store.js";
import { minHeldBytes } from "../held/held-bytes.js";
import type { HeldFile } from "../held/held-file.js";
import { SpoolFile } from "../held/spool-file.js";
import { type BodyWatch, bodyFailure, type WatchedBody } from "./body-watch.js";
import { ByteGatherer, leastWeight, spareWeight } from "./byte-gatherer.js";

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
export interface BodyReading {
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
