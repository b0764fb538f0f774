import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { answerJson, type StubRequest, startStub } from "../../test/client/stub-server.js";
import { shapeJsonSchema } from "../define/contract.js";
import { file } from "../define/file.js";
import { Tensor } from "../define/tensor.js";
import { tensor } from "../define/tensor-schema.js";
import { connect } from "./connect.js";

const answerAs =
  (headers: Record<string, string>, body: string | Uint8Array) =>
  ({ response }: StubRequest) =>
    response.writeHead(200, headers).end(body);

/** Calls the only api of a stub that gives this answer. */
async function ask(output: object, answer: (request: StubRequest) => unknown): Promise<unknown> {
  await using stub = await startStub({ run: { output, answer } });
  const client = (await connect<object>(stub.url)) as { run: () => Promise<unknown> };
  return await client.run();
}

const fileSchema = shapeJsonSchema(file(), "output");

describe("an answer", () => {
  it("is its JSON value, with tensors made again", async () => {
    const scores = { dtype: "float32", shape: [2], data: "AACAPwAAAEA=" };
    const expected = new Tensor("float32", [2], new Float32Array([1, 2]));
    const schema = shapeJsonSchema({ scores: tensor("float32", ["n"]) }, "output");
    assert.deepEqual(await ask(schema, (request) => answerJson(request, { scores })), { scores: expected });
    assert.deepEqual(await ask({}, (request) => answerJson(request, scores)), expected);
    assert.equal(await ask({ type: "null" }, (request) => answerJson(request, null)), null);
  });

  it("is refused where it is deeper than any program could read", async () => {
    const answer = answerAs({ "content-type": "application/json" }, "[".repeat(200_000) + "]".repeat(200_000));
    for (const schema of [{}, { type: "array" }]) {
      const problem = { id: "invalid_response", message: /nested more than 1000 levels deep/ };
      await assert.rejects(ask(schema, answer), problem);
    }
  });

  it("is nothing, text or bytes as its content-type says", async () => {
    assert.equal(await ask({}, ({ response }) => response.writeHead(204).end()), undefined);
    assert.equal(await ask({}, answerAs({ "content-type": "text/plain; charset=utf-8" }, "é")), "é");
    const bytes = await ask({}, answerAs({ "content-type": "application/octet-stream" }, new Uint8Array([1, 2])));
    assert.deepEqual(bytes, new Uint8Array([1, 2]));
  });

  it("is a file of another content-type, or where it has a name", async () => {
    const png = (await ask(fileSchema, answerAs({ "content-type": "image/png" }, "x"))) as File;
    assert.deepEqual([png instanceof File, png.name, png.type, await png.text()], [true, "file", "image/png", "x"]);
    const disposition = "attachment; filename=\"_.json\"; filename*=UTF-8''%E9%A7%85.json";
    const headers = { "content-type": "application/json", "content-disposition": disposition };
    const json = (await ask(fileSchema, answerAs(headers, "{}"))) as File;
    assert.deepEqual([json.name, json.type, await json.text()], ["駅.json", "application/json", "{}"]);
    const named = { "content-type": "application/octet-stream", "content-disposition": "attachment; filename=a.bin" };
    assert.equal(((await ask(fileSchema, answerAs(named, "x"))) as File).name, "a.bin");
  });

  it("is a file also when it came as JSON", async () => {
    const value = { name: "a.txt", contentType: "text/plain", data: "aGk=" };
    const made = (await ask(fileSchema, (request) => answerJson(request, value))) as File;
    assert.deepEqual([made.name, made.type, await made.text()], ["a.txt", "text/plain", "hi"]);
  });

  it("is asked for as a file where the schema says so, and else as JSON", async () => {
    let accept: string | undefined;
    const answer = (request: StubRequest) => {
      accept = request.headers.accept;
      answerJson(request, null);
    };
    await ask({ type: "string" }, answer);
    assert.equal(accept, "application/json; tensors=base64");
    await ask(fileSchema, answer);
    assert.match(accept ?? "", /^\*\/\*/);
  });
});
