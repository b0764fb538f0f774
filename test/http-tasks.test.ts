import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { z } from "zod";
import { currentCall } from "../src/call/invoke.js";
import { api, task } from "../src/define/api.js";
import { file } from "../src/define/file.js";
import { Service } from "../src/define/service.js";
import { Tensor } from "../src/define/tensor.js";
import { tensor } from "../src/define/tensor-schema.js";
import { ServingError } from "../src/failure/serving-error.js";
import { encodeNpy } from "../src/http/npy.js";
import { createTestServer, type TestServer } from "./http/test-server.js";

/** Lets a test hold a task and see when it has begun. */
class Gate {
  readonly begun: Promise<void>;
  readonly #opened: Promise<void>;
  begin!: () => void;
  open!: () => void;

  constructor() {
    this.begun = new Promise((resolve) => (this.begin = resolve));
    this.#opened = new Promise((resolve) => (this.open = resolve));
  }

  async pass(signal: AbortSignal): Promise<void> {
    this.begin();
    await Promise.race([this.#opened, new Promise((resolve) => signal.addEventListener("abort", resolve))]);
  }
}

const gates = new Map<string, Gate>();
const gateOf = (name: string): Gate => {
  const gate = gates.get(name) ?? new Gate();
  gates.set(name, gate);
  return gate;
};

class Chores extends Service() {
  train = task(
    { input: z.object({ name: z.string() }), output: z.object({ loss: z.number() }), summary: "Trains." },
    async ({ name }) => {
      const { signal } = currentCall();
      currentCall().progress(0.5, "half of it");
      if (name === "bad") throw new ServingError({ code: "not_found", id: "no_data", message: "no data" });
      if (name === "broken") throw new Error("secret");
      if (name.startsWith("held")) await gateOf(name).pass(signal);
      return { loss: name.length };
    },
  );
  scale = task({ input: tensor("float32", ["n"]), output: tensor("float32", ["n"]) }, (values) => values);
  read = task({ input: { file: file() }, output: z.string() }, async ({ file: given }) => given.text());
  nightly = task({ output: z.number(), cron: "0 3 * * *", timeZone: "Europe/Rome" }, () => 1);
  plain = api({ output: z.number() }, () => 1);
}

describe("tasks over HTTP", () => {
  let folder: string;
  let server: TestServer;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "ekiben-http-tasks-"));
    server = await createTestServer(Chores, { data: folder });
  });
  after(async () => {
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  type Method = "GET" | "POST" | "PUT";
  const send = async (method: Method, url: string, payload?: unknown, headers: Record<string, string> = {}) => {
    const body = payload === undefined ? {} : { payload: payload as object };
    const response = await server.fastify.inject({ method, url, headers, ...body });
    const isJson = String(response.headers["content-type"]).startsWith("application/json");
    return {
      status: response.statusCode,
      body: isJson ? response.json() : response.body,
      headers: response.headers,
      response,
    };
  };
  const submit = async (name: string): Promise<string> => (await send("POST", "/train/submit", { name })).body.task_id;
  const ended = (id: string) => send("GET", `/train/get?task_id=${id}&wait=true`);

  it("are submitted, and answered from the store", async () => {
    const submitted = await send("POST", "/train/submit", { name: "first" });
    assert.equal(submitted.status, 200);
    const { task_id, status } = submitted.body;
    assert.match(task_id, /^[0-9a-f]{32}$/);
    assert.ok(["pending", "in_progress"].includes(status), status);
    assert.deepEqual((await ended(task_id)).body, { loss: 5 });
    const got = await send("GET", `/train/get?task_id=${task_id}`);
    assert.deepEqual([got.status, got.body], [200, { loss: 5 }]);
    const state = (await send("GET", `/train/status?task_id=${task_id}`)).body;
    const { created_at, executed_at, ended_at, ...rest } = state;
    assert.deepEqual(rest, { task_id, status: "completed", attempt: 1, progress: 0.5, note: "half of it" });
    for (const time of [created_at, executed_at, ended_at]) assert.match(time, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  });

  it("are submitted once for one idempotency-key, at either path, whatever else differs", async () => {
    const headers = { "idempotency-key": '"order 7"' };
    const all = await Promise.all(
      Array.from({ length: 8 }, () => send("POST", "/train/submit", { name: "keyed" }, headers)),
    );
    const ids = new Set(all.map(({ body }) => body.task_id));
    assert.deepEqual([ids.size, all.every(({ status }) => status === 200)], [1, true]);
    const called = await send("POST", "/train", { name: "keyed" }, { ...headers, "x-request-id": "another" });
    assert.deepEqual([called.status, called.body], [200, { loss: 5 }]);
    const again = await send("POST", "/train/submit", { name: "keyed" }, headers);
    assert.deepEqual([again.body.task_id, again.body.status], [[...ids][0], "completed"]);
    const other = await send("POST", "/train/submit", { name: "another" }, headers);
    assert.deepEqual([other.status, other.body.id], [409, "task_key_reused"]);
    assert.deepEqual(other.body.details, { key: '"order 7"', taskId: [...ids][0] });
    const empty = await send("POST", "/train/submit", { name: "x" }, { "idempotency-key": "" });
    assert.deepEqual([empty.status, empty.body.id], [400, "invalid_task_key"]);
  });

  it("are submitted with a delay by the header ekiben-delay-ms, and tell until when they wait", async () => {
    const submitted = await send("POST", "/train/submit", { name: "later" }, { "ekiben-delay-ms": "60000" });
    const id = submitted.body.task_id;
    const { status, created_at, not_before } = (await send("GET", `/train/status?task_id=${id}`)).body;
    assert.deepEqual([status, Date.parse(not_before) - Date.parse(created_at)], ["pending", 60_000]);
    assert.equal((await send("PUT", `/train/cancel?task_id=${id}`)).body.status, "canceled");
    for (const delay of ["", "1.5", "-1", "soon"]) {
      const { status, body } = await send("POST", "/train/submit", { name: "x" }, { "ekiben-delay-ms": delay });
      assert.deepEqual([status, body.id], [400, "invalid_header"], delay);
    }
    const long = await send("POST", "/train/submit", { name: "x" }, { "ekiben-delay-ms": "31536000001" });
    assert.deepEqual([long.status, long.body.id], [400, "invalid_task_delay"]);
  });

  it("of a schedule tell it in the OpenAPI document", async () => {
    const { paths } = (await send("GET", "/openapi.json")).body;
    assert.equal(paths["/nightly"].post["x-ekiben-schedule"], "cron 0 3 * * * (Europe/Rome)");
    assert.match(paths["/nightly"].post.description, /runs by itself: cron 0 3/);
    const named = paths["/nightly/submit"].post.parameters.map(({ name }: { name: string }) => name);
    assert.deepEqual(named, ["idempotency-key", "ekiben-delay-ms", "ekiben-timeout-ms"]);
  });

  it("take an uploaded file for the same when it is sent again", async () => {
    const upload = () => {
      const boundary = `b${Math.random()}`;
      const part = 'content-disposition: form-data; name="file"; filename="a.txt"\r\ncontent-type: text/plain';
      const payload = `--${boundary}\r\n${part}\r\n\r\nhello\r\n--${boundary}--\r\n`;
      const type = { "content-type": `multipart/form-data; boundary=${boundary}` };
      return send("POST", "/read/submit", payload, { ...type, "idempotency-key": "a file" });
    };
    const [first, second] = [await upload(), await upload()];
    assert.deepEqual([first.status, second.status], [200, 200], JSON.stringify(second.body));
    assert.equal(second.body.task_id, first.body.task_id);
  });

  it("can be called like any api, which waits for the result", async () => {
    const { status, body } = await send("POST", "/train", { name: "called" });
    assert.deepEqual([status, body], [200, { loss: 6 }]);
  });

  it("read and write tensors as any api does", async () => {
    const npy = encodeNpy(new Tensor("float32", [2], new Float32Array([1, 2])));
    const submitted = await send("POST", "/scale/submit", npy, { "content-type": "application/x-npy" });
    const url = `/scale/get?task_id=${submitted.body.task_id}`;
    const waited = await send("GET", `${url}&wait=true`, undefined, { accept: "application/x-npy" });
    assert.equal(waited.headers["content-type"], "application/x-npy");
    assert.deepEqual(waited.response.rawPayload, Buffer.from(npy));
    assert.deepEqual((await send("GET", url)).body, [1, 2]);
    const refused = await send("GET", url, undefined, { accept: "image/png" });
    assert.deepEqual([refused.status, refused.body.id], [406, "not_acceptable"]);
  });

  it("refuse a bad input when it is handed in", async () => {
    const wrong = await send("POST", "/train/submit", { name: 5 });
    assert.deepEqual([wrong.status, wrong.body.id, wrong.body.api], [400, "invalid_input", "train"]);
    assert.match(wrong.body.error, /^name: /);
    const json = await send("POST", "/train/submit", "{", { "content-type": "application/json" });
    assert.deepEqual([json.status, json.body.id], [400, "invalid_json"]);
    const type = await send("POST", "/train/submit", "x", { "content-type": "text/css" });
    assert.deepEqual([type.status, type.body.id], [415, "unsupported_media_type"]);
  });

  it("that failed answer with their own failure; unexpected errors stay masked", async () => {
    const bad = await ended(await submit("bad"));
    assert.deepEqual([bad.status, bad.body.id, bad.body.error], [404, "no_data", "no data"]);
    const id = await submit("broken");
    const broken = await ended(id);
    assert.deepEqual([broken.status, broken.body.id], [500, "unhandled_error"]);
    assert.match(broken.body.error, /^internal error; incident [0-9a-f]{12}$/);
    const { failure, status } = (await send("GET", `/train/status?task_id=${id}`)).body;
    assert.deepEqual([status, failure.error, failure.id], ["failed", broken.body.error, "unhandled_error"]);
  });

  it("that have not finished say so, can't be retried, and can be cancelled", async () => {
    const id = await submit("held and cancelled");
    await gateOf("held and cancelled").begun;
    for (const [method, what] of [
      ["GET", "get"],
      ["POST", "retry"],
    ] as const) {
      const { status, body } = await send(method, `/train/${what}?task_id=${id}`);
      assert.deepEqual(
        [status, body.id, body.details],
        [400, "task_not_finished", { taskId: id, status: "in_progress" }],
      );
    }
    const asked = await send("PUT", `/train/cancel?task_id=${id}`);
    assert.equal(asked.status, 200);
    assert.equal(asked.body.task_id, id);
    const { status, body } = await ended(id);
    assert.deepEqual([status, body.id], [409, "task_canceled"]);
    const again = await send("POST", `/train/retry?task_id=${id}`);
    assert.equal(again.status, 200);
    assert.notEqual(again.body.task_id, id);
    gateOf("held and cancelled").open();
    assert.deepEqual((await ended(again.body.task_id)).body, { loss: 18 });
  });

  it("tell a wait that is too short", async () => {
    const id = await submit("held long");
    const url = `/train/get?task_id=${id}&wait=true`;
    const { status, body } = await send("GET", url, undefined, { "ekiben-timeout-ms": "20" });
    assert.deepEqual([status, body.id], [504, "deadline_exceeded"]);
    gateOf("held long").open();
    assert.equal((await ended(id)).status, 200);
  });

  it("send their status as events until they end", async () => {
    const id = await submit("held for events");
    await gateOf("held for events").begun;
    const accept = { accept: "text/event-stream" };
    const events = send("GET", `/train/status?task_id=${id}`, undefined, accept);
    while ((await send("GET", `/train/status?task_id=${id}`)).body.progress === undefined) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    gateOf("held for events").open();
    const { headers, body } = await events;
    assert.match(String(headers["content-type"]), /^text\/event-stream/);
    const states = [...String(body).matchAll(/^data: (.*)$/gm)].map(([, text]) => JSON.parse(String(text)));
    assert.equal(states[0].status, "in_progress");
    assert.deepEqual([states.at(-1).status, states.at(-1).progress], ["completed", 0.5]);
    const late = await send("GET", `/train/status?task_id=${id}`, undefined, accept);
    assert.equal([...String(late.body).matchAll(/^data: /gm)].length, 1);
    const unknown = await send("GET", `/train/status?task_id=${"0".repeat(32)}`, undefined, accept);
    assert.deepEqual([unknown.status, JSON.parse(String(unknown.response.body)).id], [404, "unknown_task"]);
  });

  it("need an id that this api has given", async () => {
    const { task_id: other } = (await send("POST", "/scale/submit", [1])).body;
    for (const [method, what] of [
      ["GET", "status"],
      ["GET", "get"],
      ["PUT", "cancel"],
      ["POST", "retry"],
    ] as const) {
      for (const query of ["", "?task_id=", "?task_id=a&task_id=b", "?id=5"]) {
        const { status, body } = await send(method, `/train/${what}${query}`);
        assert.deepEqual([status, body.id], [400, "task_id_missing"], `${what}${query}`);
      }
      for (const id of ["nothing", "0".repeat(32), other, "../../etc/passwd"]) {
        const { status, body } = await send(method, `/train/${what}?task_id=${encodeURIComponent(id)}`);
        assert.deepEqual([status, body.id, body.api], [404, "unknown_task", "train"], `${what} of ${id}`);
      }
    }
  });

  it("answer a wrong method with the right one, and have no such paths beside other apis", async () => {
    for (const [method, path, allow] of [
      ["GET", "/train/submit", "POST, OPTIONS"],
      ["POST", "/train/cancel", "PUT, OPTIONS"],
      ["PUT", "/train/status", "GET, HEAD, OPTIONS"],
    ] as const) {
      const { status, body, headers } = await send(method, path);
      assert.deepEqual([status, body.id, headers["allow"]], [405, "method_not_allowed", allow]);
    }
    assert.equal((await send("POST", "/plain/submit", {})).status, 404);
  });

  it("are described in the documents", async () => {
    const schema = (await send("GET", "/schema.json")).body;
    assert.deepEqual(
      schema.routes.map(({ name, kind, is_task }: Record<string, unknown>) => [name, kind, is_task]),
      [
        ["train", "task", true],
        ["scale", "task", true],
        ["read", "task", true],
        ["nightly", "task", true],
        ["plain", "unary", false],
      ],
    );
    const { paths } = (await send("GET", "/openapi.json")).body;
    for (const [what, method] of [
      ["submit", "post"],
      ["status", "get"],
      ["get", "get"],
      ["cancel", "put"],
      ["retry", "post"],
    ]) {
      assert.equal(paths[`/train/${what}`][method as string]["x-ekiben-task-of"], "train");
    }
  });
});
