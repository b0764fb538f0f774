// A handle has exactly the apis of its service, with their types; promises of inputs are accepted.
import { api, depends, file, type Handle, type MaybePromises, Service, Tensor, tensor } from "ekiben";
import { z } from "zod";
import { expectSame, expectType } from "./expect.js";
import type { InferenceModel, Pipeline, Preprocessing } from "./services.js";

declare const preprocessing: Handle<Preprocessing>;
declare const model: Handle<InferenceModel>;
declare const pipeline: Handle<Pipeline>;

// A handle has the apis and no other members of the class: no helper, hook, dependency, private or protected member.
expectSame<keyof Handle<Preprocessing>, "preprocess">();
expectSame<keyof Handle<InferenceModel>, "predict" | "words" | "warmUp">();
expectSame<keyof Handle<Pipeline>, "predict">();
// @ts-expect-error a helper method is not callable from outside
preprocessing.normalise("x");
// @ts-expect-error lifecycle hooks are the supervisor's
preprocessing.start();
// @ts-expect-error a dependency belongs to the service that declares it
pipeline.model;
// @ts-expect-error private members stay private
preprocessing.calls;
// @ts-expect-error protected members stay protected
preprocessing.cacheSize;
// @ts-expect-error a misspelt name
preprocessing.preproces("x");
// @ts-expect-error a handle is read-only
preprocessing.preprocess = async () => undefined as never;

// Results are promises of the contract's outputs.
expectType<Promise<Tensor<"float32", readonly [number]>>>()(preprocessing.preprocess("text"));
expectType<Promise<{ label: string; confidence: number }>>()(pipeline.predict({ rawInput: "x" }));

// Inputs are those of the contract.
// @ts-expect-error the wrong type
preprocessing.preprocess(1);
// @ts-expect-error no input at all
preprocessing.preprocess();
// @ts-expect-error a missing field
pipeline.predict({});
// @ts-expect-error a field of the wrong type
pipeline.predict({ rawInput: 5 });
// @ts-expect-error a misspelt field
pipeline.predict({ rawinput: "x" });
// @ts-expect-error undefined where a value is needed
preprocessing.preprocess(undefined);

// A result that is not awaited is a valid input, and its type is checked too.
expectType<Promise<Tensor<"float32", readonly [8]>>>()(model.predict(preprocessing.preprocess("text")));
preprocessing.preprocess(Promise.resolve("text"));
// @ts-expect-error the promise of a wrong type
preprocessing.preprocess(Promise.resolve(5));
// @ts-expect-error an unawaited result of a wrong type
preprocessing.preprocess(model.warmUp());
// @ts-expect-error the label of a result is not a tensor
model.predict(pipeline.predict({ rawInput: "x" }));

// Results cannot be used before they are awaited.
// @ts-expect-error an unawaited result has no fields of its own
pipeline.predict({ rawInput: "x" }).label;
async function useResults() {
  const { label } = await pipeline.predict({ rawInput: "x" });
  expectType<string>()(label);
  // @ts-expect-error a field that the output does not have
  (await pipeline.predict({ rawInput: "x" })).score;
}
void useResults;

// Fields of an input may be promises, and their types are checked too. Only the object's own fields may.
class Fusion extends Service() {
  fuse = api(
    {
      input: {
        text: z.string(),
        image: tensor("float32", [3]),
        top: z.number().default(3),
        kind: z.enum(["a", "b"]),
        tags: z.array(z.string()).optional(),
      },
      output: z.string(),
    },
    ({ text }) => text,
  );
  nested = api({ input: z.object({ inner: z.object({ text: z.string() }) }), output: z.string() }, () => "");
  either = api(
    {
      input: z.discriminatedUnion("by", [
        z.object({ by: z.literal("id"), id: z.number() }),
        z.object({ by: z.literal("name"), name: z.string() }),
      ]),
      output: z.string(),
    },
    () => "",
  );
  scores = api({ input: z.record(z.string(), z.number()), output: z.number() }, () => 1);
  list = api({ input: z.array(z.string()), output: z.string() }, () => "");
  pixels = api({ input: tensor("float32", [3]), output: tensor("float32", [3]) }, (pixels) => pixels);
  photo = api({ input: file(), output: z.string() }, () => "");
  text = api({ output: z.string() }, () => "");
  count = api({ output: z.number() }, () => 1);
}
declare const fusion: Handle<Fusion>;
const image = new Tensor("float32", [3], new Float32Array(3));
fusion.fuse({ text: fusion.text(), image: fusion.pixels(image), kind: "a" });
fusion.fuse({ text: "x", image, kind: Promise.resolve("b" as const), top: fusion.count(), tags: [] });
fusion.fuse(Promise.resolve({ text: "x", image, kind: "a" as const }));
// @ts-expect-error the promise of a wrong type in a field
fusion.fuse({ text: fusion.count(), image, kind: "a" });
// @ts-expect-error a wrong value beside a promise
fusion.fuse({ text: fusion.text(), image, kind: "c" });
// @ts-expect-error a missing field beside a promise
fusion.fuse({ text: fusion.text(), kind: "a" });
// @ts-expect-error a misspelt field beside a promise
fusion.fuse({ text: fusion.text(), image, kind: "a", tpo: 1 });
// @ts-expect-error a promise in a list
fusion.fuse({ text: "x", image, kind: "a", tags: [fusion.text()] });
// @ts-expect-error a promise with promises in its fields
fusion.fuse(Promise.resolve({ text: fusion.text(), image, kind: "a" as const }));
fusion.nested({ inner: Promise.resolve({ text: "x" }) });
// @ts-expect-error a promise deeper than the fields
fusion.nested({ inner: { text: fusion.text() } });
fusion.either({ by: "id", id: fusion.count() });
// @ts-expect-error the field of another variant
fusion.either({ by: "id", name: fusion.text() });
fusion.scores({ a: fusion.count(), b: 1 });
// @ts-expect-error a wrong score
fusion.scores({ a: fusion.text() });
// @ts-expect-error items of a list are not awaited
fusion.list([fusion.text()]);
// @ts-expect-error fields of a tensor are not awaited
fusion.pixels({ dtype: "float32", shape: [3], data: Promise.resolve(new Float32Array(3)) });
expectSame<MaybePromises<string>, string | Promise<string> | PromiseLike<string>>();
expectSame<Extract<MaybePromises<File>, { name: unknown }>, File>();
declare const whole: { text: string; image: Tensor<"float32", readonly [3]>; kind: "a" | "b" };
fusion.fuse(whole);

// Lists and records of dependencies.
class Ensemble extends Service() {
  voters = [depends(Fusion), depends(Fusion)];
  mixed = [depends(Fusion), depends(Anything)];
  models = { small: depends(Fusion), large: depends(Fusion, { timeoutMs: 100 }) };
  vote = api({ output: z.array(z.string()) }, () => Promise.all(this.voters.map((voter) => voter.text())));
  pick = api({ input: z.enum(["small", "large"]), output: z.string() }, (name) => this.models[name].text());
  wrong() {
    // @ts-expect-error no such model
    this.models.medium;
    // @ts-expect-error an api that not all of them have
    for (const one of this.mixed) void one.text();
  }
}
void Ensemble;

// An api without input is called without one; options are the second argument.
expectType<Promise<number>>()(model.warmUp());
model.warmUp(undefined, { timeoutMs: 100 });
// @ts-expect-error it takes no input
model.warmUp("x");

// An input of type `any` may be left out.
class Anything extends Service() {
  any = api({ input: z.any(), output: z.any() }, (value) => value);
  unknown = api({ input: z.unknown(), output: z.unknown() }, (value) => value);
  optional = api({ input: z.string().optional(), output: z.string() }, (text) => text ?? "");
}
declare const anything: Handle<Anything>;
anything.any({ a: 1 }, { timeoutMs: 100 });
anything.unknown("x");
anything.unknown();
anything.optional();
anything.optional("x", { timeoutMs: 100 });
new Anything().any({ a: 1 });
new Anything().unknown();
new Anything().optional();
// @ts-expect-error text or nothing
anything.optional(1);

// The second argument: a timeout, a signal, detach.
preprocessing.preprocess("x", { timeoutMs: 100, signal: new AbortController().signal, detach: true });
// @ts-expect-error an option that does not exist
preprocessing.preprocess("x", { timeout: 100 });
// @ts-expect-error an option of the wrong type
preprocessing.preprocess("x", { timeoutMs: "100" });
// @ts-expect-error no third argument
preprocessing.preprocess("x", {}, 1);
