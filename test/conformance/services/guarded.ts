import { api, currentCall, depends, type Interceptor, Service, ServingError, task } from "ekiben";
import { z } from "zod";
import { createCount, createNote, createSeen, Journal } from "./journal.js";
import { readCall, Work } from "./work.js";

const name = { input: z.string(), output: z.string() };
const texts = z.array(z.string());

/** Puts its name around each text of an answer or a stream. */
const outer: Interceptor = (call) => (call.kind === "stream" ? markItems(call.next()) : markAnswer(call.next()));

async function markAnswer(answer: Promise<unknown>): Promise<unknown> {
  const output = await answer;
  return typeof output === "string" ? `outer(${output})` : output;
}

async function* markItems(items: AsyncIterable<unknown>) {
  for await (const item of items) yield `outer(${item})`;
}

/** Service with interceptors. Its inputs say what the inner one does. */
export class Guarded extends Service({ intercept: [outer] }) {
  readonly #journal = new Journal();
  readonly #rows: string[] = [];
  work = depends(Work);

  override readonly intercept: readonly Interceptor<Guarded>[] = [
    async (call) => {
      switch (call.api) {
        case "say":
        case "sayLater":
          return this.#say(call.input, call.next);
        case "shout":
          await this.work.note(`shout ${call.input} intercepted`);
          return (await call.next()).map((row) => `<${row}>`);
        case "chore":
          await this.work.note(`${call.input} intercepted`);
          return `inner(${await call.next()})`;
        case "words":
          return call.next(`${call.input} more`);
        case "kept":
          await this.work.note(`${call.input} intercepted`);
          return `${await call.next()} for ${currentCall().headers["x-user"] ?? call.kind}`;
        default:
          return call.next();
      }
    },
  ];

  seen = createSeen(this.#journal);
  count = createCount(this.#journal);
  note = createNote(this.#journal);

  say = api(name, (text) => this.#run(text));
  sayLater = api(name, async (text) => this.#run(text));
  shout = api({ input: texts, output: texts, batch: { maxRows: 8 } }, (rows) => {
    this.#rows.push(rows.join(" "));
    if (rows.includes("throw")) throw new RangeError("out of voice");
    return rows.map((row) => row.toUpperCase());
  });
  /** Answers with rows that can't be copied. */
  odd = api({ input: texts, output: z.array(z.any()), batch: { maxRows: 8 } }, (rows) => rows.map(() => () => rows));
  batches = api({ output: texts }, () => this.#rows.splice(0));
  words = api({ input: z.string(), yields: z.string() }, async function* (text) {
    yield* text.split(" ");
  });
  chore = task(name, (text) => `${text} done`);
  kept = api({ ...name, idempotent: true, cache: { ttlMs: 60_000 } }, (text) => this.#journal.hold(text));

  #run(text: string): string {
    this.#journal.note(`${text} ran`);
    if (text.startsWith("fail")) throw new RangeError(`out of ${text}`);
    return text;
  }

  async #say(text: string, next: (input?: string) => Promise<string>): Promise<string> {
    switch (text.split(" ")[0]) {
      case "answer":
        return "inner";
      case "wrong":
        return 7 as unknown as string;
      case "throw":
        throw new TypeError("out of inner");
      case "refuse":
        throw new ServingError({ code: "permission_denied", id: "not_ann", message: "not ann" });
      case "change":
        return next("changed");
      case "twice":
        return `inner(${await next()} ${await next()})`;
      case "fail-unread":
        next().catch(() => {});
        return "inner";
      case "fail-forgotten":
        next();
        return "inner";
      case "call":
        return JSON.stringify(readCall());
      default:
        return `inner(${await next()})`;
    }
  }
}
