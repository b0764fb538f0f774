// An api with `yields` is a stream on both sides.
import { api, type Handle, Service } from "ekiben";
import { z } from "zod";
import { expectType } from "./expect.js";
import type { InferenceModel } from "./services.js";

declare const model: Handle<InferenceModel>;

expectType<AsyncIterable<{ word: string }>>()(model.words("a b"));
model.words(Promise.resolve("a b"));
model.words("a b", { timeoutMs: 100 });
// @ts-expect-error the wrong type
model.words(1);
// @ts-expect-error the promise of a wrong type
model.words(Promise.resolve(1));

async function read() {
  for await (const item of model.words("a b")) {
    expectType<string>()(item.word);
    // @ts-expect-error a field that the items do not have
    item.words;
  }
  // @ts-expect-error a stream is read, not awaited
  (await model.words("a b")).word;
  // @ts-expect-error a single result is not a stream
  for await (const item of model.warmUp()) void item;
}
void read;

async function* yieldItself(count: number) {
  yield count;
}

class Streams extends Service() {
  // @ts-expect-error items of a wrong type
  wrong = api({ input: z.number(), yields: z.string() }, yieldItself);
  labels = api({ input: z.string(), yields: z.object({ label: z.enum(["spam", "ham"]) }) }, async function* (text) {
    yield { label: "ham" };
    yield { label: text === "" ? "ham" : "spam" };
  });
  // @ts-expect-error one value is not a stream
  single = api({ yields: z.string() }, () => "x");
  // @ts-expect-error a list is not a stream
  list = api({ yields: z.string() }, () => ["x"]);
  // @ts-expect-error a stream is not an output
  stream = api({ output: z.string() }, async function* () {
    yield "x";
  });
  // Another service's stream may be handed on as it is.
  onward = api({ input: z.string(), yields: z.object({ word: z.string() }) }, (text) => model.words(text));
}
void Streams;
