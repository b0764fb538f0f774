// A client has exactly the apis of the entry service, with their types as HTTP carries them.
import { api, file, Service, tensor } from "ekiben";
import { type Client, client, connect, type Received, Tensor } from "ekiben/client";
import { z } from "zod";
import { expectSame, expectType } from "./expect.js";
import type { InferenceModel, Pipeline, Preprocessing } from "./services.js";

const pipeline = await connect<Pipeline>("http://localhost:3000");
const model = await connect<InferenceModel>(new URL("http://localhost:3000"), { timeoutMs: 1000, headers: { a: "b" } });

const late = client<Pipeline>("http://localhost:3000", { retries: 2 });

// A client that connects later has the same type.
expectSame<typeof late, typeof pipeline>();
late.predict({ rawInput: "x" }, { retries: 1, keepalive: true });
// @ts-expect-error the service must be named: there is nothing to infer it from
client("http://localhost:3000").predict;

// A client has the apis and no other members of the class.
expectSame<keyof Client<Pipeline>, "predict">();
expectSame<keyof Client<InferenceModel>, "predict" | "words" | "warmUp">();
expectSame<keyof Client<Preprocessing>, "preprocess">();
// @ts-expect-error a dependency belongs to the service that declares it
pipeline.model;
// @ts-expect-error a misspelt name
pipeline.predct({ rawInput: "x" });
// @ts-expect-error a client is read-only
pipeline.predict = async () => ({ label: "", confidence: 0 });
// @ts-expect-error the service must be named: there is nothing to infer it from
(await connect("http://localhost:3000")).predict;

// Results are those of the contract; streams are read.
expectType<Promise<{ label: string; confidence: number }>>()(pipeline.predict({ rawInput: "x" }));
expectType<Promise<Tensor<"float32", readonly [8]>>>()(model.predict(new Tensor("float32", [2], new Float32Array(2))));
expectType<AsyncIterable<{ word: string }>>()(model.words("a b"));
// @ts-expect-error a stream is read, not awaited
(await model.words("a b")).word;

// Inputs are those of the contract, or promises of them.
pipeline.predict(Promise.resolve({ rawInput: "x" }));
model.predict(model.predict(new Tensor("float32", [2], new Float32Array(2))));
// @ts-expect-error the wrong type
pipeline.predict("x");
// @ts-expect-error a missing field
pipeline.predict({});
// @ts-expect-error no input at all
pipeline.predict();
// @ts-expect-error the wrong dtype
model.predict(new Tensor("int32", [2], new Int32Array(2)));
// @ts-expect-error this api takes no input
model.warmUp(1);

class Fuser extends Service() {
  fuse = api({ input: { text: z.string(), at: z.number() }, output: z.number() }, ({ at }) => at);
}
declare const fuser: Client<Fuser>;
fuser.fuse({ text: "x", at: fuser.fuse({ text: Promise.resolve("y"), at: 1 }) });
// @ts-expect-error the promise of a wrong type in a field
fuser.fuse({ text: fuser.fuse({ text: "x", at: 1 }), at: 1 });

// Options are those of a call from outside.
const { signal } = new AbortController();
pipeline.predict({ rawInput: "x" }, { timeoutMs: 100, signal, headers: { "x-team": "search" } });
model.warmUp(undefined, { signal });
model.words("a b", { timeoutMs: 100 });
// @ts-expect-error only services of the same app can detach a call
pipeline.predict({ rawInput: "x" }, { detach: true });
// @ts-expect-error a misspelt option
pipeline.predict({ rawInput: "x" }, { timeout: 100 });

class Photos extends Service() {
  resize = api({ input: { image: file(), width: z.number().optional() }, output: file() }, ({ image }) => image);
  history = api(
    { output: z.object({ at: z.date(), tags: z.set(z.string()), sizes: z.map(z.string(), z.bigint()) }) },
    () => ({
      at: new Date(),
      tags: new Set<string>(),
      sizes: new Map<string, bigint>(),
    }),
  );
  bytes = api({ input: z.instanceof(Uint8Array), output: z.instanceof(Uint8Array) }, (bytes) => bytes);
  scores = api({ output: { label: z.string(), scores: tensor("float32", ["n"]) } }, () => ({
    label: "x",
    scores: new Tensor("float32", [1], new Float32Array(1)),
  }));
  anything = api({ input: z.any(), output: z.any() }, (value) => value);
}

// Files and tensors arrive unchanged; other values that JSON does not have arrive as JSON writes them.
declare const photos: Client<Photos>;
expectType<Promise<File>>()(photos.resize({ image: new Blob(["x"], { type: "image/png" }) }));
expectType<Promise<{ label: string; scores: Tensor<"float32", readonly [number]> }>>()(photos.scores());
expectType<Promise<any>>()(photos.anything({ a: 1 }));
const history = await photos.history();
expectType<string>()(history.at);
expectType<string[]>()(history.tags);
expectType<{ [key: string]: string | number }>()(history.sizes);
expectSame<Awaited<ReturnType<typeof photos.bytes>>["length"], number>();
expectSame<Received<{ a?: string; b: readonly [number, Date] }>, { a?: string; b: readonly [number, string] }>();
expectSame<Received<unknown>, unknown>();
