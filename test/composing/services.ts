import { api, currentCall, depends, Service, ServingError, task } from "ekiben";
import { z } from "zod";

const text = { input: z.string(), output: z.string() };

/** Tags words; fails for `bad`, and holds `hold` until its caller has left. */
export class Words extends Service() {
  readonly #tag = "w";
  #onLeft = () => {};
  readonly #left = new Promise<void>((resolve) => {
    this.#onLeft = resolve;
  });

  tag = api(text, async (word) => {
    if (word === "bad") throw new ServingError({ code: "not_found", id: "no_such_word", message: "no such word" });
    if (word !== "hold") return `${this.#tag}:${word}`;
    const { signal } = currentCall();
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    this.#onLeft();
    return word;
  });
  /** Answers once a held word was given up. */
  left = api({ output: z.literal("left") }, async () => {
    await this.#left;
    return "left" as const;
  });
  /** A stream with state: the generator reads a private field of its service. */
  spell = api({ input: z.string(), yields: z.string() }, async function* (this: Words, word) {
    for (const letter of word) yield `${this.#tag}:${letter}`;
  });
  /** An ordinary function with `this`. */
  count = api({ input: z.string(), output: z.string() }, function (this: Words, word) {
    return `${this.#tag}:${word.length}`;
  });
}

export class Letters extends Service() {
  tag = api(text, (word) => `l:${word}`);
}

const pair = { first: z.string(), second: z.string(), rest: z.array(z.number()).optional() };

/** Takes inputs of several sources. */
class Fuser extends Service() {
  fuse = api({ input: pair, output: z.string() }, ({ first, second, rest = [] }) => [first, second, ...rest].join(" "));
  items = api({ input: pair, yields: z.string() }, async function* ({ first, second }) {
    yield first;
    yield second;
  });
  job = task({ input: pair, output: z.string() }, ({ first, second }) => `${first} ${second}`);
}

export class Front extends Service() {
  readonly #intercepted: unknown[] = [];
  words = depends(Words);
  fuser = depends(Fuser);
  watched = depends(Fuser, {
    intercept: [
      (call) => {
        this.#intercepted.push(call.input);
        return call.next();
      },
    ],
  });
  voters = [depends(Words), depends(Letters)];
  models = { short: depends(Words), long: depends(Letters) };

  both = api({ output: z.string() }, () =>
    this.fuser.fuse({ first: this.words.tag("a"), second: this.models.long.tag("b") }),
  );
  one = api({ input: z.string(), output: z.string() }, (word) =>
    this.fuser.fuse({ first: this.words.tag(word), second: "b" }),
  );
  /** Changes a field while another is awaited. */
  changed = api({ output: z.string() }, () => {
    const rest = [1];
    const call = this.fuser.fuse({ first: this.words.tag("a"), second: "b", rest });
    rest.push(2);
    return call;
  });
  failing = api({ output: z.string() }, () =>
    this.fuser.fuse({ first: this.words.tag("hold"), second: this.words.tag("bad") }),
  );
  failingBoth = api({ output: z.string() }, () =>
    this.fuser.fuse({ first: this.words.tag("bad"), second: this.words.tag("bad") }),
  );
  /** Leaves a failed call unread. */
  forgotten = api({ output: z.string() }, async () => {
    const call = this.fuser.fuse({ first: this.words.tag("bad"), second: "b" });
    await this.words.tag("bad").catch(() => {});
    await new Promise((resolve) => setImmediate(resolve));
    void call;
    return "left";
  });
  deeper = api({ output: z.string() }, () =>
    this.fuser.fuse({ first: this.words.tag("a"), second: "b", rest: [this.words.tag("bad") as never] }),
  );
  items = api({ output: z.string() }, async () => {
    const items: string[] = [];
    for await (const item of this.fuser.items({ first: this.words.tag("a"), second: "b" })) items.push(item);
    return items.join(" ");
  });
  job = api({ output: z.string() }, async () => {
    const { id } = await this.fuser.job.submit({ first: this.words.tag("a"), second: "b" });
    return `${await this.fuser.job.result(id)}, ${await this.fuser.job({ first: "c", second: this.words.tag("d") })}`;
  });

  /** Inputs as an interceptor saw them: of a call, a stream, a task. */
  intercepted = api({ output: z.any() }, async () => {
    const later = () => ({ first: this.words.tag("a"), second: "b" });
    await this.watched.fuse(later());
    for await (const _ of this.watched.items(later()));
    await this.watched.job.submit(later());
    return this.#intercepted.splice(0);
  });

  vote = api({ input: z.string(), output: z.array(z.string()) }, (word) =>
    Promise.all(this.voters.map((voter) => voter.tag(word))),
  );
  choose = api({ input: z.enum(["short", "long"]), output: z.string() }, (name) => this.models[name].tag(name));
  spell = api({ input: z.string(), yields: z.string() }, (word) => this.words.spell(word));
  count = api({ input: z.string(), output: z.string() }, (word) => this.words.count(word));
}
