// A handle has exactly the apis of its service, with their types; promises of inputs are accepted.
import { api, type Handle, Service, type Tensor } from "ekiben";
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
