// Interceptors know the apis of their service; caches and rate limits have their options and no others.
import {
  api,
  depends,
  type EdgeInterceptor,
  type IncomingCall,
  type Interceptor,
  type OutgoingCall,
  rateLimit,
  Service,
  task,
} from "ekiben";
import { z } from "zod";
import { expectSame, expectType } from "./expect.js";

const audit: Interceptor = async (call) => {
  expectType<string>()(call.api);
  expectType<unknown>()(call.input);
  return call.next();
};

class Model extends Service({ intercept: [audit, rateLimit({ limit: 1, windowMs: 1000 })] }) {
  suffix = "!";
  override readonly intercept: readonly Interceptor<Model>[] = [
    audit,
    async (call) => {
      expectType<"say" | "count" | "words" | "train">()(call.api);
      expectType<"unary" | "stream" | "task">()(call.kind);
      if (call.api === "say") {
        expectType<string>()(call.input);
        expectType<Promise<string>>()(call.next(call.input + this.suffix));
        // @ts-expect-error an input that the api does not take
        call.next(7);
      }
      // The types inside: the input as its schema has changed it, the output before its check.
      if (call.api === "count") {
        expectType<{ text: string; top: number }>()(call.input);
        expectType<Promise<Date>>()(call.next());
      }
      if (call.api === "words") expectType<AsyncIterable<string>>()(call.next());
      return call.next();
    },
    ({ api: name, input, next }) => (name === "say" ? next(input.trim()) : next()),
    (call) => {
      // @ts-expect-error an api that does not exist
      if (call.api === "shout") throw new Error("louder");
      return call.next();
    },
  ];

  say = api({ input: z.string(), output: z.string() }, (text) => text);
  count = api(
    {
      input: z.object({ text: z.string(), top: z.number().default(3) }),
      output: z.date().transform((date) => date.getTime()),
    },
    () => new Date(),
  );
  words = api({ input: z.string(), yields: z.string() }, async function* (text) {
    yield text;
  });
  train = task({ input: z.number(), output: z.boolean() }, () => true);
}
expectSame<IncomingCall<Model>["api"], "say" | "count" | "words" | "train">();
expectSame<OutgoingCall<Model>["api"], "say" | "count" | "words" | "train" | "train:submit">();
expectType<Promise<number>>()(new Model().count({ text: "x" }));

class Caller extends Service() {
  ledger = depends(Model);
  model = depends(Model, {
    timeoutMs: 100,
    intercept: [
      audit,
      rateLimit({ limit: 10, windowMs: 1000, key: ({ api }) => api }),
      async (call) => {
        // The types outside, as the caller writes and reads them.
        if (call.api === "count") {
          expectType<{ text: string; top?: number | undefined }>()(call.input);
          expectType<Promise<number>>()(call.next());
        }
        if (call.api === "train:submit") {
          expectType<number>()(call.input);
          expectType<Promise<{ readonly id: string }>>()(call.next());
        }
        await this.ledger.say("x");
        return call.next();
      },
    ],
  });
  // @ts-expect-error not a list
  single = depends(Model, { intercept: audit });
}
void Caller;
const edge: EdgeInterceptor<Model> = (call) => call.next();
// @ts-expect-error no api answers so
const wrongEdge: EdgeInterceptor<Model> = async () => Symbol("x");
void [edge, wrongEdge];
// @ts-expect-error no api answers so
const wrong: Interceptor<Model> = async () => Symbol("x");
void wrong;
class Other extends Service() {
  shout = api({ input: z.number(), output: z.string() }, String);
}
// @ts-expect-error an interceptor of one service fits no other
const other: Interceptor<Model> = (call: IncomingCall<Other>) => call.next();
void other;
// @ts-expect-error not a function
Service({ intercept: ["audit"] });

const kept = { input: z.string(), output: z.string(), idempotent: true };
api({ ...kept, cache: { ttlMs: 1000, maxEntries: 10, maxBytes: "1MiB", key: () => "tenant" } }, (text) => text);
// @ts-expect-error an answer is kept for some time
api({ ...kept, cache: {} }, (text) => text);
// @ts-expect-error the text may be missing
api({ ...kept, cache: { ttlMs: 1, key: () => undefined } }, (text) => text);
// @ts-expect-error a task has no cache
task({ ...kept, cache: { ttlMs: 1 } }, (text) => text);
// @ts-expect-error no window
rateLimit({ limit: 1 });
// @ts-expect-error a key is text
rateLimit({ limit: 1, windowMs: 1, key: () => 7 });
