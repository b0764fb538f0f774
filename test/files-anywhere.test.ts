// `file()` and `tensor()` inside schemas of zod, valibot and arktype, and values that JSON has no notation for: by
// handle, by the client, in forms and in JSON.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type } from "arktype";
import * as v from "valibot";
import { z } from "zod";
import { silentLogger } from "../src/base/logger.js";
import { type Client, connect } from "../src/client.js";
import { api, file, type Server, Service, serve, stream, Tensor, task, tensor } from "../src/index.js";
import { compose } from "../src/testing.js";
import { createTestServer } from "./http/test-server.js";

const output = z.any();

/** Describes a value, with files by their names and tensors by their shapes. */
function tell(value: unknown): unknown {
  if (value instanceof File) return `${value.name} ${value.type} ${value.size}`;
  if (value instanceof Date) return `Date ${value.toISOString()}`;
  if (typeof value === "bigint") return `${value}n`;
  if (value instanceof Map) return { map: [...value].map(tell) };
  if (value instanceof Set) return { set: [...value].map(tell) };
  if (value instanceof Uint8Array) return `bytes ${[...value]}`;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(tell);
  if ("dtype" in value) return `${value.dtype} ${String((value as { shape?: unknown }).shape)}`;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, tell(item)]));
}

const zodInput = z.object({
  q: z.string(),
  f: file(),
  maybe: z.optional(file({ contentType: "image/png" })),
  none: z.nullable(tensor("float32", [2])).default(null),
  list: z.array(file()).default([]),
  deep: z.array(z.object({ scan: file(), note: z.string().optional() })).optional(),
  either: z.union([z.string(), file()]).optional(),
  byName: z.record(z.string(), file()).optional(),
  weights: z.array(tensor("float32", ["n"])).optional(),
});
const valibotInput = v.object({
  q: v.string(),
  f: file(),
  maybe: v.optional(file({ contentType: "image/png" })),
  none: v.optional(v.nullable(tensor("float32", [2])), null),
  list: v.optional(v.array(file()), []),
  deep: v.optional(v.array(v.object({ scan: file(), note: v.optional(v.string()) }))),
  either: v.optional(v.union([v.string(), file()])),
  byName: v.optional(v.record(v.string(), file())),
  weights: v.optional(v.array(tensor("float32", ["n"]))),
});
const arktypeInput = type({
  q: "string",
  f: file(),
  "maybe?": file({ contentType: "image/png" }),
  "deep?": type({ scan: file(), "note?": "string" }).array(),
  "weights?": type(tensor("float32", ["n"])).array(),
});

class Jobs extends Service() {
  run = task({ input: z.object({ at: z.date(), list: z.array(z.object({ f: file() })) }), output }, tell);
}

class Files extends Service() {
  zod = api({ input: zodInput, output }, tell);
  valibot = api({ input: valibotInput, output }, tell);
  arktype = api({ input: arktypeInput, output }, tell);
  only = api({ input: z.nullable(file()), output }, tell);
  list = api({ input: z.array(file()), output }, tell);
  maybe = api({ input: z.optional(file()), output }, tell);
  union = api({ input: z.union([file(), z.object({ url: z.string() })]), output }, tell);
  tensors = api({ input: z.array(tensor("int64", ["n"])), output: z.array(tensor("int64", ["n"])) }, (all) => all);
  batched = api(
    { input: z.array(tensor("int64", ["n"])), output: z.array(z.number()), batch: { maxRows: 8 } },
    (rows) => rows.map(({ shape }) => shape[0]),
  );
  scalar = api({ input: z.nullable(tensor("float32", [2])), output: z.nullable(tensor("float32", [2])) }, (x) => x);
  back = api({ input: file(), output: z.object({ files: z.array(file()), maybe: z.nullish(file()) }) }, (given) => ({
    files: [given],
    maybe: given,
  }));
  each = api({ input: z.array(file()), yields: z.object({ f: z.optional(file()) }) }, async function* (given) {
    for (const f of given) yield { f };
    yield {};
  });
  chunks = api({ input: stream(z.object({ at: z.date(), f: z.optional(file()) })), output }, async (items) => {
    const all: unknown[] = [];
    for await (const item of items) all.push(tell(item));
    return all;
  });
}

const when = z.object({ at: z.date() });

class Values extends Service() {
  zod = api(
    {
      input: z.object({
        at: z.date(),
        id: z.bigint(),
        sizes: z.map(z.string(), z.number()),
        byId: z.map(z.number(), z.date()),
        tags: z.set(z.string()),
        data: z.instanceof(Uint8Array),
        days: z.array(z.date().nullable()).optional(),
        either: z.union([z.date(), z.number()]).optional(),
        kinds: z
          .array(
            z.discriminatedUnion("kind", [
              z.object({ kind: z.literal("at"), value: z.date() }),
              z.object({ kind: z.literal("text"), value: z.string() }),
            ]),
          )
          .optional(),
        converted: z.coerce.date().optional(),
      }),
      output,
    },
    tell,
  );
  fields = api(
    { input: { at: z.date(), more: v.optional(v.bigint()), tags: v.set(v.date()), ark: type({ at: "Date" }) }, output },
    tell,
  );
  valibot = api(
    {
      input: v.object({
        at: v.date(),
        id: v.bigint(),
        sizes: v.map(v.string(), v.date()),
        tags: v.set(v.bigint()),
        data: v.instance(Uint8Array),
      }),
      output,
    },
    tell,
  );
  arktype = api({ input: type({ at: "Date", id: "bigint", "days?": "Date[]" }), output }, tell);
  date = api({ input: z.date(), output: z.date() }, (at) => at);
  bytes = api({ input: z.instanceof(Uint8Array), output: z.instanceof(Uint8Array) }, (bytes) => bytes);
  dates = api({ input: stream(when), output }, async (items) => {
    const all: unknown[] = [];
    for await (const item of items) all.push(tell(item));
    return all;
  });
  many = api({ input: z.array(z.date()), output: z.number() }, (dates) => dates.length);
}

const options = { placement: "inline" } as const;
const start = (entry: Parameters<typeof serve>[0]) =>
  serve(entry, { port: 0, host: "127.0.0.1", log: silentLogger, env: {}, options });

let server: Server;
let files: Client<Files>;
let valueServer: Server;
let values: Client<Values>;
before(async () => {
  server = await start(Files);
  files = await connect<Files>(server.url);
  valueServer = await start(Values);
  values = await connect<Values>(valueServer.url);
});
after(async () => {
  await server.close();
  await valueServer.close();
});

const text = new File(["text"], "a.txt", { type: "text/plain" });
const json = new File(["{}"], "a.json", { type: "application/json" });
const image = new File(["png"], "a.png", { type: "image/png" });
const vector = (...data: number[]) => new Tensor("float32", [data.length], new Float32Array(data));
const pair = new Tensor("float32", [2], new Float32Array([1, 2]));
const ids = (length: number) => new Tensor("int64", [length], new BigInt64Array(length));

const post = async (url: string, body: FormData | string, headers: Record<string, string> = {}) => {
  const response = await fetch(url, { method: "POST", body, headers });
  const answer = (await response.json()) as { error?: string };
  return response.status === 200 ? answer : `${response.status} ${answer.error}`;
};
const postJson = (url: string, body: unknown) =>
  post(url, JSON.stringify(body), { "content-type": "application/json" });

function form(...parts: readonly (readonly [string, string | Blob])[]): FormData {
  const made = new FormData();
  for (const [name, value] of parts) made.append(name, value as string);
  return made;
}

const full = {
  q: "x",
  f: json,
  maybe: image,
  none: pair,
  list: [text, json],
  deep: [{ scan: text }, { scan: json, note: "n" }],
  either: text,
  byName: { one: text, two: json },
  weights: [vector(1), vector(1, 2)],
};
const told = {
  q: "x",
  f: "a.json application/json 2",
  maybe: "a.png image/png 3",
  none: "float32 2",
  list: ["a.txt text/plain 4", "a.json application/json 2"],
  deep: [{ scan: "a.txt text/plain 4" }, { scan: "a.json application/json 2", note: "n" }],
  either: "a.txt text/plain 4",
  byName: { one: "a.txt text/plain 4", two: "a.json application/json 2" },
  weights: ["float32 1", "float32 2"],
};
const least = { q: "x", f: "a.txt text/plain 4", none: null, list: [] };

describe("files and tensors inside the schemas of libraries", () => {
  it("come by handle", async () => {
    await using app = await compose(Files);
    assert.deepEqual(await app.entry.zod(full), told);
    assert.deepEqual(await app.entry.valibot(full), told);
    assert.deepEqual(await app.entry.zod({ q: "x", f: text }), least);
    assert.deepEqual(await app.entry.valibot({ q: "x", f: text }), least);
    const { q, f, deep, weights } = full;
    assert.deepEqual(await app.entry.arktype({ q, f, deep, weights }), {
      q: told.q,
      f: told.f,
      deep: told.deep,
      weights: told.weights,
    });
  });

  it("come by the client, at any depth", async () => {
    assert.deepEqual(await files.zod(full), told);
    assert.deepEqual(await files.valibot(full), told);
    assert.deepEqual(await files.zod({ q: "x", f: text }), least);
    const { q, f, deep } = full;
    assert.deepEqual(await files.arktype({ q, f, deep }), { q: told.q, f: told.f, deep: told.deep });
  });

  it("come in forms, by the paths of their fields", async () => {
    for (const path of ["zod", "valibot"]) {
      const url = `${server.url}/${path}`;
      assert.deepEqual(await post(url, form(["q", "x"], ["f", text])), least, path);
      const parts = form(
        ["q", "x"],
        ["f", json],
        ["maybe", image],
        ["none", "[1,2]"],
        ["list", text],
        ["list[]", json],
        ["deep[0].scan", text],
        ["deep[1].scan", json],
        ["deep[1].note", "n"],
        ["either", text],
        ["byName.one", text],
        ["byName.two", json],
        ["weights", "[[1],[1,2]]"],
      );
      assert.deepEqual(await post(url, parts), told, path);
    }
    const inPart = form(["q", "x"], ["f", text], ["deep", '[{"note":"a"},{"note":"b"}]'], ["deep[1].scan", json]);
    inPart.append("deep[0].scan", text);
    assert.deepEqual(await post(`${server.url}/arktype`, inPart), {
      q: "x",
      f: "a.txt text/plain 4",
      deep: [
        { note: "a", scan: "a.txt text/plain 4" },
        { note: "b", scan: "a.json application/json 2" },
      ],
    });
  });

  it("come in JSON", async () => {
    const scan = { name: "a.txt", contentType: "text/plain", data: "dGV4dA==" };
    for (const path of ["zod", "valibot", "arktype"]) {
      const answer = await postJson(`${server.url}/${path}`, { q: "x", f: scan, deep: [{ scan }], weights: [[1, 2]] });
      const { q, f, deep, weights } = answer as Record<string, unknown>;
      const expected = { q: "x", f: least.f, deep: [{ scan: least.f }], weights: ["float32 2"] };
      assert.deepEqual({ q, f, deep, weights }, expected, path);
    }
  });

  it("are refused by their own rules, with their place", async () => {
    const wrong = { ...full, maybe: text, deep: [{ scan: text }, { scan: 1 as never }] };
    const issues = /deep\[1\]\.scan: expected a file, got number/;
    await assert.rejects(files.zod(wrong), issues);
    await assert.rejects(files.valibot(wrong), issues);
    await assert.rejects(files.zod({ ...full, maybe: text }), /maybe: expected a file of type image\/png/);
    await assert.rejects(files.arktype({ q: "x", f: 1 as never }), /f: .*expected a file, got number/);
    await assert.rejects(files.arktype({ q: "x" } as never), /f: .*missing/);
    await assert.rejects(files.zod({ ...full, none: vector(1) as never }), /none: expected shape \[2\], got \[1\]/);
    assert.match(String(await post(`${server.url}/zod`, form(["q", "x"]))), /^400 f: .*missing/);
  });

  it("may be the whole input", async () => {
    assert.equal(await files.only(json), "a.json application/json 2");
    assert.equal(await files.only(null), null);
    assert.equal(await files.maybe(text), "a.txt text/plain 4");
    assert.equal(await files.maybe(undefined), null);
    assert.deepEqual(await files.list([text, json]), ["a.txt text/plain 4", "a.json application/json 2"]);
    assert.deepEqual(await files.list([]), []);
    assert.deepEqual(await post(`${server.url}/list`, form(["any", text], ["name", image])), [
      "a.txt text/plain 4",
      "a.png image/png 3",
    ]);
    assert.equal(await files.union(image), "a.png image/png 3");
    assert.equal(await files.union(json), "a.json application/json 2");
    assert.deepEqual(await files.union({ url: "u" }), { url: "u" });
    assert.deepEqual(await files.scalar(pair), pair);
    assert.equal(await files.scalar(null), null);
    assert.deepEqual(await files.tensors([ids(1), ids(3)]), [ids(1), ids(3)]);
    assert.deepEqual(await files.batched([ids(1), ids(3)]), [1, 3]);
  });

  it("come back as files", async () => {
    const { files: list, maybe } = await files.back(image);
    for (const given of [list[0], maybe]) {
      assert.ok(given instanceof File);
      assert.deepEqual([given.name, given.type, await given.text()], ["a.png", "image/png", "png"]);
    }
  });

  it("come as the items of an answer, and in tasks", async () => {
    const received: unknown[] = [];
    for await (const item of files.each([text, image])) received.push(tell(item));
    assert.deepEqual(received, [{ f: "a.txt text/plain 4" }, { f: "a.png image/png 3" }, {}]);
    const data = await mkdtemp(join(tmpdir(), "files-"));
    try {
      await using jobs = await createTestServer(Jobs, { data });
      const { url } = await jobs.listen();
      const client = await connect<Jobs>(url);
      const { id } = await client.run.submit({ at: new Date(0), list: [{ f: text }] });
      assert.deepEqual(await client.run.result(id), {
        at: "Date 1970-01-01T00:00:00.000Z",
        list: [{ f: "a.txt text/plain 4" }],
      });
    } finally {
      await rm(data, { recursive: true, force: true });
    }
  });

  it("come in the items of a stream", async () => {
    const at = new Date(0);
    const items = [{ at }, { at, f: text }];
    const expected = [
      { at: "Date 1970-01-01T00:00:00.000Z" },
      { at: "Date 1970-01-01T00:00:00.000Z", f: "a.txt text/plain 4" },
    ];
    assert.deepEqual(await files.chunks(items), expected);
    const each = async function* () {
      yield* items;
    };
    assert.deepEqual(await files.chunks(each()), expected);
  });

  it("are described by the documents", async () => {
    const read = async (path: string) => (await (await fetch(server.url + path)).json()) as any;
    const { paths } = await read("/openapi.json");
    for (const path of ["/zod", "/valibot"]) {
      const { content } = paths[path].post.requestBody;
      assert.deepEqual(Object.keys(content), ["multipart/form-data", "application/json"]);
      const { properties, description } = content["multipart/form-data"].schema;
      const bytes = { type: "string", format: "binary", contentMediaType: "application/octet-stream" };
      assert.deepEqual(properties.f, bytes);
      assert.deepEqual(properties.maybe, bytes);
      assert.deepEqual(properties.list, { type: "array", items: bytes });
      assert.match(description, /deep\[0\]\.scan/);
      const inner = content["application/json"].schema.properties;
      assert.equal(inner.deep.items.properties.scan.title, "file");
      assert.equal(inner.weights.items.title, "float32[n]");
    }
    const ark = paths["/arktype"].post.requestBody.content["application/json"].schema.properties;
    assert.deepEqual([ark.f.title, ark.deep.items.properties.scan.title], ["file", "file"]);
    const { routes } = await read("/schema.json");
    const zod = routes.find(({ name }: { name: string }) => name === "zod");
    assert.deepEqual(zod.file_paths.toSorted(), ["byName.*", "deep[].scan", "either", "f", "list[]", "maybe"]);
  });
});

describe("a form whose names are paths", () => {
  const url = () => `${server.url}/zod`;
  const base = () => form(["q", "x"], ["f", text]);
  const withPart = (name: string, value: string | Blob = text) => {
    const made = base();
    made.append(name, value as string);
    return post(url(), made);
  };

  it("can make no gaps, no prototypes and no depth without end", async () => {
    assert.match(String(await withPart("deep[5].scan")), /^400 .*comes after 0 items; send them in order/);
    assert.match(String(await withPart("deep[9999].scan")), /^400 .*in order/);
    assert.match(String(await withPart("byName.__proto__")), /^400 .*__proto__/);
    assert.deepEqual(await withPart("__proto__.f"), least);
    assert.equal(({} as { f?: unknown }).f, undefined);
    assert.deepEqual(await withPart(`byName${".a".repeat(400)}`), least);
    assert.deepEqual(await withPart(`deep${"[0]".repeat(300)}`), least);
  });

  it("leaves a name that leads to nothing as it is", async () => {
    assert.deepEqual(await withPart("deep.scan"), least);
    assert.deepEqual(await withPart("other[0]"), least);
    assert.match(
      String(await post(url(), form(["q", "x"], ["f", text], ["deep", "no"], ["deep[0].scan", text]))),
      /^400/,
    );
  });
});

describe("values that JSON has no notation for", () => {
  const at = new Date(1_700_000_000_000);
  const input = {
    at,
    id: 2n ** 70n,
    sizes: new Map([["a", 1]]),
    byId: new Map([[1, at]]),
    tags: new Set(["x", "y"]),
    data: new Uint8Array([1, 2]),
    days: [at, null],
    either: at,
    kinds: [{ kind: "at", value: at } as const, { kind: "text", value: at.toISOString() } as const],
  };
  const day = `Date ${at.toISOString()}`;
  const expected = {
    at: day,
    id: `${2n ** 70n}n`,
    sizes: { map: [["a", 1]] },
    byId: { map: [[1, day]] },
    tags: { set: ["x", "y"] },
    data: "bytes 1,2",
    days: [day, null],
    either: day,
    kinds: [
      { kind: "at", value: day },
      { kind: "text", value: at.toISOString() },
    ],
  };

  it("arrive as they were given, by handle and by the client", async () => {
    await using app = await compose(Values);
    for (const callee of [app.entry, values]) {
      assert.deepEqual(await callee.zod(input), expected);
      const { id, data } = input;
      assert.deepEqual(await callee.valibot({ at, id, sizes: new Map([["a", at]]), tags: new Set([1n]), data }), {
        at: day,
        id: expected.id,
        sizes: { map: [["a", day]] },
        tags: { set: ["1n"] },
        data: "bytes 1,2",
      });
      assert.deepEqual(await callee.arktype({ at, id, days: [at] }), { at: day, id: expected.id, days: [day] });
      assert.deepEqual(await callee.fields({ at, tags: new Set([at]), ark: { at } }), {
        at: day,
        tags: { set: [day] },
        ark: { at: day },
      });
      assert.deepEqual(await callee.bytes(new Uint8Array([7])), new Uint8Array([7]));
    }
    assert.equal(await values.date(at), at.toISOString());
    assert.deepEqual(await values.dates([{ at }]), [{ at: day }]);
    const items = async function* () {
      yield { at };
    };
    assert.deepEqual(await values.dates(items()), [{ at: day }]);
  });

  it("are read from forms and JSON, and refused where they do not fit", async () => {
    const parts = form(["at", at.toISOString()], ["id", "5"], ["days", at.toISOString()]);
    assert.deepEqual(await post(`${valueServer.url}/arktype`, parts), { at: day, id: "5n", days: [day] });
    const json = { at: "2026-01-31", id: 7, sizes: [["a", 1]], byId: {}, tags: [], data: "AQI=" };
    const { at: first, id, sizes } = (await postJson(`${valueServer.url}/zod`, json)) as Record<string, unknown>;
    assert.deepEqual([first, id, sizes], ["Date 2026-01-31T00:00:00.000Z", "7n", { map: [["a", 1]] }]);
    for (const wrong of ["2026-02-30", "2026-01-31T10:00:00", "tomorrow", 5, "2026-13-01"]) {
      assert.match(String(await postJson(`${valueServer.url}/date`, wrong)), /^400 .*expected date/, String(wrong));
    }
    for (const wrong of [1.5, "1.5", "0x10", "", "9".repeat(2000)]) {
      assert.match(String(await postJson(`${valueServer.url}/zod`, { ...json, id: wrong })), /^400 id: /);
    }
  });

  it("are revived in turns when there are many", async () => {
    const many = Array.from({ length: 30_000 }, () => at.toISOString());
    assert.equal(await postJson(`${valueServer.url}/many`, many), 30_000);
    const wrong = Array.from({ length: 30_000 }, () => "no");
    assert.match(String(await postJson(`${valueServer.url}/many`, wrong)), /^400 \[0\]: /);
  });

  it("have a JSON Schema", async () => {
    const { paths } = (await (await fetch(`${valueServer.url}/openapi.json`)).json()) as any;
    for (const path of ["/zod", "/valibot", "/arktype"]) {
      const { properties } = paths[path].post.requestBody.content["application/json"].schema;
      assert.deepEqual(properties.at, { title: "date", type: "string", format: "date-time" }, path);
      assert.equal(properties.id.title, "bigint", path);
    }
    const { properties } = paths["/zod"].post.requestBody.content["application/json"].schema;
    assert.deepEqual(properties.sizes, { title: "map", type: "object", additionalProperties: { type: "number" } });
    assert.deepEqual(properties.tags, { title: "set", type: "array", items: { type: "string" } });
    assert.deepEqual(properties.data, { title: "bytes", type: "string", contentEncoding: "base64" });
  });
});
