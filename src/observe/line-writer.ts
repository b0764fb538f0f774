import { fstatSync, write, writeSync } from "node:fs";
import { formatNote, guardOutputs, isForwarded, retryMs } from "./guarded-output.js";

// Writes log lines to standard output.
//
// OL1  Lines leave in order, in pieces of at most `maxPieceBytes` or one line, one piece at a time.
// OL2  At most `maxKeptChars` are kept; a line without room is dropped. No caller waits for a piece that is being
//      written.
// OL3  Dropped lines, and lines of failed pieces, are counted and reported in a line of their own once a piece has
//      left.
// OL4  While other processes write to the same pipe, no piece is larger than `maxPieceBytes`: a longer line leaves in
//      parts.

/**
 * Size up to which, or time during which, lines are gathered: a system call for each line would cost as much as the
 * request itself. A write of this size is never torn apart by a write of another process (PIPE_BUF of Linux).
 */
const maxPieceBytes = 4096;
const gatherMs = 200;
const maxKeptChars = 1024 ** 2;

type Done = (error?: Error | null) => void;

let isShared = false;

/** Notes that other processes write to the same standard output from now on; see OL4. */
export function shareStdout(): void {
  isShared = true;
}

/** Destination of pieces. */
export interface LineSink {
  /** True when writes of other processes may tear a large write apart. */
  readonly mayTear: boolean;
  write(text: string, done: Done): void;
  /** Writes the last text of a process that is about to end. */
  writeLast(text: string): void;
}

/** Gathers lines and writes them without ever blocking; see OL1 to OL3. */
export class LineWriter {
  readonly #sink: LineSink;
  #gathered = "";
  #gatheredBytes = 0;
  /** Pieces that wait for the one being written. */
  #pieces: string[] = [];
  #waitingChars = 0;
  #onItsWay: string | undefined;
  #dropped = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(sink: LineSink) {
    this.#sink = sink;
  }

  write(line: string): void {
    if (this.#waitingChars + this.#gathered.length > maxKeptChars) {
      this.#dropped++;
      return;
    }
    const bytes = Buffer.byteLength(line);
    if (bytes > maxPieceBytes && isShared && this.#sink.mayTear)
      for (const part of splitLine(line, maxPieceBytes)) this.#gather(part, Buffer.byteLength(part));
    else this.#gather(line, bytes);
  }

  #gather(line: string, bytes: number): void {
    if (this.#gatheredBytes + bytes > maxPieceBytes) this.flush();
    this.#gathered += line;
    this.#gatheredBytes += bytes;
    if (this.#gatheredBytes >= maxPieceBytes) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), gatherMs).unref();
  }

  /** Queues the gathered lines for writing now. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#gathered !== "") {
      this.#pieces.push(this.#gathered);
      this.#waitingChars += this.#gathered.length;
      this.#gathered = "";
      this.#gatheredBytes = 0;
    }
    this.#next();
  }

  /** Writes all remaining lines, as far as the output accepts them at once. */
  flushLast(): void {
    clearTimeout(this.#timer);
    const rest = this.#pieces.join("") + this.#gathered;
    this.#pieces = [];
    this.#gathered = "";
    this.#gatheredBytes = 0;
    if (rest !== "") this.#sink.writeLast(rest);
  }

  #next(): void {
    if (this.#onItsWay !== undefined) return;
    const piece = this.#pieces.shift();
    if (piece === undefined) return;
    this.#onItsWay = piece;
    this.#sink.write(piece, (error) => this.#end(piece, error));
  }

  #end(piece: string, error: Error | null | undefined): void {
    this.#onItsWay = undefined;
    this.#waitingChars -= piece.length;
    if (error != null) this.#dropped += countLines(piece);
    else if (this.#dropped > 0) this.#tellDropped();
    this.#next();
  }

  #tellDropped(): void {
    const count = this.#dropped;
    this.#dropped = 0;
    const note = formatNote(
      `${count} log ${count === 1 ? "line was" : "lines were"} dropped: standard output did not accept them`,
    );
    this.#pieces.unshift(note);
    this.#waitingChars += note.length;
  }
}

const countLines = (text: string): number => text.split("\n").length - 1;

/** Creates the sink for standard output. Uses Node's stream where it never blocks, else writes to the file itself. */
export function createStdoutSink(): LineSink {
  const mayTear = takesPart();
  if (!isForwarded() && !mayTear) return new FileSink(1);
  const { stdout } = guardOutputs();
  return {
    mayTear,
    write: (text, done) => stdout.pass(text, done),
    writeLast: (text) => stdout.pass(text, () => {}),
  };
}

/**
 * Creates the sink for standard error, for a program that writes its own results to standard output: neither of its
 * streams is guarded.
 */
export function createStderrSink(): LineSink {
  if (!isForwarded()) return new FileSink(2);
  const write = (text: string, done: Done) => void process.stderr.write(text, done);
  return { mayTear: false, write, writeLast: (text) => write(text, () => {}) };
}

/** True when standard output is a pipe or a socket, whose reader may be slow. */
function takesPart(): boolean {
  try {
    const stats = fstatSync(1);
    return stats.isFIFO() || stats.isSocket();
  } catch {
    return false;
  }
}

/** Sink for a file or a terminal; writes outside of the event loop. */
class FileSink implements LineSink {
  readonly mayTear = false;
  readonly #fd: number;
  #failedAt = Number.NEGATIVE_INFINITY;

  constructor(fd: number) {
    this.#fd = fd;
  }

  write(text: string, done: Done): void {
    if (performance.now() - this.#failedAt < retryMs) process.nextTick(done, new Error("the output has failed"));
    else this.#writeAll(Buffer.from(text), done);
  }

  writeLast(text: string): void {
    try {
      writeSync(this.#fd, text);
    } catch {
      // The output is gone, so the error can't be reported.
    }
  }

  #writeAll(bytes: Buffer, done: Done): void {
    write(this.#fd, bytes, (error, written) => {
      if (error !== null) {
        this.#failedAt = performance.now();
        done(error);
      } else if (written < bytes.length) this.#writeAll(bytes.subarray(written), done);
      else done();
    });
  }
}

// Splits a line that is too long for one write. Each part is a line of JSON; their texts, joined, give the original
// line.

/**
 * Limits of the head: each part repeats the first short fields and the start of the message, which identify the line.
 */
const maxLookedAt = 100;
const maxHeadChars = 128;
const maxHeadBytes = 1024;
/** Most parts of a line. Longer lines are cut: at some 750 KB, or less with many quotes. */
const maxParts = 256;

type Fields = Readonly<Record<string, unknown>>;

let splitLines = 0;

/**
 * Splits a line of JSON into parts, each with a newline at its end: its short fields, `line` (the same in all parts),
 * `part` of `parts`, and `text`. The last part of a line that is cut has `cut`, the number of characters left out.
 *
 * @param maxBytes Largest size of one part, with its newline. At least 2 KiB.
 */
export function splitLine(line: string, maxBytes: number): string[] {
  const text = line.endsWith("\n") ? line.slice(0, -1) : line;
  const head = { ...pickHead(text), line: `${process.pid}-${++splitLines}` };
  const room = maxBytes - Buffer.byteLength(formatPart(head, maxParts, maxParts, "", Number.MAX_SAFE_INTEGER));
  const pieces: string[] = [];
  let at = 0;
  while (at < text.length && pieces.length < maxParts) {
    const piece = cutPiece(text, at, room);
    pieces.push(piece);
    at += piece.length;
  }
  return pieces.map((piece, index) => {
    const isLast = index === pieces.length - 1;
    return formatPart(head, index + 1, pieces.length, piece, isLast ? text.length - at : 0);
  });
}

function formatPart(head: Fields, part: number, parts: number, text: string, cut: number): string {
  return `${JSON.stringify({ ...head, part, parts, ...(cut > 0 && { cut }), text })}\n`;
}

/** Cuts as much as fits, and never half of a surrogate pair. */
function cutPiece(text: string, at: number, room: number): string {
  let length = Math.min(room, text.length - at);
  for (;;) {
    const last = text.charCodeAt(at + length - 1);
    const isHalf = last >= 0xd800 && last <= 0xdbff && at + length < text.length;
    const piece = text.slice(at, at + length - (isHalf ? 1 : 0));
    const bytes = Buffer.byteLength(JSON.stringify(piece)) - 2;
    if (bytes <= room) return piece;
    length = Math.min(length - 2, Math.floor((length * room) / bytes));
  }
}

function pickHead(text: string): Fields {
  let fields: unknown;
  try {
    fields = JSON.parse(text);
  } catch {
    return {};
  }
  if (typeof fields !== "object" || fields === null) return {};
  const head: Record<string, unknown> = {};
  let bytes = 0;
  for (const [name, value] of Object.entries(fields).slice(0, maxLookedAt)) {
    const short = name === "msg" ? String(value).slice(0, maxHeadChars) : value;
    if (!isShort(name) || !isShort(short)) continue;
    bytes += Buffer.byteLength(JSON.stringify({ [name]: short }));
    if (bytes > maxHeadBytes) break;
    head[name] = short;
  }
  return head;
}

const isShort = (value: unknown): boolean =>
  typeof value === "number" ||
  typeof value === "boolean" ||
  (typeof value === "string" && value.length <= maxHeadChars);
