import { execFileSync } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Named pipe whose reader a test controls. The reader does nothing at first. */
export class Fifo implements Disposable {
  readonly path: string;
  readonly #folder: string;
  #fd: number | undefined;
  #reader: Socket | undefined;
  #text = "";
  #watchers: (() => void)[] = [];

  constructor() {
    this.#folder = mkdtempSync(join(tmpdir(), "ekiben-fifo-"));
    this.path = join(this.#folder, "pipe");
    execFileSync("sh", ["-c", 'mkfifo "$0"', this.path]);
    this.open();
  }

  /**
   * Opens a reader that does not read. It also opens the pipe for writing, so that it sees no end of file before the
   * first writer.
   */
  open(): void {
    this.#fd = openSync(this.path, constants.O_RDWR | constants.O_NONBLOCK);
  }

  /** Closes the reader. */
  close(): void {
    if (this.#reader !== undefined) this.#reader.destroy();
    else if (this.#fd !== undefined) closeSync(this.#fd);
    this.#reader = undefined;
    this.#fd = undefined;
  }

  /** Starts reading. */
  read(): void {
    this.#reader = new Socket({ fd: this.#fd as number, readable: true, writable: false });
    this.#reader.on("data", (chunk) => {
      this.#text += chunk;
      for (const wake of this.#watchers.splice(0)) wake();
    });
    this.#reader.on("error", () => {});
  }

  /** Stops reading without closing. */
  pause(): void {
    this.#reader?.pause();
  }

  get text(): string {
    return this.#text;
  }

  /** Resolves when the text read so far matches the pattern. */
  async until(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.#text);
      if (found !== null) return found;
      await this.more();
    }
  }

  /** Resolves when more was read. */
  more(): Promise<void> {
    return new Promise((resolve) => this.#watchers.push(resolve));
  }

  [Symbol.dispose](): void {
    this.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
