import { api, currentCall, depends, file, Service, ServingError, task, tensor } from "ekiben";
import { z } from "zod";
import { readCall, Work } from "./work.js";

const name = { input: z.string(), output: z.string() };

/** Service with durable tasks. They record their work at `Work`, which outlives a replica of this service. */
export class Chores extends Service({ replicas: 2 }) {
  work = depends(Work);

  upper = task(name, async (text) => {
    await this.work.note(`${text} ran`);
    return text.toUpperCase();
  });
  /** Second task of the same types: the two do not share ids. */
  lower = task(name, (text) => text.toLowerCase());
  anything = task({ input: z.any(), output: z.any() }, (value) => value);
  scale = task(
    { input: { values: tensor("float32", ["n"]), by: z.string().transform(Number) }, output: tensor("float32", ["n"]) },
    ({ values, by }) => ({ ...values, data: values.data.map((value) => value * by) }),
  );
  copy = task({ input: file(), output: file() }, (given) => given);
  none = task({ output: z.number() }, () => 7);
  wrong = task({ output: z.number() }, () => "seven" as unknown as number);

  hold = task({ ...name, maxConcurrent: 4 }, (text) => this.#hold(text));
  /** Survives the loss of its replicas, and of those that it calls: in a group one process has both. */
  lasting = task({ ...name, idempotent: true, attempts: 20, retryBackoffMs: 1 }, (text) => this.#hold(text));
  /** Runs one at a time in each replica. */
  narrow = task(name, (text) => this.#hold(text));
  brief = task({ ...name, timeoutMs: 150, maxConcurrent: 4 }, (text) => this.#hold(text));

  /** Fails until it has been started this often. */
  flaky = task(
    { input: z.tuple([z.string(), z.number()]), output: z.string(), idempotent: true, retryBackoffMs: 1 },
    (input) => this.#fail(...input),
  );
  fragile = task({ input: z.tuple([z.string(), z.number()]), output: z.string() }, (input) => this.#fail(...input));
  refuse = task({ input: z.string(), output: z.string(), idempotent: true, retryBackoffMs: 1 }, async (kind) => {
    await this.work.note(`${kind} refused`);
    if (kind.startsWith("unhandled")) throw new RangeError(`out of ${kind}`);
    throw new ServingError({ code: "not_found", id: "no_such_thing", message: `no ${kind}`, details: { kind } });
  });

  progress = task(name, async (text) => {
    const call = currentCall();
    call.progress(0.25, "a quarter");
    await this.work.note(`${text} begun`);
    await this.work.seen(`${text} go on`);
    call.progress(0.75);
    return text;
  });
  badProgress = task({ input: z.any(), output: z.string() }, ([fraction, note]) => {
    try {
      currentCall().progress(fraction, note);
      return "taken";
    } catch (error) {
      return error instanceof ServingError ? error.id : String(error);
    }
  });
  /** Used in placements without tasks, where it is checked and not sent. */
  noTask = api({ input: z.number(), output: z.string() }, (fraction) => {
    currentCall().progress(fraction);
    return "taken";
  });

  call = task({ output: z.any() }, () => readCall());

  async #hold(text: string): Promise<string> {
    const { signal } = currentCall();
    const aborted = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    await this.work.note(`${text} begun`);
    const released = this.work.seen(`${text} released`);
    released.catch(() => {});
    await Promise.race([released, aborted]);
    const { reason } = signal;
    // Uses scopes of its own, because the current one may have ended. The first ends calls that still wait at `Work`.
    await this.work.note(`${text} released`, { detach: true });
    const end = signal.aborted ? `${text} aborted by ${reason?.id}` : `${text} ended`;
    await this.work.note(end, { detach: true });
    return text;
  }

  async #fail(text: string, times: number): Promise<string> {
    await this.work.note(`${text} begun`);
    if ((await this.work.count(`${text} begun`)) <= times)
      throw new ServingError({ code: "internal", message: "not yet" });
    return text;
  }
}
