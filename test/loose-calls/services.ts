import { randomUUID } from "node:crypto";
import { inspect } from "node:util";
import { api, currentCall, depends, Service, ServingError, stream, task } from "ekiben";
import { z } from "zod";

const text = { input: z.string(), output: z.string() };

/** Answers, fails, or holds its calls until they are cancelled. */
export class Model extends Service() {
  #release: () => void = () => {};
  #held: Promise<void> = Promise.resolve();
  #begun = 0;

  upper = api(text, (word) => word.toUpperCase());
  run = api(text, async (word) => this.#run(word));
  rows = api({ input: z.array(z.string()), output: z.array(z.string()), batch: { maxRows: 4 } }, (words) =>
    Promise.all(words.map((word) => this.#run(word))),
  );
  read = api({ input: stream(z.string()), output: z.string() }, async (words) => {
    for await (const word of words) await this.#run(word);
    return "read";
  });
  items = api({ input: z.string(), yields: z.string() }, async function* (this: void, word) {
    yield await runHere(word);
  });
  /** Holds nothing: a task outlives its callers. */
  job = task(text, async (word) => (word === "hold" ? word : this.#run(word)));

  /** Call that several callers wait for, until it is released. */
  shared = api(text, async (word) => {
    this.#begun++;
    this.#held = new Promise((resolve) => {
      this.#release = resolve;
    });
    await Promise.race([this.#held, whenAborted()]);
    return word;
  });
  begun = api({ output: z.number() }, () => this.#begun);
  release = api({ output: z.string() }, () => {
    this.#release();
    return "released";
  });

  #run(word: string): Promise<string> {
    return runHere(word);
  }
}

async function runHere(word: string): Promise<string> {
  if (/^bad$/i.test(word)) throw new ServingError({ code: "not_found", id: "no_such_word", message: "no such word" });
  if (/^hold$/i.test(word)) await whenAborted();
  return word;
}

const whenAborted = () =>
  new Promise<void>((resolve) => currentCall().signal.addEventListener("abort", () => resolve(), { once: true }));

type Form = (self: Forgetful, word: "bad" | "hold") => Promise<unknown>;

const next = (items: AsyncIterable<unknown>) => items[Symbol.asyncIterator]().next();

/** Every form of a call, by name; nobody awaits its result. */
const forms: Readonly<Record<string, { readonly callee: string; readonly make: Form }>> = {
  "a call": { callee: "Model.run", make: (self, word) => self.model.run(word) },
  "a detached call": { callee: "Model.run", make: (self, word) => self.model.run(word, { detach: true }) },
  "a call that batches": { callee: "Model.rows", make: (self, word) => self.model.rows([word]) },
  "a call fed with a stream": { callee: "Model.read", make: (self, word) => self.model.read([word]) },
  "a chain of calls": { callee: "Model.upper", make: (self, word) => self.model.upper(self.model.run(word)) },
  "a chain that ends in it": { callee: "Model.run", make: (self, word) => self.model.run(self.model.upper(word)) },
  "an item of a stream": { callee: "Model.items", make: (self, word) => next(self.model.items(word)) },
  "an item of a chained stream": {
    callee: "Model.items",
    make: (self, word) => next(self.model.items(self.model.run(word))),
  },
  "a task's result": { callee: "Model.job", make: (self, word) => self.model.job(word) },
  "a task's submission": {
    callee: "Model.job:submit",
    make: (self, word) => self.model.job.submit(self.model.run(word)),
  },
  "a task's status": { callee: "Model.job:status", make: (self) => self.model.job.status("nobody's") },
  "a task's result by id": { callee: "Model.job:result", make: (self) => self.model.job.result("nobody's") },
  "a task's cancellation": { callee: "Model.job:cancel", make: (self) => self.model.job.cancel("nobody's") },
  "a task's retry": { callee: "Model.job:retry", make: (self) => self.model.job.retry("nobody's") },
};

export const formNames: readonly string[] = Object.keys(forms);
export const calleeOf = (form: string): string => (forms[form] as { callee: string }).callee;
/** Forms whose calls can be held until they are cancelled. */
export const heldForms = formNames.filter((form) => !/status|by id|cancellation|retry|detached/.test(form));

/** Waits until a promise is rejected, without attaching a handler to it. */
async function whenRejected(promise: Promise<unknown>): Promise<void> {
  while (!inspect(promise).includes("<rejected>")) await new Promise((resolve) => setImmediate(resolve));
}

/** Makes calls and drops their promises. */
export class Forgetful extends Service() {
  readonly #instance = randomUUID();
  readonly #cache = new Map<string, Promise<string>>();
  model = depends(Model);

  override start(): void {
    void this.model.run("bad");
  }
  override ready(): boolean {
    void this.model.run("bad");
    return true;
  }
  override stop(): void {
    void this.model.run("bad");
  }

  instance = api({ output: z.string() }, () => this.#instance);
  /** Returns while its call is held. */
  leave = api(text, (form) => {
    void forms[form]?.make(this, "hold");
    return "left";
  });
  /** Throws while its call is held. */
  leaveByError = api(text, (form) => {
    void forms[form]?.make(this, "hold");
    throw new ServingError({ code: "aborted", id: "left", message: "left" });
  });
  /** Cancels a call by a signal of its own, and returns after the call has ended. */
  abandon = api({ output: z.string() }, async () => {
    const controller = new AbortController();
    const call = this.model.run("hold", { signal: controller.signal });
    controller.abort();
    await whenRejected(call);
    return "abandoned";
  });
  /** Returns after its call has failed. */
  drop = api(text, async (form) => {
    const call = forms[form]?.make(this, "bad") as Promise<unknown>;
    await whenRejected(call);
    return "dropped";
  });
  /** Attaches a handler to a failed call late. */
  lookLate = api(text, async (form) => {
    const call = forms[form]?.make(this, "bad") as Promise<unknown>;
    await whenRejected(call);
    return call.then(
      () => "answered",
      (error: ServingError) => error.message,
    );
  });
  dropInTask = task(text, async (form) => {
    await whenRejected(forms[form]?.make(this, "bad") as Promise<unknown>);
    return "dropped";
  });
  dropInStream = api({ input: z.string(), yields: z.string() }, (form) => this.#dropAndYield(form));
  /** Awaits one of two calls; the other fails, or is held. */
  pair = api({ input: z.array(z.string()), output: z.string() }, async ([first = "", second = ""]) => {
    const one = this.model.run(first);
    const other = this.model.run(second);
    await one;
    return other;
  });
  /** Runs a function of the author whose promise nobody awaits. */
  leaveHelper = api({ output: z.string() }, () => {
    void this.#help("hold");
    return "left";
  });
  failHelper = api({ output: z.string() }, () => {
    void this.#help("bad");
    return "left";
  });

  promiseInside = api({ input: z.string(), output: z.any() }, (word) => ({
    list: [{ value: this.model.run(word) }, this.#help(word)],
  }));
  promiseInInput = api({ output: z.any() }, () => {
    const late = this.#help("bad");
    return this.model.run({ words: [late] } as unknown as string);
  });
  promiseInItem = api({ yields: z.any() }, () => this.#yieldPromise());
  promiseInTask = task({ output: z.any() }, () => ({ value: this.#help("bad") }));
  promiseAgainstSchema = api({ output: z.object({ value: z.string() }) }, (() => ({
    value: this.#help("bad"),
  })) as unknown as () => { value: string });

  /** Cache of promises. */
  cached = api(
    { input: z.object({ word: z.string(), detach: z.boolean() }), output: z.string() },
    ({ word, detach }) => {
      const kept = this.#cache.get(word);
      if (kept !== undefined) return kept;
      const call = this.model.shared(word, { detach });
      this.#cache.set(word, call);
      return call;
    },
  );

  begun = api({ output: z.number() }, () => this.model.begun());
  release = api({ output: z.string() }, () => this.model.release());

  async *#dropAndYield(form: string) {
    await whenRejected(forms[form]?.make(this, "bad") as Promise<unknown>);
    yield "dropped";
  }

  async *#yieldPromise() {
    yield { value: this.#help("bad") };
  }

  async #help(word: string): Promise<string> {
    return await this.model.run(word);
  }
}
