import { isMainThread } from "node:worker_threads";

// An output stream of a process may break, or its reader may be stuck. Neither ends nor delays the process.
//
// GO1  A stream that fails gets no writes for `retryMs`; writes meanwhile are dropped. Its failures are never uncaught
//      errors.
// GO2  While more than `maxKeptBytes` wait for a reader, further writes are dropped. No writer waits, and memory is
//      bounded.
// GO3  Dropped writes are counted, and reported once when the stream accepts a write again.
// GO4  Waiting writes leave one by one, as they were written: joined writes could be torn apart by writes of another
//      process (see PIPE_BUF in POSIX).

/** Most bytes that wait for a reader, in one stream of one process. */
const maxKeptBytes = 1024 ** 2;

/** Pause after a failure of an output: a full disk may get space, a named pipe another reader. */
export const retryMs = 1_000;

/** Longest time a process that ends waits for a slow reader of its last writes. */
const lastWriteMs = 300;

type Done = (error?: Error | null) => void;

interface PendingWrite {
  readonly chunk: string | Uint8Array;
  readonly encoding: BufferEncoding | undefined;
  readonly done: Done | undefined;
}

/** One of the process's own output streams, guarded. */
class GuardedOutput {
  readonly #stream: NodeJS.WriteStream;
  readonly #name: string;
  readonly #write: (chunk: string | Uint8Array, encoding: BufferEncoding | undefined, done: Done) => boolean;
  #waiting: PendingWrite[] = [];
  #waitingBytes = 0;
  #isBusy = false;
  #failedAt = Number.NEGATIVE_INFINITY;
  #dropped = 0;
  #onIdle: (() => void)[] = [];

  constructor(stream: NodeJS.WriteStream, name: string) {
    this.#stream = stream;
    this.#name = name;
    this.#write = stream.write.bind(stream) as typeof this.write;
    stream.on("error", () => {
      this.#failedAt = performance.now();
    });
    const guarded = this.write.bind(this);
    stream.write = ((chunk: string | Uint8Array, encoding?: BufferEncoding | Done, done?: Done) =>
      typeof encoding === "function" ? guarded(chunk, undefined, encoding) : guarded(chunk, encoding, done)) as never;
  }

  /** Writes like a stream, but drops writes without room (GO2). @returns Always true: callers need not wait. */
  write(chunk: string | Uint8Array, encoding?: BufferEncoding, done?: Done): boolean {
    if (this.#isBroken() || this.#waitingBytes > maxKeptBytes) {
      this.#dropped++;
      if (done !== undefined) process.nextTick(done, createDropped());
    } else this.#take({ chunk, encoding, done });
    return true;
  }

  /** Writes without limit, for callers that limit and count themselves; fails at once while the stream is broken. */
  pass(text: string, done: Done): void {
    if (this.#isBroken()) process.nextTick(done, createDropped());
    else this.#take({ chunk: text, encoding: undefined, done });
  }

  /** Resolves when no write waits. */
  whenIdle(): Promise<void> {
    if (!this.#isBusy) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  #take(write: PendingWrite): void {
    // The stream accepts most writes at once, so that a process that ends has written everything.
    if (this.#waiting.length === 0 && this.#stream.writableLength === 0) {
      this.#tellDropped();
      this.#begin(write);
      return;
    }
    this.#waiting.push(write);
    this.#waitingBytes += write.chunk.length;
  }

  #begin({ chunk, encoding, done }: PendingWrite): void {
    this.#isBusy = true;
    this.#write(chunk, encoding, (error) => {
      done?.(error);
      this.#next();
    });
  }

  #next(): void {
    if (this.#stream.writableLength > 0) return;
    this.#tellDropped();
    const next = this.#waiting.shift();
    if (next !== undefined) {
      this.#waitingBytes -= next.chunk.length;
      this.#begin(next);
      return;
    }
    this.#isBusy = false;
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }

  #isBroken(): boolean {
    return performance.now() - this.#failedAt < retryMs;
  }

  #tellDropped(): void {
    const count = this.#dropped;
    if (count === 0 || this.#isBroken()) return;
    this.#dropped = 0;
    const text = `${count} ${count === 1 ? "write" : "writes"} to ${this.#name} were dropped: the stream did not accept them`;
    // Log lines are JSON for programs.
    this.#write(this.#name === "stdout" ? formatNote(text) : `${text}\n`, undefined, () => {});
  }
}

/** Formats a log line that reports dropped lines. */
export const formatNote = (msg: string): string =>
  `${JSON.stringify({ level: 40, time: Date.now(), pid: process.pid, msg })}\n`;

const createDropped = (): Error => new Error("the output does not take it");

let outputs: { readonly stdout: GuardedOutput; readonly stderr: GuardedOutput } | undefined;

/**
 * Guards the output of this process from now on, `console.log` of authors included. Later calls change nothing.
 *
 * Also makes standard output and error non-blocking, for this process and those it starts later: Node does so when it
 * opens the streams, and each process restores their mode when it ends.
 */
export function guardOutputs(): { readonly stdout: GuardedOutput; readonly stderr: GuardedOutput } {
  outputs ??= {
    stdout: new GuardedOutput(process.stdout, "stdout"),
    stderr: new GuardedOutput(process.stderr, "stderr"),
  };
  return outputs;
}

/** True when the output of this process is guarded: writes may be dropped, and none causes an error. */
export const isGuarded = (): boolean => outputs !== undefined;

/** Resolves when all writes of this process have left, or after 300 ms, when the reader is stuck or gone. */
export async function whenWritten(): Promise<void> {
  if (outputs === undefined) return;
  const idle = Promise.all([outputs.stdout.whenIdle(), outputs.stderr.whenIdle()]);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, lastWriteMs);
  });
  await Promise.race([idle, late]);
  clearTimeout(timer);
}

/** True in a worker thread: its output goes through the parent thread. */
export const isForwarded = (): boolean => !isMainThread;
