// An api with `yields` is a stream on both sides.
import { api, type Handle, type MaybePromise, Service, type StreamSchema, stream } from "ekiben";
import type { Client } from "ekiben/client";
import { compose } from "ekiben/testing";
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

// A generator has `this` when its class is named.
class Stateful extends Service() {
  #model = { tokens: ["a"] };
  prefix = "";
  write = api({ input: z.string(), yields: z.string() }, async function* (this: Stateful, text) {
    expectType<string>()(text);
    for (const token of this.#model.tokens) yield this.prefix + token + text;
  });
  count = api({ input: z.string(), output: z.number() }, function (this: Stateful, text) {
    return text.length + this.prefix.length;
  });
  bare = api({ input: z.string(), yields: z.string() }, async function* (text) {
    // @ts-expect-error without its class, `this` has no type
    yield this.prefix + text;
  });
  wrong = api({ input: z.string(), yields: z.string() }, async function* (this: Stateful, text) {
    // @ts-expect-error a misspelt member
    yield this.prefx + text;
  });
}
class Special extends Stateful {}
declare const stateful: Handle<Special>;
expectType<AsyncIterable<string>>()(stateful.write("x"));
expectType<Promise<number>>()(new Special().count("x"));

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
  // @ts-expect-error a stream is not one value
  stream = api({ output: z.string() }, async function* () {
    yield "x";
  });
  // The stream of another service may be forwarded unchanged.
  onward = api({ input: z.string(), yields: z.object({ word: z.string() }) }, (text) => model.words(text));
}
void Streams;

// `output: stream(x)` means the same as `yields: x`.
class Outputs extends Service() {
  labels = api({ input: z.string(), output: stream(z.object({ label: z.enum(["spam", "ham"]) })) }, async function* () {
    yield { label: "ham" };
  });
  defaults = api({ output: stream({ times: z.number().default(1) }) }, async function* () {
    yield {};
  });
  // @ts-expect-error items of a wrong type
  wrong = api({ input: z.number(), output: stream(z.string()) }, yieldItself);
  // @ts-expect-error one value is not a stream
  single = api({ output: stream(z.string()) }, () => "x");
  // @ts-expect-error both output and yields
  both = api({ output: stream(z.string()), yields: z.string() }, async function* () {
    yield "x";
  });
  onward = api({ input: z.string(), output: stream(z.object({ word: z.string() })) }, (text) => model.words(text));
  unknown = api({ output: z.string() as any }, () => "x");
}
declare const outputs: Handle<Outputs>;
expectType<AsyncIterable<{ label: "spam" | "ham" }>>()(outputs.labels("x"));
expectType<AsyncIterable<{ times: number }>>()(outputs.defaults());
expectType<AsyncIterable<{ times: number }>>()(new Outputs().defaults());
expectType<Promise<any>>()(outputs.unknown());
declare const remoteOutputs: Client<Outputs>;
for await (const { label } of remoteOutputs.labels("x")) expectType<"spam" | "ham">()(label);

// An input may be a stream: any iterable for the caller, an AsyncIterable for the api.
const word = z.object({ word: z.string(), times: z.number().default(1) });

class Readers extends Service() {
  count = api({ input: stream(word), output: z.number() }, async (words) => {
    expectType<AsyncIterable<{ word: string; times: number }>>()(words);
    return 1;
  });
  upper = api({ input: stream(word), yields: z.string() }, async function* (words) {
    for await (const { word } of words) yield word.toUpperCase();
  });
  wrong = api({ input: stream(word), yields: z.string() }, async function* (words) {
    // @ts-expect-error an item has no such field
    for await (const { wort } of words) yield wort;
  });
  fields = api({ input: stream({ text: z.string() }), output: z.string() }, async (rows) => {
    for await (const { text } of rows) return text;
    return "";
  });
}
type Words =
  | AsyncIterable<{ word: string; times?: number | undefined }>
  | Iterable<{ word: string; times?: number | undefined }>;
expectType<StreamSchema<{ word: string; times?: number | undefined }, { word: string; times: number }>>()(stream(word));

declare const readers: Handle<Readers>;
declare const remote: Client<Readers>;
declare const words: Words;
for (const one of [readers, remote]) {
  expectType<Promise<number>>()(one.count(words));
  one.count([{ word: "a" }]);
  one.count(new Set([{ word: "a", times: 2 }]));
  one.count(model.words("a b"));
  one.count(Promise.resolve([{ word: "a" }]));
  one.upper(model.words("a b"));
  // @ts-expect-error one item is no stream
  one.count({ word: "a" });
  // @ts-expect-error items of a wrong type
  one.count([{ word: 1 }]);
  // @ts-expect-error a stream of something else
  one.count(one.upper(words));
}
// @ts-expect-error nothing at all
readers.count();
// @ts-expect-error nothing at all
remote.count();
expectType<AsyncIterable<string>>()(readers.upper(words));
new Readers().count([{ word: "a" }]);

void compose(Readers, {
  replace: [
    [
      Readers,
      {
        count: async (given) => {
          for await (const { word } of given) return word.length;
          return 0;
        },
      },
    ],
  ],
});
void (undefined as MaybePromise<Words> | undefined);
