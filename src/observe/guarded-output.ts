import { isMainThread } from "node:worker_threads";

// What a process writes for people and collectors may break, or meet a reader that is stuck: neither ends the process, nor
// holds anything of it up.
//
// G1  A stream that fails is left alone for `retryMs`; what is written meanwhile is dropped. No failure of it is an uncaught error.
// G2  While more than `maxKeptBytes` wait for a reader, what is written is dropped. So nothing waits in the writer, and what is
//     kept has a bound.
// G3  What was dropped is counted, and said once when the stream takes something again.
// G4  What waits leaves as it was written, one write after another: joined, they could be torn apart by those of another process
//     (see PIPE_BUF in POSIX).

/** Waits at most for a reader, in one stream of one process. */
const maxKeptBytes = 1024 ** 2;

/** How long an output that failed is left alone: a full disk may get room, a named pipe another reader. */
export const retryMs = 1_000;

/** How long a reader that is slow may take to come to the last that a process writes. */
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

  /** As that of a stream, but what there is no room for is dropped (G2). @returns True: nobody has to wait. */
  write(chunk: string | Uint8Array, encoding?: BufferEncoding, done?: Done): boolean {
    if (this.#isBroken() || this.#waitingBytes > maxKeptBytes) {
      this.#dropped++;
      if (done !== undefined) process.nextTick(done, createDropped());
    } else this.#take({ chunk, encoding, done });
    return true;
  }

  /** For who bounds and counts by itself: writes, or fails at once while the stream is broken. */
  pass(text: string, done: Done): void {
    if (this.#isBroken()) process.nextTick(done, createDropped());
    else this.#take({ chunk: text, encoding: undefined, done });
  }

  /** Resolves when nothing waits any more. */
  whenIdle(): Promise<void> {
    if (!this.#isBusy) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  #take(write: PendingWrite): void {
    // Most are taken at once, and then an ending process has written all it was told to.
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
    const text = `${count} ${count === 1 ? "write" : "writes"} to ${this.#name} were dropped, since nothing took them`;
    // Lines of the log are JSON, and are read by programs.
    this.#write(this.#name === "stdout" ? formatNote(text) : `${text}\n`, undefined, () => {});
  }
}

/** A line of the log that says what is missing from it. */
export const formatNote = (msg: string): string =>
  `${JSON.stringify({ level: 40, time: Date.now(), pid: process.pid, msg })}\n`;

const createDropped = (): Error => new Error("the output does not take it");

let outputs: { readonly stdout: GuardedOutput; readonly stderr: GuardedOutput } | undefined;

/**
 * Guards the output of this process from now on, `console.log` of authors included. Later calls change nothing.
 *
 * It also makes standard output and error of this process, and of each it starts later, wait for nobody: Node does so when it
 * opens them, and each process restores at its end what it found.
 */
export function guardOutputs(): { readonly stdout: GuardedOutput; readonly stderr: GuardedOutput } {
  outputs ??= {
    stdout: new GuardedOutput(process.stdout, "stdout"),
    stderr: new GuardedOutput(process.stderr, "stderr"),
  };
  return outputs;
}

/** Whether the output of this process is guarded: what it writes may be lost, and nothing of it is an error. */
export const isGuarded = (): boolean => outputs !== undefined;

/** Resolves when what this process has written is on its way, or after 300 ms: its reader is stuck, or gone. */
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

/** Whether what a thread writes goes through its parent. */
export const isForwarded = (): boolean => !isMainThread;
