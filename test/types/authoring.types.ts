// What an author writes: options, contracts, the types of a function from its contract, hooks, failures.
import {
  type AppFile,
  api,
  currentCall,
  depends,
  type Logger,
  resource,
  Service,
  ServingError,
  type StartContext,
  secret,
} from "ekiben";
import { pino } from "pino";
import { z } from "zod";
import { expectType } from "./expect.js";
import { InferenceModel, Preprocessing } from "./services.js";

// Options of a service.
Service({
  name: "model",
  version: "1.2.0",
  description: "It scores.",
  labels: { team: "vision" },
  resources: { cpu: "500m", memory: "2Gi", gpu: 1, gpuType: "l4" },
  replicas: { min: 1, max: 4, targetInFlight: 8 },
  placement: "inline",
  timeoutMs: 1000,
  maxConcurrent: 4,
  maxQueued: 16,
  env: { OMP_NUM_THREADS: "1" },
  http: { cors: true, maxBodyBytes: 1_000_000 },
});
Service({ replicas: 3, resources: { cpu: 0.5 } });
Service({ env: { API_KEY: secret("API_KEY"), REGION: "eu" } });
expectType<string>()(secret("API_KEY").value());
// @ts-expect-error a secret is no text: its text is read where it is used
const leaked: string = secret("API_KEY");
({
  adminPort: 9000,
  adminHost: "127.0.0.1",
  http: { docs: false, openapi: false, schema: true, metrics: false, allowedHosts: ["models.lan"] },
  tasks: { keepHeaders: ["x-tenant"] },
}) satisfies AppFile;

// A log line has fields, a text, or both; loggers of other libraries, and narrow ones, may be passed.
for (const level of ["debug", "info", "warn", "error"] as const) {
  currentCall().log[level]("a text");
  currentCall().log[level]({ pages: 3 });
  currentCall().log[level]({ pages: 3 }, "indexed");
  // @ts-expect-error neither fields nor a text
  currentCall().log[level](3);
}
const narrow = { write(_fields: object, _message?: string) {} };
const { write } = narrow;
const ownLog: Logger = { debug: write, info: write, warn: write, error: write, child: () => ownLog };
const pinoLog: Logger = pino();
void [leaked, ownLog, pinoLog];
// @ts-expect-error an option that does not exist
Service({ replica: 3 });
// @ts-expect-error a placement that does not exist
Service({ placement: "remotely" });
// @ts-expect-error a resource that does not exist
Service({ resources: { cpus: 2 } });
// @ts-expect-error bounds need both ends
Service({ replicas: { min: 1 } });
// @ts-expect-error the base class is extended, never made
new (Service())();

// The types of the function come from the contract.
api({ input: z.object({ text: z.string(), top: z.number().default(3) }), output: z.array(z.string()) }, (input) => {
  expectType<{ text: string; top: number }>()(input);
  return [input.text];
});
api({ input: z.string().transform((text) => text.length), output: z.number() }, (length) => {
  expectType<number>()(length);
  return length;
});
api({ output: z.string() }, (...input) => {
  expectType<void>()(input[0]);
  return "";
});
// A literal in a result is the literal that the contract wants.
const Label = z.object({ label: z.enum(["spam", "ham"]), pair: z.tuple([z.string(), z.number()]) });
api({ input: z.string(), output: Label }, (text) => ({ label: text === "" ? "ham" : "spam", pair: ["a", 1] }));
api({ input: z.string(), output: Label }, async (text) => {
  if (text === "") return { label: "ham", pair: ["a", 1] };
  return { label: "spam", pair: ["b", 2] };
});
api({ output: z.enum(["spam", "ham"]) }, () => "spam");
api({ output: z.literal(1).or(z.literal(2)) }, async () => (Math.random() > 0.5 ? 1 : 2));
// @ts-expect-error none of the labels
api({ output: z.enum(["spam", "ham"]) }, () => "spma");
// @ts-expect-error none of the labels, inside an object
api({ output: z.object({ label: z.enum(["spam", "ham"]) }) }, async () => ({ label: "spma" }));
// @ts-expect-error the wrong result
api({ input: z.string(), output: z.number() }, (text) => text);
// @ts-expect-error the promise of a wrong result
api({ input: z.string(), output: z.number() }, async (text) => text);
// @ts-expect-error a missing field of the result
api({ output: z.object({ label: z.string(), score: z.number() }) }, () => ({ label: "" }));
// @ts-expect-error a function that takes something else
api({ input: z.string(), output: z.string() }, (input: number) => String(input));
// @ts-expect-error a field of the input that does not exist
api({ input: z.object({ text: z.string() }), output: z.string() }, ({ txt }) => txt);

// Contracts.
api({ output: z.string(), route: "/say", summary: "Says it.", timeoutMs: 50, idempotent: true }, () => "");
api({ output: z.string(), maxConcurrent: 1, maxQueued: 0, examples: [undefined] }, () => "");
// @ts-expect-error neither output nor yields
api({ input: z.string() }, (text: string) => text);
// @ts-expect-error both output and yields
api({ output: z.string(), yields: z.string() }, () => "");
// @ts-expect-error a type is not a schema
api({ input: String, output: z.string() }, (text: string) => text);
// @ts-expect-error a bound of the wrong type
api({ output: z.string(), timeoutMs: "1s" }, () => "");

// For callers, a contract has the input types of its schemas; for the api, their output types.
class Counter extends Service() {
  count = api(
    { input: z.object({ text: z.string(), top: z.number().default(3) }), output: z.coerce.number() },
    ({ text, top }) => text.length + top,
  );
}
const counter = new Counter();
expectType<Promise<number>>()(counter.count({ text: "x" }));
counter.count({ text: "x", top: 1 });
// @ts-expect-error the required field is still required
counter.count({ top: 1 });

// A unit test can call an instance. Its input is checked as strictly; only handles accept promises.
expectType<Promise<import("ekiben").Tensor<"float32", readonly [number]>>>()(new Preprocessing().preprocess("x"));
// @ts-expect-error the wrong type
new Preprocessing().preprocess(1);
// @ts-expect-error a class's own api takes values, not promises
new Preprocessing().preprocess(Promise.resolve("x"));

// Dependencies.
class Caller extends Service() {
  model = depends(InferenceModel, { timeoutMs: 100 });
  // @ts-expect-error not a class
  wrong = depends("InferenceModel");
  // @ts-expect-error a class that is not a service
  date = depends(Date);
  // @ts-expect-error an instance is not its class
  instance = depends(new Preprocessing());
  // @ts-expect-error an option of an edge that does not exist
  edge = depends(InferenceModel, { timeout: 100 });
}
void Caller;

// Lifecycle hooks are typed on the base class.
class Hooks extends Service() {
  override async start({ resources, replica, log, signal }: StartContext) {
    expectType<number>()(resources.cpuThreads);
    expectType<number>()(resources.memoryBytes);
    expectType<readonly number[]>()(resources.gpus);
    expectType<number>()(replica.index);
    expectType<string>()(replica.id);
    expectType<AbortSignal>()(signal);
    log.info({ loaded: true }, "model loaded");
  }
  override stop() {}
  override ready() {
    return true;
  }
}
void Hooks;
class WrongHooks extends Service() {
  // @ts-expect-error ready() answers with a boolean
  override ready() {
    return "yes";
  }
  // @ts-expect-error without `override` (noImplicitOverride) a hook can't be a typo of another
  stop() {}
}
void WrongHooks;
class HookAsApi extends Service() {
  // @ts-expect-error an api can't have the name of a hook
  override stop = api({ output: z.string() }, () => "");
}
void HookAsApi;

// A resource has the type of its value, promised or not.
class Resources extends Service() {
  promised = resource(async ({ resources }) => ({ run: () => resources.cpuThreads }));
  plain = resource(
    () => new Map<string, number>(),
    (map) => map.clear(),
  );
  closed = resource(
    async () => new Date(),
    (date) => {
      expectType<Date>()(date);
    },
  );
  // @ts-expect-error nothing opens it
  nothing = resource();
  wrong = resource(
    () => 1,
    // @ts-expect-error closed as something else
    (value: string) => value,
  );
  run = api({ output: z.number() }, () => this.promised.run());
}
expectType<{ run: () => number }>()(new Resources().promised);
expectType<Map<string, number>>()(new Resources().plain);

// The call that is being answered.
const call = currentCall();
expectType<AbortSignal>()(call.signal);
expectType<number>()(call.deadline);
expectType<number>()(call.remainingMs);
expectType<string>()(call.trace.traceId);
expectType<string>()(call.caller.service);
expectType<string | undefined>()(call.headers["authorization"]);
call.log.warn({ pages: 3 }, "odd");
// @ts-expect-error it is read, not written
call.deadline = 0;

// Failures.
const failure = new ServingError({
  code: "not_found",
  id: "no_such_page",
  message: "page 7 of 3",
  details: { page: 7 },
});
expectType<string>()(failure.id);
expectType<boolean>()(failure.retryable);
expectType<string>()(failure.service);
expectType<Readonly<Record<string, unknown>>>()(failure.details);
new ServingError({ code: "unavailable", message: "later", cause: new Error("why") });
// @ts-expect-error none of the sixteen codes
new ServingError({ code: "not_fond", message: "x" });
// @ts-expect-error no code
new ServingError({ message: "x" });
// @ts-expect-error no message
new ServingError({ code: "internal" });
// @ts-expect-error details are an object
new ServingError({ code: "internal", message: "x", details: "y" });
