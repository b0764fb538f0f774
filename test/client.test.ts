import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { z } from "zod";
import { createCallTime } from "../src/call/call-scope.js";
import { type Client, connect } from "../src/client.js";
import {
  api,
  currentCall,
  depends,
  file,
  type Server,
  Service,
  ServingError,
  serve,
  Tensor,
  tensor,
} from "../src/index.js";
import { failureOf } from "./client/failure-of.js";
import { FakeClock } from "./fake-clock.js";
import { createTestServer } from "./http/test-server.js";
import { Journal } from "./journal.js";

const journal = new Journal();

/** Never answers by itself; reports when it begins and when it is cancelled. */
const hang = (what: string): Promise<never> =>
  new Promise((_, reject) => {
    const { signal } = currentCall();
    signal.addEventListener("abort", () => {
      journal.tell(`${what} ended`);
      reject(signal.reason);
    });
    journal.tell(`${what} began`);
  });

class Model extends Service() {
  double = api({ input: tensor("float32", ["n"]), output: tensor("float32", ["n"]) }, ({ shape, data }) => {
    return new Tensor(
      "float32",
      shape,
      data.map((value) => value * 2),
    );
  });
  load = api({ input: z.string(), output: z.string() }, (name): string => {
    throw new ServingError({ code: "not_found", id: "no_such_model", message: `no model ${name}`, details: { name } });
  });
  wait = api({ output: z.null() }, () => hang("Model.wait"));
}

class Pipeline extends Service({ version: "1.2.0" }) {
  model = depends(Model);

  label = api(
    { route: "/v1/label", input: z.object({ rawInput: z.string().min(1) }), output: z.object({ label: z.string() }) },
    ({ rawInput }) => ({ label: rawInput.toUpperCase() }),
  );
  shout = api({ input: z.string(), output: z.string() }, (text) => `${text}!`);
  version = api({ output: z.string() }, () => "1.2.0");
  double = api({ input: tensor("float32", ["n"]), output: tensor("float32", ["n"]) }, (values) =>
    this.model.double(values),
  );
  rank = api(
    {
      input: { query: tensor("float32", [2]), rows: z.array(z.string()) },
      output: { scores: tensor("int64", ["n"]), best: z.string() },
    },
    ({ rows }) => ({ scores: new Tensor("int64", [2], BigInt64Array.of(2n ** 60n, -1n)), best: rows[0] ?? "" }),
  );
  reverse = api({ input: z.instanceof(Uint8Array), output: z.instanceof(Uint8Array) }, (bytes) => bytes.toReversed());
  copy = api({ input: file(), output: file() }, (given) => given);
  inspect = api(
    {
      input: { image: file({ contentType: "image/*" }), note: z.string(), width: z.number().optional() },
      output: z.string(),
    },
    async ({ image, note, width }) => `${image.name} ${image.type} ${image.size} ${note} ${width}`,
  );
  pages = api({ input: z.object({ pages: z.array(z.any()) }), output: z.array(z.string()) }, ({ pages }) =>
    pages.map((page: File) => page.name),
  );
  count = api({ input: z.number(), yields: z.object({ n: z.number(), text: z.string() }) }, async function* (to) {
    for (let n = 0; n < to; n++) yield { n, text: "駅" };
  });
  vectors = api({ yields: tensor("float32", [1]) }, async function* () {
    yield new Tensor("float32", [1], Float32Array.of(1));
    yield new Tensor("float32", [1], Float32Array.of(Number.NaN));
  });
  failing = api({ yields: z.number() }, async function* () {
    yield 1;
    throw new ServingError({ code: "data_loss", id: "page_torn", message: "page 2 is torn", details: { page: 2 } });
  });
  endless = api({ yields: z.number() }, async function* () {
    try {
      for (let n = 0; ; n++) yield n;
    } finally {
      journal.tell("endless ended");
    }
  });
  load = api({ input: z.string(), output: z.string() }, (name) => this.model.load(name));
  crash = api({ output: z.string() }, (): string => {
    throw new TypeError("a secret");
  });
  wait = api({ output: z.null() }, () => this.model.wait());
  hang = api({ output: z.null() }, () => hang("Pipeline.hang"));
  hurry = api({ output: z.null(), timeoutMs: 20 }, () => this.model.wait());
}

describe("a client of a running server", () => {
  let server: Server;
  let pipeline: Client<Pipeline>;

  before(async () => {
    server = await serve(Pipeline, {
      port: 0,
      host: "127.0.0.1",
      env: {},
      options: { logLevel: "silent", placement: "inline" },
    });
    pipeline = await connect<Pipeline>(server.url);
  });
  after(() => server.close());

  it("calls apis by their names, whatever their routes", async () => {
    assert.deepEqual(await pipeline.label({ rawInput: "cat" }), { label: "CAT" });
    assert.equal(await pipeline.shout("hi 駅"), "hi 駅!");
    assert.equal(await pipeline.version(), "1.2.0");
    assert.equal(await pipeline.shout(pipeline.shout("a")), "a!!");
  });

  it("sends and receives tensors exactly", async () => {
    const values = new Tensor("float32", [3], Float32Array.of(0.1, -2, Number.POSITIVE_INFINITY));
    const doubled = await pipeline.double(values);
    assert.deepEqual(
      doubled,
      new Tensor(
        "float32",
        [3],
        Float32Array.of(0.1, -1, 1).map((x, i) => (values.data[i] ?? x) * 2),
      ),
    );
    const query = new Tensor("float32", [2], Float32Array.of(1, 2));
    const { scores, best } = await pipeline.rank({ query, rows: ["a", "b"] });
    assert.deepEqual([scores.data, best], [BigInt64Array.of(2n ** 60n, -1n), "a"]);
  });

  it("sends and receives bytes and files", async () => {
    assert.deepEqual(await pipeline.reverse(Uint8Array.of(1, 2, 3)), Uint8Array.of(3, 2, 1));
    for (const [name, type] of [
      ["a.png", "image/png"],
      ["駅.txt", "text/plain"],
      ["b.json", "application/json"],
    ] as const) {
      const copy = await pipeline.copy(new File(["{}"], name, { type }));
      assert.ok(copy instanceof File);
      assert.deepEqual([copy.name, copy.type.split(";")[0], await copy.text()], [name, type, "{}"]);
    }
  });

  it("sends files beside other fields", async () => {
    const image = new File(["1234"], "駅.png", { type: "image/png" });
    assert.equal(await pipeline.inspect({ image, note: '"x"', width: 7 }), '駅.png image/png 4 "x" 7');
    assert.equal(await pipeline.inspect({ image, note: "true" }), "駅.png image/png 4 true undefined");
    assert.deepEqual(await pipeline.pages({ pages: [image] }), ["駅.png"]);
    const later = { image: pipeline.copy(image), note: pipeline.shout("a") };
    assert.equal(await pipeline.inspect(later), "駅.png image/png 4 a! undefined");
    const failed = await failureOf(pipeline.inspect({ image: pipeline.copy(image), note: pipeline.load("b") }));
    assert.equal(failed.id, "no_such_model");
    const failure = await failureOf(pipeline.inspect({ image: new Blob(["x"], { type: "text/plain" }), note: "" }));
    assert.equal(failure.id, "invalid_input");
  });

  it("reads streams, tensors in them too", async () => {
    const items: unknown[] = [];
    for await (const item of pipeline.count(3)) items.push(item);
    assert.deepEqual(
      items,
      [0, 1, 2].map((n) => ({ n, text: "駅" })),
    );
    const vectors: number[] = [];
    for await (const { data } of pipeline.vectors()) vectors.push(data[0] as number);
    assert.deepEqual(vectors, [1, Number.NaN]);
    for await (const _ of pipeline.count(0)) assert.fail("there are none");
  });

  it("throws the failure of a stream after its last item", async () => {
    const items: number[] = [];
    const failure = await failureOf(
      (async () => {
        for await (const item of pipeline.failing()) items.push(item);
      })(),
    );
    assert.deepEqual(items, [1]);
    assert.deepEqual([failure.id, failure.code, failure.details], ["page_torn", "data_loss", { page: 2 }]);
  });

  it("ends a stream on the server when its reader leaves the loop", async () => {
    for await (const n of pipeline.endless()) if (n === 3) break;
    await journal.until("endless ended");
  });

  it("throws the ServingError that a service threw, over every hop", async () => {
    const failure = await failureOf(pipeline.load("bert"));
    const { id, code, message, details, service, api: name, httpStatus } = failure;
    assert.deepEqual(
      { id, code, message, details, service, name, httpStatus },
      {
        id: "no_such_model",
        code: "not_found",
        message: "no model bert",
        details: { name: "bert" },
        service: "Model",
        name: "load",
        httpStatus: 404,
      },
    );
    const { requestId, status } = failure.cause as { requestId: string; status: number };
    assert.deepEqual([requestId !== "", status], [true, 404]);
  });

  it("describes what is wrong with an input, without secrets", async () => {
    const wrong = await failureOf(pipeline.label({ rawInput: "" }));
    assert.equal(wrong.id, "invalid_input");
    assert.equal((wrong.details["issues"] as { path: string }[])[0]?.path, "rawInput");
    const crash = await failureOf(pipeline.crash());
    assert.deepEqual([crash.id, crash.code], ["unhandled_error", "internal"]);
    assert.doesNotMatch(crash.message, /secret/);
    assert.match(crash.incident ?? "", /./);
  });

  it("says which service took the time, when the server's own time for the api has passed", async () => {
    journal.told = [];
    const clock = new FakeClock();
    await using timed = await createTestServer(Pipeline, { deps: { time: createCallTime(clock) } });
    const { url } = await timed.listen();
    // A kept connection would wait for time to pass when the server closes.
    const hurried = await connect<Pipeline>(url, { headers: { connection: "close" } });
    const failing = failureOf(hurried.hurry());
    // However slow the machine is, the time is over only when the model has begun.
    await journal.until("Model.wait began");
    clock.advance(1_000);
    const failure = await failing;
    assert.deepEqual([failure.id, failure.httpStatus], ["deadline_exceeded", 504]);
    assert.deepEqual(failure.details["waitingFor"], ["Model.wait"]);
  });

  it("ends with its own time", async () => {
    const failure = await failureOf(pipeline.wait(undefined, { timeoutMs: 100 }));
    assert.equal(failure.id, "deadline_exceeded");
  });

  it("ends with its signal, and so does the call it led to", async () => {
    const controller = new AbortController();
    const call = failureOf(pipeline.hang(undefined, { signal: controller.signal }));
    await journal.until("Pipeline.hang began");
    controller.abort();
    assert.equal((await call).id, "cancelled");
    await journal.until("Pipeline.hang ended");
  });

  it("says unknown_api for a name that the server does not have", async () => {
    const older = pipeline as unknown as { classify(text: string): Promise<string> };
    assert.throws(() => older.classify("x"), { id: "unknown_api" });
  });
});
