import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { z } from "zod";
import { encodeNpy } from "../src/http/npy.js";
import { api, Service, stream, Tensor, task, tensor } from "../src/index.js";
import { createTestServer, type TestServer } from "./http/test-server.js";

class Numbers extends Service() {
  any = api({ input: z.unknown(), output: z.unknown() }, (value) => value);
  number = api({ input: z.number(), output: z.string() }, (value) => String(value));
  bigint = api({ input: z.coerce.bigint(), output: z.bigint() }, (value) => value);
  ids = api({ input: tensor("int64", ["n"]), output: z.array(z.string()) }, ({ data }) => [...data].map(String));
  doubles = api({ input: tensor("float64", ["n"]), output: z.number() }, ({ data }) => data.length);
  floats = api({ input: tensor("float32", ["n"]), output: z.array(z.number()) }, ({ data }) => [...data]);
  sum = api({ input: stream(z.number()), output: z.number() }, async (items) => {
    let sum = 0;
    for await (const item of items) sum += item;
    return sum;
  });
  form = api({ input: { id: z.number(), big: z.coerce.bigint().optional() }, output: z.unknown() }, (fields) => fields);
  index = task({ input: z.array(z.number()), output: z.number() }, (list) => list.length);
}

const large = "4634343214213523454";

describe("a number in a request", () => {
  let server: TestServer;
  let data = "";
  before(async () => {
    data = await mkdtemp(join(tmpdir(), "numbers-"));
    server = await createTestServer(Numbers, { data });
  });
  after(async () => {
    await server.close();
    await rm(data, { recursive: true, force: true });
  });

  async function post(url: string, payload: string | Buffer, type = "application/json") {
    const answer = await server.fastify.inject({ method: "POST", url, payload, headers: { "content-type": type } });
    return { status: answer.statusCode, body: answer.json() };
  }

  async function refuses(url: string, payload: string | Buffer, pattern: RegExp, type?: string) {
    const { status, body } = await post(url, payload, type);
    assert.equal(status, 400, `${url} ${body}`);
    assert.match(body.error, pattern);
    return body;
  }

  it("is refused when it would arrive as another number, in every form of a body", async () => {
    const inexact = new RegExp(`the number ${large} at .* would lose digits`);
    for (const path of ["/any", "/number", "/bigint"]) {
      assert.equal((await refuses(path, large, inexact)).id, "inexact_number");
    }
    await refuses("/any", `{"a":[{"id":${large}}]}`, /at a\[0\]\.id would/);
    for (const path of ["/ids", "/doubles", "/floats"]) await refuses(path, `[1,${large}]`, /at \[1\] would/);
    await refuses("/sum", `1\n${large}\n`, new RegExp(`^line 2 of the body: .*${large}`), "application/x-ndjson");
    await refuses("/sum", `[1,${large}]`, inexact);
    await refuses("/index/submit", `[${large}]`, inexact);
    const part = `--B\r\ncontent-disposition: form-data; name="id"\r\n\r\n${large}\r\n--B--\r\n`;
    const { status } = await post("/form", part, "multipart/form-data; boundary=B");
    assert.equal(status, 400);
  });

  it("arrives exactly as text, when the schema accepts texts", async () => {
    assert.deepEqual(await post("/bigint", `"${large}"`), { status: 200, body: large });
    assert.deepEqual(await post("/ids", `["${large}",7]`), { status: 200, body: [large, "7"] });
    const parts = ["id", "big"].map((name) => {
      return `--B\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${name === "id" ? 7 : large}\r\n`;
    });
    const answer = await post("/form", `${parts.join("")}--B--\r\n`, "multipart/form-data; boundary=B");
    assert.deepEqual(answer.body, { id: 7, big: large });
  });

  it("is accepted when it is exact, or the text that JavaScript writes for a number", async () => {
    for (const text of ["9007199254740992", "18446744073709552000", "4634343214213523000", "0.1", "-5"]) {
      assert.deepEqual(await post("/number", text), { status: 200, body: String(Number(text)) });
    }
  });

  it("of a NumPy file with another dtype is refused with the line of Python that mends it", async () => {
    const file = encodeNpy(new Tensor("float64", [1], new Float64Array([1])));
    const mended = /expected dtype float32, got float64; in NumPy, send x\.astype\("float32"\)/;
    await refuses("/floats", file, mended, "application/x-npy");
  });
});
