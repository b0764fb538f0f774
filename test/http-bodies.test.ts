import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { InjectOptions } from "fastify";
import * as v from "valibot";
import { z } from "zod";
import { encodeNpy } from "../src/http/npy.js";
import { api, file, Service, ServingError, Tensor, tensor } from "../src/index.js";
import { createTestServer, type TestServer } from "./http/test-server.js";

class Forms extends Service() {
  upper = api({ input: z.string(), output: z.string() }, (text) => text.toUpperCase());
  person = api({ input: z.object({ name: z.string(), age: z.number().int().min(0) }), output: z.unknown() }, (p) => p);
  double = api({ input: tensor("float32", ["n", 2]), output: tensor("float32", ["n", 2]) }, ({ shape, data }) => {
    return new Tensor(
      "float32",
      shape,
      data.map((value) => value * 2),
    );
  });
  sizeOf = api({ input: file({ contentType: "image/*" }), output: z.unknown() }, ({ name, type, size }) => {
    return { name, type, size };
  });
  upload = api(
    {
      input: {
        photo: file(),
        note: z.string(),
        tags: z.array(z.string()),
        weights: tensor("float32", ["n"]),
        more: z.any(),
      },
      output: z.unknown(),
    },
    async ({ photo, note, tags, weights, more }) => {
      const text = await photo.text();
      return { name: photo.name, type: photo.type, text, note, tags, weights: [...weights.data], more };
    },
  );
  nothing = api({ output: z.string() }, () => "ok");
  anything = api({ input: z.any(), output: z.any() }, (value) => value);
  picture = api({ output: file() }, () => new File(["bytes"], "a “b”.png", { type: "image/png" }));
  broken = api({ input: z.string(), output: z.number() }, (how): number => {
    if (how === "nan") return Number.NaN;
    if (how === "busy") {
      const details = { retryAfterMs: 2500 };
      throw new ServingError({ code: "resource_exhausted", message: "busy", id: "my_busy", details });
    }
    if (how.startsWith("wait ")) {
      const given: Record<string, unknown> = {
        huge: 1e300,
        endless: Infinity,
        negative: -5000,
        none: Number.NaN,
        text: "5000",
      };
      const details = { retryAfterMs: given[how.slice(5)] };
      throw new ServingError({ code: "unavailable", message: "later", details });
    }
    if (how === "status") throw new ServingError({ code: "internal", message: "odd", httpStatus: 99 });
    if (how === "details") throw new ServingError({ code: "aborted", message: "odd", details: { f: () => 1 } });
    throw new Error("secret");
  });
  big = api({ output: z.any() }, () => ({
    a: 2n ** 64n,
    at: new Date(0),
    set: new Set([1]),
    bytes: new Uint8Array([255]),
  }));
}

let server: TestServer;
const lines: { message: string; fields: Record<string, unknown> }[] = [];

before(async () => {
  const write = (fields: object, message = "") => void lines.push({ message, fields: { ...fields } });
  const log = { debug: write, info: write, warn: write, error: write, child: () => log };
  server = await createTestServer(Forms, { deps: { log }, settings: { accessLog: true, maxBodyBytes: 100_000 } });
});
after(() => server.close());

const json = { "content-type": "application/json" };
const post = (url: string, payload?: InjectOptions["payload"], headers: Record<string, string> = json) =>
  server.fastify.inject({ method: "POST", url, headers, ...(payload !== undefined && { payload }) });

/** Form as fetch sends it, and so every client. */
async function postForm(url: string, form: FormData) {
  const encoded = new Response(form);
  const headers = { "content-type": encoded.headers.get("content-type") as string };
  return post(url, Buffer.from(await encoded.arrayBuffer()), headers);
}

async function refuses(answer: ReturnType<typeof post>, status: number, id: string, pattern = /./) {
  const response = await answer;
  assert.equal(response.statusCode, status, response.body);
  assert.match(String(response.headers["content-type"]), /^application\/json/);
  const body = response.json();
  assert.equal(body.id, id, response.body);
  assert.match(body.error, pattern);
  for (const key of ["code", "service", "api", "requestId"]) assert.equal(typeof body[key], "string", key);
  assert.equal(typeof body.details, "object");
  assert.equal(body.requestId, response.headers["x-request-id"]);
  return response;
}

describe("bodies", () => {
  it("are JSON, under any JSON content type and charset", async () => {
    const names = ["application/json", "application/json; charset=UTF-8", "application/ld+json", "text/json"];
    for (const type of names) assert.equal((await post("/upper", '"é"', { "content-type": type })).json(), "É");
    const latin = Buffer.from('"é"', "latin1");
    assert.equal((await post("/upper", latin, { "content-type": "application/json; charset=latin1" })).json(), "É");
    assert.equal((await post("/upper", Buffer.from('\ufeff"a"'))).json(), "A");
  });

  it("are plain text for a string", async () => {
    const plain = { "content-type": "text/plain; charset=utf-8" };
    assert.equal((await post("/upper", "abc", plain)).json(), "ABC");
    await refuses(post("/upper", Buffer.from([0xff, 0xfe]), plain), 400, "invalid_input", /not utf-8/);
  });

  it("may be missing, empty or say nothing for an api without input", async () => {
    for (const payload of [undefined, "", "{}", "null"]) assert.equal((await post("/nothing", payload)).json(), "ok");
    assert.equal((await post("/nothing", undefined, {})).json(), "ok");
    const form = { "content-type": "application/x-www-form-urlencoded" };
    assert.equal((await post("/nothing", "", form)).json(), "ok");
    await refuses(post("/nothing", '{"a":1}'), 400, "invalid_input", /takes no input/);
  });

  it("are tensors as lists, as base64 and as .npy files", async () => {
    const value = new Tensor("float32", [2, 2], new Float32Array([1, 2, 3, 4]));
    const data = Buffer.from(value.data.buffer).toString("base64");
    const bodies: [string | Buffer, string][] = [
      ["[[1,2],[3,4]]", "application/json"],
      [JSON.stringify({ dtype: "float32", shape: [2, 2], data }), "application/json"],
      [encodeNpy(value), "application/x-npy"],
      [encodeNpy(value), "application/npy"],
    ];
    for (const [body, type] of bodies) {
      assert.deepEqual((await post("/double", body, { "content-type": type })).json(), [[2, 4], [6, 8]]); // biome-ignore format: as a matrix
    }
  });

  it("are files as a whole body, as a form and in JSON", async () => {
    const png = { "content-type": "image/png", "content-disposition": 'attachment; filename="cat.png"' };
    const told = { name: "cat.png", type: "image/png", size: 3 };
    assert.deepEqual((await post("/sizeOf", Buffer.from("abc"), png)).json(), told);
    const form = new FormData();
    form.append("anything", new File(["abc"], "cat.png", { type: "image/png" }));
    assert.deepEqual((await postForm("/sizeOf", form)).json(), told);
    const encoded = { name: "cat.png", contentType: "image/png", data: "YWJj" };
    assert.deepEqual((await post("/sizeOf", encoded)).json(), told);
  });

  it("are forms: files as files, texts unchanged, other values as JSON, repeated names and single items as lists", async () => {
    const form = new FormData();
    form.append("photo", new File(["{}"], "x.json", { type: "application/json" }));
    form.append("note", "12");
    form.append("tags", "one");
    form.append("weights", "[1, 2]");
    form.append("more", '{"a": [true]}');
    const expected = {
      name: "x.json",
      type: "application/json",
      text: "{}",
      note: "12",
      tags: ["one"],
      weights: [1, 2],
    };
    assert.deepEqual((await postForm("/upload", form)).json(), { ...expected, more: '{"a": [true]}' });
    form.set("note", '"quoted"');
    form.append("tags", "two");
    form.set("weights", new File([encodeNpy(new Tensor("float32", [1], new Float32Array([7])))], "w.npy"));
    form.set("more", new Blob(["[1]"], { type: "application/json" }));
    const second = { ...expected, note: '"quoted"', tags: ["one", "two"], weights: [7], more: [1] };
    assert.deepEqual((await postForm("/upload", form)).json(), second);
  });

  it("have the declared type when the schema does not decide", async () => {
    const octets = { "content-type": "application/octet-stream" };
    const answer = await post("/anything", Buffer.from([1, 2, 3]), octets);
    assert.equal(answer.headers["content-type"], "application/octet-stream");
    assert.deepEqual([...answer.rawPayload], [1, 2, 3]);
    assert.equal((await post("/anything", "abc", { "content-type": "text/plain" })).json(), "abc");
    const npy = encodeNpy(new Tensor("uint8", [2], new Uint8Array([1, 2])));
    assert.deepEqual((await post("/anything", npy, { "content-type": "application/x-npy" })).json(), [1, 2]);
    const image = await post("/anything", Buffer.from("img"), { "content-type": "image/png" });
    assert.equal(image.headers["content-type"], "image/png");
  });
});

describe("bad bodies", () => {
  it("that are no JSON", async () => {
    await refuses(post("/person", "{"), 400, "invalid_json", /not JSON/);
    await refuses(post("/person", '{"name": NaN}'), 400, "invalid_json", /not JSON/);
    await refuses(post("/person", Buffer.from([0x22, 0xff, 0x22])), 400, "invalid_json", /not utf-8/);
  });

  it("of the wrong type or without a field, naming it", async () => {
    await refuses(post("/person", '{"name": "a", "age": "b"}'), 400, "invalid_input", /^age: .*number/);
    await refuses(post("/person", '{"name": "a"}'), 400, "invalid_input", /^age: /);
    await refuses(post("/person", "[]"), 400, "invalid_input", /object/);
    await refuses(post("/person", "null"), 400, "invalid_input", /object/);
    await refuses(post("/person", '{"name": "a", "age": 1e999}'), 400, "invalid_json", /number at age is too large/);
  });

  it("that are missing", async () => {
    await refuses(post("/person"), 400, "missing_body");
    await refuses(post("/person", ""), 400, "missing_body");
    await refuses(post("/person", undefined, {}), 400, "missing_body");
  });

  it("of a type the api does not take, telling which it takes", async () => {
    const form = { "content-type": "application/x-www-form-urlencoded" };
    await refuses(post("/person", "name=a", form), 415, "unsupported_media_type", /this api takes application\/json/);
    await refuses(post("/person", "<a/>", { "content-type": "text/xml" }), 415, "unsupported_media_type", /text\/xml/);
    await refuses(
      post("/person", "{}", { "content-type": "nonsense" }),
      415,
      "unsupported_media_type",
      /nonsense; this api takes app/,
    );
    await refuses(post("/person", "{}", { "content-type": "" }), 415, "unsupported_media_type", /is missing/);
    await refuses(post("/person", "a", { "content-type": "text/plain" }), 415, "unsupported_media_type");
    await refuses(post("/nothing", "a=b", form), 415, "unsupported_media_type");
  });

  it("that are compressed, with a message that none may be", async () => {
    for (const encoding of ["gzip", "GZIP", "x-gzip", "deflate", "br", "zstd", "gzip, identity"]) {
      for (const type of ["application/json", "multipart/form-data; boundary=b"]) {
        const headers = { "content-type": type, "content-encoding": encoding };
        const response = await refuses(post("/person", "{}", headers), 415, "unsupported_content_encoding");
        assert.equal(response.headers["accept-encoding"], "identity");
      }
    }
    for (const encoding of ["identity", "Identity", "", "identity, identity"]) {
      const headers = { ...json, "content-encoding": encoding };
      assert.equal((await post("/person", { name: "a", age: 1 }, headers)).statusCode, 200, encoding);
    }
    const charset = { "content-type": "application/json; charset=klingon" };
    await refuses(post("/person", "{}", charset), 400, "invalid_header", /klingon/);
  });

  it("that are too large, too deep, or have a forbidden key", async () => {
    await refuses(post("/upper", JSON.stringify("a".repeat(100_001))), 413, "body_too_large", /100000 bytes/);
    await refuses(post("/anything", "[".repeat(50_000)), 400, "body_too_deep", /levels deep/);
    await refuses(post("/anything", '{"a":{"__proto__":{"polluted":1}}}'), 400, "forbidden_key", /__proto__/);
    assert.equal(({} as { polluted?: number }).polluted, undefined);
  });

  it("whose tensor does not fit", async () => {
    await refuses(post("/double", "[[1,2],[3]]"), 400, "invalid_input", /\[1\] has 1 elements/);
    await refuses(post("/double", "[[1,2,3]]"), 400, "invalid_input", /expected shape \[n, 2\], got \[1, 3\]/);
    await refuses(post("/double", "[[1,1e999]]"), 400, "invalid_json", /number at \[0\]\[1\] is too large/);
    await refuses(post("/double", '[[1,"a"]]'), 400, "invalid_input", /\[0\]\[1\] is a string/);
    const data = Buffer.alloc(12).toString("base64");
    const tensor = JSON.stringify({ dtype: "float32", shape: [2, 2], data });
    await refuses(post("/double", tensor), 400, "invalid_input", /needs 4 elements, data has 3/);
    await refuses(
      post("/double", Buffer.from("nonsense"), { "content-type": "application/x-npy" }),
      400,
      "invalid_npy",
    );
    const other = encodeNpy(new Tensor("uint8", [1, 2], new Uint8Array(2)));
    await refuses(post("/double", other, { "content-type": "application/npy" }), 400, "invalid_input", /dtype float32/);
  });

  it("that are the wrong kind of file, or no file", async () => {
    await refuses(post("/sizeOf", "abc", { "content-type": "text/plain" }), 400, "invalid_input", /type image\/\*/);
    const form = new FormData();
    form.append("a", "no file");
    await refuses(postForm("/sizeOf", form), 400, "invalid_multipart", /has no file/);
    form.append("b", new File([], "1.png", { type: "image/png" }));
    form.append("c", new File([], "2.png", { type: "image/png" }));
    await refuses(postForm("/sizeOf", form), 400, "invalid_multipart", /more than one file/);
  });

  it("that are broken forms", async () => {
    const type = (rest: string) => ({ "content-type": `multipart/form-data${rest}` });
    await refuses(post("/upload", "x", type("")), 400, "invalid_multipart", /[Bb]oundary/);
    await refuses(post("/upload", "no parts here", type("; boundary=b")), 400, "invalid_multipart");
    const cut = '--b\r\ncontent-disposition: form-data; name="note"\r\n\r\nabc';
    await refuses(post("/upload", cut, type("; boundary=b")), 400, "invalid_multipart");
    const unnamed = "--b\r\ncontent-disposition: form-data\r\n\r\nabc\r\n--b--\r\n";
    await refuses(post("/upload", unnamed, type("; boundary=b")), 400, "invalid_multipart", /no name/);
    const form = new FormData();
    form.append("__proto__", "1");
    await refuses(postForm("/upload", form), 400, "forbidden_key");
    const bad = new FormData();
    bad.append("more", new Blob(["{"], { type: "application/json" }));
    await refuses(postForm("/upload", bad), 400, "invalid_multipart", /part more says it is JSON/);
    bad.set("more", new Blob(['{"__proto__": 1}'], { type: "application/json" }));
    await refuses(postForm("/upload", bad), 400, "forbidden_key");
    const many = new FormData();
    for (let i = 0; i < 1001; i++) many.append(`f${i}`, "");
    await refuses(postForm("/upload", many), 400, "invalid_multipart", /more than 1000 parts/);
  });
});

describe("answers", () => {
  const get = async (url: string, accept: string, payload?: InjectOptions["payload"]) =>
    post(url, payload, { ...(payload !== undefined && json), accept });

  it("are in the form the client likes best", async () => {
    const text = await get("/upper", "text/plain", '"a"');
    assert.deepEqual([text.headers["content-type"], text.body], ["text/plain; charset=utf-8", "A"]);
    assert.equal((await get("/upper", "*/*", '"a"')).body, '"A"');
    const npy = await get("/double", "application/x-npy", "[[1,2]]");
    assert.equal(npy.headers["content-type"], "application/x-npy");
    assert.deepEqual(npy.rawPayload, encodeNpy(new Tensor("float32", [1, 2], new Float32Array([2, 4]))));
    const base64 = await get("/double", "application/json; tensors=base64", "[[1,2]]");
    assert.deepEqual(Object.keys(base64.json()), ["dtype", "shape", "data"]);
  });

  it("are a file as itself, with its name, or in JSON for who wants that", async () => {
    const raw = await get("/picture", "*/*");
    assert.equal(raw.body, "bytes");
    assert.equal(raw.headers["content-type"], "image/png");
    assert.equal(
      raw.headers["content-disposition"],
      `attachment; filename="a _b_.png"; filename*=UTF-8''a%20%E2%80%9Cb%E2%80%9D.png`,
    );
    const encoded = { name: "a “b”.png", contentType: "image/png", data: "Ynl0ZXM=" };
    assert.deepEqual((await get("/picture", "application/json")).json(), encoded);
  });

  it("say everything that JSON has no word for", async () => {
    const body = '{"a":"18446744073709551616","at":"1970-01-01T00:00:00.000Z","set":[1],"bytes":"/w=="}';
    assert.equal((await get("/big", "*/*")).body, body);
  });

  it("are refused before the call when no accepted type fits", async () => {
    await refuses(get("/upper", "image/png", '"a"'), 406, "not_acceptable", /image\/png matches no format of/);
    await refuses(get("/person", "text/plain", '{"name":"a","age":1}'), 406, "not_acceptable");
    await refuses(get("/upper", "application/json;q=0, text/plain;q=0", '"a"'), 406, "not_acceptable");
  });

  it("are a failure when they contain values that JSON does not have", async () => {
    await refuses(post("/broken", '"nan"'), 500, "invalid_output");
    await refuses(post("/anything", undefined, { accept: "application/json" }), 400, "missing_body");
  });
});

describe("failures", () => {
  it("of an author keep their fields; Retry-After is in whole seconds", async () => {
    const response = await refuses(post("/broken", '"busy"'), 429, "my_busy", /^busy$/);
    assert.equal(response.headers["retry-after"], "3");
    assert.deepEqual(response.json().details, { retryAfterMs: 2500 });
    assert.deepEqual([response.json().service, response.json().api], ["Forms", "broken"]);
  });

  it("have a Retry-After that a client can wait for, whatever number an author gave", async () => {
    const expected = { huge: "2592000", endless: "1", negative: "1", none: "1", text: "1" };
    for (const [how, seconds] of Object.entries(expected)) {
      const response = await post("/broken", JSON.stringify(`wait ${how}`));
      assert.deepEqual([response.statusCode, response.headers["retry-after"]], [503, seconds], how);
    }
  });

  it("that no author meant are masked, and their stack is in the log under the same id", async () => {
    const response = await refuses(post("/broken", '"x"'), 500, "unhandled_error", /^internal error; incident \w+$/);
    assert.doesNotMatch(response.body, /secret/);
    const { incident } = response.json();
    const line = lines.find(({ fields }) => fields["incident"] === incident);
    assert.match(String((line?.fields["err"] as Error | undefined)?.stack), /Error: secret\n\s+at /);
  });

  it("with a status or details that can't be sent are sent without", async () => {
    await refuses(post("/broken", '"status"'), 500, "internal", /^odd$/);
    const response = await refuses(post("/broken", '"details"'), 409, "aborted", /^odd$/);
    assert.deepEqual(response.json().details, {});
  });

  it("tell a wrong method from an unknown path", async () => {
    const { fastify } = server;
    for (const method of ["GET", "PUT", "DELETE", "PATCH"] as const) {
      const response = await refuses(fastify.inject({ method, url: "/upper" }), 405, "method_not_allowed");
      assert.equal(response.headers["allow"], "POST, OPTIONS");
    }
    const head = await fastify.inject({ method: "HEAD", url: "/upper" });
    assert.equal(head.statusCode, 405);
    const options = await fastify.inject({ method: "OPTIONS", url: "/upper" });
    assert.deepEqual([options.statusCode, options.headers["allow"], options.body], [204, "POST, OPTIONS", ""]);
    await refuses(fastify.inject({ method: "POST", url: "/livez" }), 405, "method_not_allowed");
    await refuses(post("/uper", '"a"'), 404, "unknown_route", /nothing at POST \/uper; apis: POST \/upper, /);
    await refuses(fastify.inject("/nowhere"), 404, "unknown_route");
    await refuses(fastify.inject("/%zz"), 400, "malformed_request");
  });

  it("of headers name the header", async () => {
    for (const value of ["0", "-1", "1.5", "abc", "1e3", "9".repeat(20)]) {
      const headers = { ...json, "ekiben-timeout-ms": value };
      await refuses(post("/upper", '"a"', headers), 400, "invalid_header", /ekiben-timeout-ms/);
    }
    for (const value of ["", "urgent", "Background", "interactive, background"]) {
      const headers = { ...json, "ekiben-priority": value };
      await refuses(post("/upper", '"a"', headers), 400, "invalid_header", /ekiben-priority .*"interactive" or "bac/);
    }
  });
});

describe("request ids and the access log", () => {
  it("take over a sane id, and make one otherwise", async () => {
    const id = async (given: string) =>
      (await post("/upper", '"a"', { ...json, "x-request-id": given })).headers["x-request-id"];
    assert.equal(await id("abc-123"), "abc-123");
    for (const given of ["", "a b", "x".repeat(129), "é"]) assert.match(String(await id(given)), /^[0-9a-z]{18,}$/);
  });

  it("write one line a request", async () => {
    lines.length = 0;
    await post("/upper", '"a"', { ...json, "x-request-id": "line-1" });
    await server.fastify.inject({ method: "GET", url: "/nowhere?q=1", headers: { "x-request-id": "line-2" } });
    const [ok, missing, ...rest] = lines.filter(({ message }) => message === "request").map(({ fields }) => fields);
    assert.equal(rest.length, 0);
    const { ms, ...fields } = ok ?? {};
    assert.ok(Number(ms) > 0);
    assert.deepEqual(fields, {
      ...{ method: "POST", route: "/upper", status: 200, bytes: 3, requestId: "line-1", ip: "127.0.0.1" },
    });
    assert.deepEqual([missing?.["status"], missing?.["failure"]], [404, "unknown_route"]);
  });
});

describe("parts of a form that are named by paths", () => {
  interface Node {
    value?: unknown;
    a?: Node | undefined;
    items?: Node[] | undefined;
  }
  const node: z.ZodType<Node> = z.lazy(() =>
    z.object({ value: z.any().optional(), a: node.optional(), items: z.array(node).optional() }),
  );
  class Trees extends Service() {
    tree = api({ input: { node }, output: z.any() }, ({ node: given }) => given);
  }

  it("nest no deeper than http.maxBodyDepth, with the JSON in them", async () => {
    await using own = await createTestServer(Trees, { settings: { maxBodyDepth: 4 } });
    const send = async (name: string, json: string) => {
      const head = `--B\r\ncontent-disposition: form-data; name="${name}"\r\ncontent-type: application/json\r\n\r\n`;
      const headers = { "content-type": "multipart/form-data; boundary=B" };
      const request = { method: "POST", url: "/tree", headers, payload: `${head}${json}\r\n--B--` } as const;
      const { statusCode, body } = await own.fastify.inject(request);
      return statusCode === 200 ? JSON.parse(body) : `${statusCode} ${JSON.parse(body).id}`;
    };
    assert.deepEqual(await send("node.a.a.a.value", "1"), { a: { a: { a: { value: 1 } } } });
    assert.deepEqual(await send("node.a.value", "[[1]]"), { a: { value: [[1]] } });
    assert.deepEqual(await send("node.items[0].value", "[1]"), { items: [{ value: [1] }] });
    for (const [name, json] of [
      ["node.a.a.a.a.value", "1"],
      ["node.a.a.a.value", "[]"],
      ["node.a.value", "[[[1]]]"],
      ["node.items[0].value", "[[]]"],
    ] as const) {
      assert.equal(await send(name, json), "400 body_too_deep", name);
    }
  });
});

describe("an input whose schema throws while it is made of its JSON", () => {
  it("fails its own request alone", async () => {
    let faults = 0;
    const fields = {
      get at() {
        if (faults-- > 0) throw new RangeError("Maximum call stack size exceeded");
        return v.date();
      },
    };
    class Dates extends Service() {
      when = api({ input: v.object(fields), output: z.any() }, ({ at }) => at.getTime());
    }
    await using own = await createTestServer(Dates);
    const send = () => own.fastify.inject({ method: "POST", url: "/when", payload: { at: "1970-01-01T00:00:00Z" } });
    assert.equal((await send()).json(), 0);
    faults = 1;
    const failed = await send();
    assert.deepEqual([failed.statusCode, failed.json().id, faults], [500, "unhandled_error", 0]);
    assert.doesNotMatch(failed.body, /call stack/);
    assert.equal((await send()).json(), 0);
  });
});
