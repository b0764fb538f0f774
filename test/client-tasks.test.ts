import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { z } from "zod";
import { type Client, type ClientCallOptions, connect } from "../src/client.js";
import {
  api,
  currentCall,
  depends,
  file,
  type Server,
  Service,
  ServingError,
  serve,
  type TaskState,
  Tensor,
  task,
  tensor,
} from "../src/index.js";
import { collect, failureOf } from "./conformance/suite.js";

let hasBegun = (): void => {};

class Chores extends Service() {
  double = task({ input: tensor("float32", ["n"]), output: tensor("float32", ["n"]) }, ({ shape, data }) => {
    currentCall().progress(1, "done");
    return new Tensor(
      "float32",
      shape,
      data.map((value) => value * 2),
    );
  });
  shout = task({ input: file(), output: file() }, async (given) => {
    return new File([(await given.text()).toUpperCase()], "loud.txt", { type: "text/plain" });
  });
  fail = task({ input: z.string(), output: z.string() }, (kind): string => {
    if (kind === "own") throw new ServingError({ code: "aborted", id: "own", message: "no", details: { kind } });
    throw new Error("secret");
  });
  hold = task({ output: z.string() }, async () => {
    const { signal } = currentCall();
    hasBegun();
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    return "late";
  });
}

class Front extends Service() {
  chores = depends(Chores);
  hand = api({ input: z.string(), output: z.string() }, async (kind) => (await this.chores.fail.submit(kind)).id);
}

describe("a client of tasks", () => {
  let folder: string;
  let server: Server;
  let client: Client<Chores>;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "ekiben-client-tasks-"));
    const options = { logLevel: "silent", placement: "inline", data: folder } as const;
    server = await serve(Chores, { port: 0, host: "127.0.0.1", options });
    client = await connect<Chores>(server.url);
  });
  after(async () => {
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("hands in, waits for the result and reads the status", async () => {
    const input = new Tensor("float32", [2], new Float32Array([1.5, 2]));
    const { id } = await client.double.submit(Promise.resolve(input));
    assert.deepEqual(await client.double.result(id), new Tensor("float32", [2], new Float32Array([3, 4])));
    assert.deepEqual((await client.double(input)).data, new Float32Array([3, 4]));
    const { createdAt, startedAt, endedAt, ...state } = await client.double.status(id);
    assert.deepEqual(state, { id, status: "completed", attempt: 1, progress: 1, note: "done" });
    for (const time of [createdAt, startedAt, endedAt]) assert.ok(time instanceof Date && Number(time) > 0);
  });

  it("hands in once for one key", async () => {
    const key = "order 7";
    const [first, second] = [await client.fail.submit("own", { key }), await client.fail.submit("own", { key })];
    assert.deepEqual(first, second);
    assert.equal((await failureOf(client.fail("own", { key }))).id, "own");
    const other = await failureOf(client.fail.submit("hidden", { key }));
    assert.deepEqual([other.id, other.code, other.retryable], ["task_key_reused", "already_exists", false]);
  });

  it("sends and gets files", async () => {
    const { id } = await client.shout.submit(new File(["hey"], "a.txt", { type: "text/plain" }));
    const loud = (await client.shout.result(id)) as File;
    assert.deepEqual([loud.name, await loud.text()], ["loud.txt", "HEY"]);
  });

  it("gets the task's own failure, and the problem of a wrong request", async () => {
    const own = await client.fail.submit("own");
    const failure = await failureOf(client.fail.result(own.id));
    assert.deepEqual([failure.code, failure.id, failure.details], ["aborted", "own", { kind: "own" }]);
    const state = await client.fail.status(own.id);
    assert.deepEqual([state.status, state.failure?.id, state.failure?.message], ["failed", "own", "no"]);
    const hidden = await failureOf(client.fail.result((await client.fail.submit("hidden")).id));
    assert.match(hidden.message, /^internal error; incident /);
    assert.equal((await failureOf(client.fail.submit(5 as never))).id, "invalid_input");
    assert.equal((await failureOf(client.fail.status("no such"))).id, "unknown_task");
    assert.equal((await failureOf(client.fail.status(""))).id, "task_id_missing");
  });

  it("cancels, retries, and stops to wait by time and by signal", async () => {
    const begun = new Promise<void>((resolve) => (hasBegun = resolve));
    const { id } = await client.hold.submit();
    await begun;
    assert.equal((await failureOf(client.hold.retry(id))).id, "task_not_finished");
    assert.equal((await failureOf(client.hold.result(id, { timeoutMs: 30 }))).code, "deadline_exceeded");
    const controller = new AbortController();
    const waiting = failureOf(client.hold.result(id, { signal: controller.signal }));
    controller.abort();
    assert.equal((await waiting).code, "cancelled");
    const result = failureOf(client.hold.result(id));
    assert.equal((await client.hold.cancel(id)).id, id);
    assert.deepEqual([(await result).id, (await client.hold.status(id)).status], ["task_canceled", "canceled"]);
    const again = await client.hold.retry(id);
    assert.notEqual(again.id, id);
    await client.hold.cancel(again.id);
    assert.equal((await failureOf(client.hold.result(again.id))).id, "task_canceled");
  });

  it("watches a task: its present state at once, each change, and its end as the last", async () => {
    const begun = new Promise<void>((resolve) => (hasBegun = resolve));
    const { id } = await client.hold.submit();
    await begun;
    const seen: TaskState[] = [];
    for await (const state of client.hold.watch(id)) {
      seen.push(state);
      if (seen.length > 1) continue;
      // A running task is only asked to end: the state says so.
      const { status, isCancelAsked } = await client.hold.cancel(id);
      assert.deepEqual([status, isCancelAsked], ["in_progress", true]);
    }
    assert.ok(seen[0]?.status === "in_progress" && seen[0].startedAt instanceof Date);
    assert.deepEqual(seen.at(-1), await client.hold.status(id));
    assert.equal(seen.at(-1)?.status, "canceled");
    assert.equal(new Set(seen.map((state) => JSON.stringify(state))).size, seen.length);
    const ended = await collect(client.hold.watch(id));
    assert.deepEqual(ended, [seen.at(-1)]);
  });

  it("watches no longer than its time or its signal, and leaves nothing open", async () => {
    const begun = new Promise<void>((resolve) => (hasBegun = resolve));
    const { id } = await client.hold.submit();
    await begun;
    const read = async (options: ClientCallOptions) => {
      for await (const _ of client.hold.watch(id, options));
    };
    assert.equal((await failureOf(read({ timeoutMs: 50 }))).code, "deadline_exceeded");
    const controller = new AbortController();
    const watching = failureOf(read({ signal: controller.signal }));
    controller.abort();
    assert.equal((await watching).code, "cancelled");
    for await (const state of client.hold.watch(id)) {
      assert.equal(state.id, id);
      break;
    }
    const left = client.hold.watch(id)[Symbol.asyncIterator]();
    await left.next();
    const next = failureOf(left.next());
    await left.return?.();
    assert.equal((await next).code, "cancelled");
    assert.equal((await failureOf(collect(client.hold.watch("f".repeat(32))))).id, "unknown_task");
    await client.hold.cancel(id);
  });

  it("watches on when its connection is lost", async () => {
    const begun = new Promise<void>((resolve) => (hasBegun = resolve));
    const { id } = await client.hold.submit();
    await begun;
    const cut: (() => void)[] = [];
    let requests = 0;
    const breakable: typeof fetch = async (url, init) => {
      const controller = new AbortController();
      const response = await fetch(url, init);
      if (String(url).includes("/status")) requests++;
      const body = response.body?.pipeThrough(new TransformStream(), { signal: controller.signal });
      cut.push(() => controller.abort(new Error("cable")));
      return new Response(body ?? null, response);
    };
    const broken = await connect<Chores>(server.url, { fetch: breakable });
    const seen: string[] = [];
    for await (const { status } of broken.hold.watch(id)) {
      seen.push(status);
      if (seen.length > 1) continue;
      cut.at(-1)?.();
      await client.hold.cancel(id);
    }
    assert.deepEqual([seen[0], seen.at(-1)], ["in_progress", "canceled"]);
    assert.ok(requests >= 2, `${requests} requests`);
  });

  it("submits with a delay, which the state tells", async () => {
    const { id } = await client.fail.submit("own", { delayMs: 60_000 });
    const { status, notBefore, createdAt } = await client.fail.status(id);
    assert.deepEqual([status, Number(notBefore) - Number(createdAt)], ["pending", 60_000]);
    assert.equal((await client.fail.cancel(id)).status, "canceled");
    assert.equal((await client.fail.status(id)).notBefore, undefined);
    for (const delayMs of [366 * 24 * 3_600_000]) {
      const error = await failureOf(client.fail.submit("own", { delayMs }));
      assert.deepEqual([error.id, error.httpStatus], ["invalid_task_delay", 400]);
    }
    for (const delayMs of [-1, 0.5]) {
      const error = await failureOf(client.fail.submit("own", { delayMs }));
      assert.deepEqual([error.id, error.httpStatus], ["invalid_header", 400]);
    }
  });

  it("reaches only tasks of the entry service", async () => {
    const options = { logLevel: "silent", placement: "inline", data: folder } as const;
    const other = await serve(Front, { port: 0, host: "127.0.0.1", options });
    const front = await connect<Front>(other.url);
    const id = await front.hand("own");
    assert.match(id, /^[0-9a-f]{32}$/);
    assert.equal((await fetch(`${other.url}/fail/status?task_id=${id}`)).status, 404);
    await other.close();
  });
});
