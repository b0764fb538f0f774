import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as v from "valibot";
import { z } from "zod";
import { api, task } from "../define/api.js";
import { depends, type ServiceClass } from "../define/depends.js";
import { Service } from "../define/service.js";
import { tensor } from "../define/tensor-schema.js";
import { resolveOptions } from "../options/resolve-options.js";
import { checkGraph } from "./check-graph.js";
import { resolveGraph } from "./graph.js";

const output = z.string();

async function check(entry: ServiceClass, machine = { cores: 64, memoryBytes: 2 ** 40 }) {
  const graph = resolveGraph(entry);
  const services = [...graph.services.values()].map(({ name, options, apis }) => ({
    name,
    options: { ...options },
    apis: [...apis.values()].map((own) => ({ name: own.name, options: { ...own.contract } })),
  }));
  const { settings, report } = resolveOptions({ entry: graph.entry, services }, { flags: {}, env: {} });
  const findings = await checkGraph({ graph, settings, report, machine });
  return findings.map(({ kind, service, field, message }) => `${kind} ${service}.${field}: ${message}`);
}

describe("checkGraph", () => {
  it("finds nothing in a graph that is well", async () => {
    class Model extends Service() {
      run = api({ input: z.string(), output, examples: ["x"] }, (text) => text);
    }
    class App extends Service() {
      model = depends(Model, { timeoutMs: 1000 });
      run = api({ input: z.string(), output }, (text) => this.model.run(text));
    }
    assert.deepEqual(await check(App), []);
  });

  it("finds examples that do not fit, in every service", async () => {
    class Model extends Service() {
      run = api({ input: z.object({ n: z.number() }), output, examples: [{ n: 1 }, { n: "1" } as never] }, () => "");
    }
    class App extends Service() {
      model = depends(Model);
      run = api({ output }, () => "");
    }
    const [found, ...rest] = await check(App);
    assert.match(found ?? "", /^fault Model\.run\.examples\[1\]: example 1 does not fit the input schema: n: /);
    assert.deepEqual(rest, []);
  });

  it("finds the input of a schedule that does not fit", async () => {
    class App extends Service() {
      hourly = task({ input: z.object({ n: z.number() }), output, every: "1h", scheduleInput: { n: 1 } }, () => "");
      daily = task(
        { input: z.object({ n: z.number() }), output, cron: "0 3 * * *", scheduleInput: { n: "1" } as never },
        () => "",
      );
    }
    const [found, ...rest] = await check(App);
    assert.match(found ?? "", /^fault App\.daily\.scheduleInput: scheduleInput does not fit the input: .*n: /);
    assert.deepEqual(rest, []);
  });

  it("finds deadlines that no caller leaves room for, but does not speak of defaults", async () => {
    class Model extends Service() {
      slow = api({ output, timeoutMs: 9000 }, () => "");
      plain = api({ output }, () => "");
    }
    class Middle extends Service() {
      model = depends(Model, { timeoutMs: 5000 });
      run = api({ output, timeoutMs: 2000 }, () => this.model.slow());
    }
    class App extends Service() {
      middle = depends(Middle, { timeoutMs: 1000 });
      run = api({ output, timeoutMs: 4000 }, () => this.middle.run());
    }
    assert.deepEqual(await check(App), [
      "warning Middle.run.timeoutMs: 2000 ms (api() of Middle.run) can't be reached: no caller has more than 1000 ms",
      "warning Middle.model: timeoutMs 5000 of the edge to Model can't be reached: Middle's own apis end after 1000 ms",
      "warning Model.slow.timeoutMs: 9000 ms (api() of Model.slow) can't be reached: no caller has more than 1000 ms",
    ]);
  });

  it("gives a service that several call what the most patient caller leaves", async () => {
    class Model extends Service() {
      run = api({ output, timeoutMs: 3000 }, () => "");
    }
    class Other extends Service() {
      model = depends(Model);
      run = api({ output }, () => "");
    }
    class App extends Service() {
      model = depends(Model, { timeoutMs: 10 });
      other = depends(Other);
      run = api({ output }, () => "");
    }
    assert.deepEqual(await check(App), []);
  });

  it("adds up what all replicas ask of the machine", async () => {
    class App extends Service({ replicas: 3, resources: { cpu: 2, memory: "1Gi" } }) {
      run = api({ output }, () => "");
    }
    assert.deepEqual(await check(App, { cores: 4, memoryBytes: 2 * 1024 ** 3 }), [
      "warning .resources.cpu: all replicas together ask for 6 cores; this machine has 4",
      "warning .resources.memory: all replicas together ask for 3.0 GiB; this machine has 2.0 GiB",
    ]);
  });

  it("warns of services without apis, and notes schemas that can't be shown", async () => {
    class Empty extends Service() {}
    class App extends Service() {
      empty = depends(Empty);
      run = api({ input: { own: z.custom<string>(), text: z.string() }, output: z.custom<string[]>() }, () => []);
    }
    assert.deepEqual(await check(App), [
      "warning Empty.: it has no api to be called",
      "note App.run.input.own: this schema (zod) can't be fully expressed as JSON Schema: OpenAPI and /docs show any value there",
      "note App.run.output: this schema (zod) can't be fully expressed as JSON Schema: OpenAPI and /docs show any value there",
    ]);
    assert.deepEqual(await check(Empty), ["warning Empty.: the entry service has no api: nothing can be called"]);
  });

  it("has faults for values that no client can send or receive, and none for those with a form in JSON", async () => {
    const float = z.instanceof(Float32Array);
    class App extends Service() {
      run = api(
        {
          input: {
            raw: float,
            deep: z.object({ all: z.array(float) }),
            own: v.optional(v.instance(URL)),
            sign: z.symbol(),
          },
          output: z.map(z.number(), z.string()),
        },
        () => new Map(),
      );
      fine = api(
        {
          input: {
            when: z.date(),
            id: z.bigint(),
            tags: z.set(z.string()),
            sizes: z.object({ of: z.map(z.number(), z.string()) }),
            days: v.array(v.date()),
            either: z.union([z.string(), float]),
            file: z.instanceof(File),
            old: v.pipe(
              v.string(),
              v.transform((text) => new Date(text)),
              v.date(),
            ),
          },
          output: float.transform((data) => [...data]),
        },
        () => new Float32Array(1),
      );
    }
    const found = await check(App);
    assert.deepEqual(
      found.filter((finding) => finding.startsWith("fault")),
      [
        "fault App.run.input.raw: no client can send this: JSON has no form for Float32Array",
        "fault App.run.input.deep.all[]: no client can send this: JSON has no form for Float32Array",
        "fault App.run.input.own: no client can send this: JSON has no form for URL",
        "fault App.run.input.sign: no client can send this: JSON has no form for symbol",
        "fault App.run.output: no client can receive this: JSON has no form for a map whose keys are no texts",
      ],
    );
  });

  it("notes named sizes that can't be compared", async () => {
    const n = tensor("float32", ["n"]);
    class App extends Service() {
      run = api(
        {
          input: z.object({ a: n, either: z.union([z.string(), n, tensor("int64", ["m"])]), one: z.nullable(n) }),
          output: z.array(n).transform((all) => all.length),
        },
        () => [],
      );
    }
    const note = (path: string) =>
      `note App.run.${path}: size "n" of this tensor is not compared with the others of its name`;
    assert.deepEqual(
      (await check(App)).filter((finding) => finding.includes("size")),
      [note("input.either"), note("output[]")],
    );
  });
});
