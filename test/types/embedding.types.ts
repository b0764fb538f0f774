// Typed ways to use a running pipeline: a client, a composed test app, a server in a program.
import { type AppEvent, type RunningApp, run, serve } from "ekiben";
import { connect } from "ekiben/client";
import { compose } from "ekiben/testing";
import { expectType } from "./expect.js";
import { InferenceModel, Pipeline, Preprocessing } from "./services.js";

class Plain {
  predict() {}
}

async function overHttp() {
  const pipeline = await connect<Pipeline>("http://localhost:3000");
  expectType<Promise<{ label: string; confidence: number }>>()(pipeline.predict({ rawInput: "a cat" }));
  pipeline.predict({ rawInput: "a cat" }, { signal: new AbortController().signal });
  // @ts-expect-error the wrong type
  pipeline.predict({ rawInput: 1 });
  // @ts-expect-error only the entry service's apis are public
  pipeline.preprocess("x");

  const model = await connect<InferenceModel>("http://localhost:3000");
  for await (const { word } of model.words("a b")) expectType<string>()(word);
}

async function inTests() {
  await using app = await compose(Pipeline, {
    replace: [
      [InferenceModel, { predict: async (features) => ({ dtype: "float32", shape: [8], data: features.data }) }],
    ],
  });
  expectType<Promise<{ label: string; confidence: number }>>()(app.entry.predict({ rawInput: "x" }));
  app.service(Preprocessing).preprocess("x");
  // @ts-expect-error the wrong type
  app.entry.predict({ rawInput: 1 });
  // @ts-expect-error not an api
  app.service(Preprocessing).normalise("x");
  // @ts-expect-error an api that the service does not have
  await compose(Pipeline, { replace: [[InferenceModel, { predic: async () => undefined }]] });
  // @ts-expect-error a result that the contract does not allow
  await compose(Pipeline, { replace: [[InferenceModel, { warmUp: () => "one" }]] });
  // @ts-expect-error an instance is not its class
  await compose(new Preprocessing());
  // @ts-expect-error a class that is not a service
  await compose(Date);
  // @ts-expect-error a class that is not a service
  app.service(Date);
  // @ts-expect-error a class that is not a service
  app.fail(Plain);
  await compose(Pipeline, { from: import.meta.url });
  // @ts-expect-error a line is not the address of a file
  await compose(Pipeline, { from: 12 });
}

async function inAProgram() {
  const server = await serve(Pipeline, { port: 0 });
  await server.close();
  // @ts-expect-error an option that does not exist
  await serve(Pipeline, { prot: 3000 });
  // @ts-expect-error not a service class
  await serve({ predict: () => 1 });
  // @ts-expect-error a class that is not a service
  await serve(Plain);
  // @ts-expect-error a class that is not a service
  await serve(Date);
  await serve(Pipeline, { from: import.meta.url });
  await serve(Pipeline, { from: new URL("./services.js", import.meta.url) });
  await serve(Pipeline, { onEvent: (event) => expectType<AppEvent>()(event) });
  // @ts-expect-error the former name of onEvent
  await serve(Pipeline, { onProgress: () => {} });
}

async function withoutHttp() {
  await using app = await run(Pipeline, { placement: "thread", options: { services: { Pipeline: { replicas: 2 } } } });
  expectType<RunningApp<Pipeline>>()(app);
  expectType<Promise<{ label: string; confidence: number }>>()(app.entry.predict({ rawInput: "x" }));
  app.service(Preprocessing).preprocess("x");
  // @ts-expect-error the wrong type
  app.entry.predict({ rawInput: 1 });
  // @ts-expect-error a class that is not a service
  app.service(Date);
  // @ts-expect-error faults are for tests
  app.fail(Preprocessing);
  // @ts-expect-error there is no port
  await run(Pipeline, { port: 3000 });
  // @ts-expect-error a class that is not a service
  await run(Plain);
}
void [overHttp, inTests, inAProgram, withoutHttp];
