import { appendFileSync } from "node:fs";
import { api, depends, Service } from "ekiben";
import { z } from "zod";
import { readCall } from "./work.js";

/** Writes a line to the file it was told of: what a test can read after the app has closed. */
class Trail {
  #file: string | undefined;

  open(file: string): string {
    this.#file = file;
    return file;
  }

  write(line: string): void {
    if (this.#file !== undefined) appendFileSync(this.#file, `${line}\n`);
  }
}

const path = { input: z.string(), output: z.string() };

export class Downstairs extends Service() {
  readonly #trail = new Trail();

  override async stop(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.#trail.write("Downstairs stopped");
  }

  watch = api(path, (file) => this.#trail.open(file));
  step = api({ input: z.number(), output: z.number() }, (n) => {
    if (n === 0) this.#trail.write("first step");
    return n + 1;
  });
  call = api({ output: z.any() }, () => readCall());
}

/** The entry of a graph that is closed while it works, and of one that is served over HTTP. */
export class Upstairs extends Service() {
  readonly #trail = new Trail();
  downstairs = depends(Downstairs);

  override async stop(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.#trail.write("Upstairs stopped");
  }

  watch = api(path, (file) => this.downstairs.watch(this.#trail.open(file)));
  /** Each item is a call downstairs. */
  climb = api({ input: z.number(), yields: z.number() }, (to) => this.#climb(to));
  calls = api({ output: z.any() }, async () => [readCall(), await this.downstairs.call()]);

  async *#climb(to: number) {
    for (let n = 0; n < to; ) {
      n = await this.downstairs.step(n);
      yield n;
    }
    this.#trail.write("last step");
  }
}
