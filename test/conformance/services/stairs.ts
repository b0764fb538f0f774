import { appendFileSync } from "node:fs";
import { api, currentCall, depends, Service } from "ekiben";
import { z } from "zod";
import { readCall } from "./work.js";

/** Appends a line to a given file, which a test can read after the app has closed. */
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
  who = api({ output: z.any() }, () => currentCall().context);
}

/** Entry of a graph that is closed while it works, and of a graph that is served over HTTP. */
export class Upstairs extends Service() {
  readonly #trail = new Trail();
  downstairs = depends(Downstairs);

  override async stop(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.#trail.write("Upstairs stopped");
  }

  watch = api(path, (file) => this.downstairs.watch(this.#trail.open(file)));
  /** Yields items, each of which is a call to the next service. */
  climb = api({ input: z.number(), yields: z.number() }, (to) => this.#climb(to));
  calls = api({ output: z.any() }, async () => [readCall(), await this.downstairs.call()]);

  who = api({ output: z.any() }, async () => [
    currentCall().context,
    await this.downstairs.who(),
    await this.downstairs.who(undefined, { detach: true }),
  ]);
  whoItems = api({ yields: z.any() }, () => this.#whoItems());
  /** Sets its response, before and after an await. */
  respond = api({ status: 201, output: z.string() }, async () => {
    currentCall().response.header("x-step", 1);
    await this.downstairs.step(1);
    currentCall().response.cookie("step", "2");
    return "done";
  });
  respondItems = api({ yields: z.string() }, () => this.#respondItems());

  async *#whoItems() {
    yield currentCall().context;
    yield await this.downstairs.who();
  }

  async *#respondItems() {
    const { response } = currentCall();
    response.status(202);
    response.header("x-step", 1);
    yield "first";
    try {
      response.header("x-late", 1);
    } catch (error) {
      yield (error as Error).message;
    }
  }

  async *#climb(to: number) {
    for (let n = 0; n < to; ) {
      n = await this.downstairs.step(n);
      yield n;
    }
    this.#trail.write("last step");
  }
}
