import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type } from "arktype";
import * as v from "valibot";
import { z } from "zod";
import { silentLogger } from "../src/base/logger.js";
import { connect } from "../src/client.js";
import { api, file, type Server, Service, serve, Tensor, tensor } from "../src/index.js";

import { parseResponse, RawConnection } from "./http/raw-connection.js";

/** Describes the input of the author's function in a form that JSON keeps. */
function tell(value: unknown): unknown {
  if (value instanceof File) return { file: value.name, type: value.type, size: value.size };
  if (value instanceof Date) return { date: value.getTime() };
  if (typeof value === "bigint") return { bigint: String(value) };
  if (value instanceof Tensor) return { tensor: [...value.data] };
  if (Array.isArray(value)) return value.map(tell);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, tell(field)]));
}

const output = z.any();

const words = {
  s: z.string(),
  nullable: z.string().nullable(),
  nullish: z.string().nullish(),
  optional: z.string().optional(),
  union: z.union([z.string(), z.number()]),
  coerced: z.coerce.string(),
  transformed: z.string().transform((text) => text),
  any: z.any(),
  unknown: z.unknown(),
};

const anyFile = z.instanceof(File);

class Forms extends Service() {
  words = api({ input: z.object(words).partial(), output }, tell);
  fields = api({ input: { ...words, extra: z.string().optional() }, output }, tell);
  valibot = api(
    {
      input: v.object({
        s: v.optional(v.nullable(v.string())),
        u: v.optional(v.union([v.string(), v.number()])),
        n: v.optional(v.number()),
        list: v.optional(v.array(v.string())),
        o: v.optional(v.object({ a: v.number() })),
        f: v.optional(v.file()),
      }),
      output,
    },
    tell,
  );
  arktype = api({ input: type({ "s?": "string | null", "u?": "string | number", "n?": "number" }), output }, tell);
  kinds = api(
    {
      input: z.discriminatedUnion("kind", [
        z.object({ kind: z.literal("text"), value: z.string() }),
        z.object({ kind: z.literal("number"), value: z.number() }),
      ]),
      output,
    },
    tell,
  );
  values = api(
    {
      input: z
        .object({
          n: z.number(),
          coercedNumber: z.coerce.number(),
          date: z.coerce.date(),
          big: z.coerce.bigint(),
          five: z.literal("5"),
          auto: z.union([z.literal("auto"), z.number()]),
          object: z.object({ a: z.number() }),
          record: z.record(z.string(), z.number()),
          flag: z.boolean(),
        })
        .partial(),
      output,
    },
    tell,
  );
  lists = api(
    {
      input: z
        .object({
          texts: z.array(z.string()),
          numbers: z.array(z.number()),
          mixed: z.array(z.union([z.string(), z.number()])),
          rows: z.array(z.array(z.number())),
          either: z.union([z.string(), z.array(z.string())]),
          files: z.array(anyFile),
        })
        .partial(),
      output,
    },
    tell,
  );
  files = api(
    {
      input: { own: file(), zod: z.file().optional(), instance: anyFile.optional(), list: z.array(anyFile).optional() },
      output,
    },
    tell,
  );
  zodFiles = api({ input: z.object({ f: z.file(), n: z.number().optional() }), output }, tell);
  typed = api({ input: { f: file({ contentType: "image/*" }) }, output }, tell);
  onlyOwn = api({ input: file(), output }, tell);
  onlyZod = api({ input: z.file(), output }, tell);
  onlyInstance = api({ input: anyFile, output }, tell);
  weights = api({ input: { w: tensor("float32", ["n"]) }, output }, tell);
  back = api({ input: file(), output: file() }, (given) => given);
  named = api({ input: z.string(), output: file() }, (name) => new File(["x"], name, { type: "image/png" }));
}

let server: Server;
before(async () => {
  const options = { placement: "inline" } as const;
  server = await serve(Forms, { port: 0, host: "127.0.0.1", log: silentLogger, env: {}, options });
});
after(() => server.close());

const read = async (response: Response): Promise<any> => {
  const body = (await response.json()) as { error?: string };
  return response.status === 200 ? body : `${response.status} ${body.error}`;
};

const post = async (path: string, body: FormData | Blob | string, headers: Record<string, string> = {}) =>
  read(await fetch(`${server.url}/${path}`, { method: "POST", body, headers }));

/** Builds a form as a browser sends it. */
function form(fields: Readonly<Record<string, string | Blob | readonly (string | Blob)[]>>): FormData {
  const made = new FormData();
  for (const [name, values] of Object.entries(fields)) {
    for (const value of [values].flat()) made.append(name, value as string);
  }
  return made;
}

/** Builds a form byte for byte: a header block and a text for each part. */
const raw = (path: string, ...parts: readonly (readonly [string, string])[]) =>
  post(
    path,
    `${parts.map(([head, text]) => `--B\r\ncontent-disposition: form-data; ${head}\r\n\r\n${text}\r\n`).join("")}--B--`,
    { "content-type": "multipart/form-data; boundary=B" },
  );

const client = () => connect<Forms>(server.url);
const texts = [
  ...["123", "1e3", "1.0", "007", "true", "null", '"quoted"', '"a" and "b"', '{"a":1}', "[1]", "", " x ", "é\n日"],
];

describe("a text field", () => {
  it("is the characters that were typed, wherever its schema takes a text", async () => {
    for (const text of texts) {
      // HTML forms send a line feed as two characters.
      const typed = text.replace("\n", "\r\n");
      const names = Object.keys(words);
      const expected = Object.fromEntries(names.map((name) => [name, typed]));
      const sent = Object.fromEntries(names.map((name) => [name, text]));
      assert.deepEqual(await post("words", form(sent)), expected, text);
      assert.deepEqual(await post("fields", form(sent)), expected, text);
      assert.deepEqual(await post("valibot", form({ s: text, u: text })), { s: typed, u: typed }, text);
      assert.deepEqual(await post("arktype", form({ s: text, u: text })), { s: typed, u: typed }, text);
      assert.deepEqual(await raw("words", ['name="s"', text]), { s: text }, text);
      assert.deepEqual(await raw("words", ['name="s"\r\ncontent-type: text/plain', text]), { s: text }, text);
      assert.deepEqual(
        await raw("words", ['name="s"; filename="a.txt"\r\ncontent-type: text/plain', text || "x"]),
        { s: text || "x" },
        text,
      );
    }
  });

  it("is exact from the client, of every schema", async () => {
    const forms = await client();
    for (const text of texts) {
      const sent = Object.fromEntries(Object.keys(words).map((name) => [name, text]));
      assert.deepEqual(await forms.words(sent), sent);
    }
  });

  it("is JSON when the part declares it", async () => {
    const json = (text: string) => new Blob([text], { type: "application/json" });
    assert.deepEqual(await post("words", form({ s: json('"a"'), any: json("[1]"), nullable: json("null") })), {
      s: "a",
      any: [1],
      nullable: null,
    });
    assert.deepEqual(await raw("words", ['name="any"\r\ncontent-type: application/json', "1"]), { any: 1 });
    assert.match(await raw("words", ['name="any"\r\ncontent-type: application/json', "{"]), /^400 .*says it is JSON/);
  });

  it("is JSON when its schema accepts no text, and a text when it is no valid JSON", async () => {
    const fields = { n: "1e3", object: '{"a":1}', record: '{"x":2}', flag: "true" };
    assert.deepEqual(await post("values", form(fields)), { n: 1000, object: { a: 1 }, record: { x: 2 }, flag: true });
    assert.match(await post("values", form({ n: "many" })), /^400 n: .*received string/);
    assert.match(await post("values", form({ n: '"5"' })), /^400 n: .*received string/);
    assert.deepEqual(await post("valibot", form({ n: "5", o: '{"a":1}' })), { n: 5, o: { a: 1 } });
    assert.deepEqual(await post("arktype", form({ n: "5" })), { n: 5 });
  });

  it("is converted by its schema, when the schema converts texts", async () => {
    const big = "4634343214213523454";
    const given = await post("values", form({ coercedNumber: "0x10", date: "2024-01-02", big, five: "5" }));
    assert.deepEqual(given, {
      coercedNumber: 16,
      date: { date: Date.parse("2024-01-02") },
      big: { bigint: big },
      five: "5",
    });
    for (const text of ["null", "true"]) {
      assert.match(await post("values", form({ date: text })), /^400 date: /);
      assert.match(await post("values", form({ coercedNumber: text })), /^400 coercedNumber: /);
    }
  });

  it("is decided by the branch of a union that takes it", async () => {
    assert.deepEqual(await post("values", form({ auto: "auto" })), { auto: "auto" });
    assert.deepEqual(await post("values", form({ auto: "5" })), { auto: 5 });
    assert.match(await post("values", form({ auto: '"auto"' })), /^400 auto: /);
    assert.deepEqual(await post("kinds", form({ kind: "text", value: "5" })), { kind: "text", value: "5" });
    assert.deepEqual(await post("kinds", form({ kind: "number", value: "5" })), { kind: "number", value: 5 });
  });

  it("is an item of a list, also when it occurs once", async () => {
    const fields = { texts: "[1]", numbers: "1", mixed: "1", rows: "[1,2]", either: "a" };
    const once = { texts: ["[1]"], numbers: [1], mixed: ["1"], rows: [[1, 2]], either: "a" };
    assert.deepEqual(await post("lists", form(fields)), once);
    const twice = {
      texts: ['"a"', "null"],
      numbers: ["1", "2"],
      mixed: ["1", "x"],
      rows: ["[1]", "[2]"],
      either: ["a", "b"],
    };
    const lists = { texts: ['"a"', "null"], numbers: [1, 2], mixed: ["1", "x"], rows: [[1], [2]], either: ["a", "b"] };
    assert.deepEqual(await post("lists", form(twice)), lists);
    assert.deepEqual(await post("lists", form({ numbers: "[1,2]", rows: "[[1],[2]]" })), {
      numbers: [1, 2],
      rows: [[1], [2]],
    });
    assert.deepEqual(await post("valibot", form({ list: "a" })), { list: ["a"] });
    assert.deepEqual(await post("valibot", form({ list: ["1", "2"] })), { list: ["1", "2"] });
  });
});

const octets = "content-type: application/octet-stream";
const left = (name: string) => [`name="${name}"; filename=""\r\n${octets}`, ""] as const;
const empty = (name: string) => [`name="${name}"; filename="a.bin"\r\n${octets}`, ""] as const;
const aBin = { file: "a.bin", type: "application/octet-stream", size: 0 };

describe("a file input that was left empty", () => {
  it("is absent when the file is optional", async () => {
    const given = await raw("files", empty("own"), left("zod"), left("instance"), left("list"));
    assert.deepEqual(given, { own: aBin });
    assert.deepEqual(await raw("valibot", left("f")), {});
  });

  it("is refused as missing, by name, when the file is required", async () => {
    assert.match(await raw("files", left("own")), /^400 own: .*missing/);
    assert.match(await raw("typed", left("f")), /^400 f: .*missing/);
    assert.match(await raw("zodFiles", left("f")), /^400 f: .*received undefined/);
    for (const path of ["onlyOwn", "onlyZod", "onlyInstance"])
      assert.match(await raw(path, left("f")), /^400 .*no file/);
  });

  it("is no second file, and no item of a list", async () => {
    const real = ['name="f"; filename="b.bin"\r\ncontent-type: application/octet-stream', "x"] as const;
    const b = { file: "b.bin", type: "application/octet-stream", size: 1 };
    assert.deepEqual(await raw("onlyOwn", real, left("f")), b);
    assert.deepEqual(await raw("files", empty("own"), left("list"), [real[0].replace('"f"', '"list"'), "x"]), {
      own: aBin,
      list: [b],
    });
  });

  it("is not what a real file without bytes is", async () => {
    const given = await raw("files", empty("own"), empty("zod"), empty("instance"), empty("list"));
    assert.deepEqual(given, { own: aBin, zod: aBin, instance: aBin, list: [aBin] });
    assert.deepEqual(await raw("onlyOwn", empty("f")), aBin);
    assert.deepEqual(await post("lists", form({ files: new File([], "") })), {});
  });
});

describe("a part with a file name", () => {
  const kinds = [
    new File(["text"], "a.txt", { type: "text/plain" }),
    new File(["{}"], "a.json", { type: "application/json" }),
    new File(["<p>"], "a.html", { type: "text/html" }),
    new File(["\x93NUMPY"], "a.npy", { type: "application/x-npy" }),
    new File(["x"], "a.png", { type: "image/png" }),
  ];

  it("is a file with any type, for every schema that accepts files", async () => {
    for (const given of kinds) {
      const told = { file: given.name, type: given.type, size: given.size };
      const fields = { own: given, zod: given, instance: given, list: [given, given] };
      const expected = { own: told, zod: told, instance: told, list: [told, told] };
      assert.deepEqual(await post("files", form(fields)), expected);
      assert.deepEqual(await (await client()).files(fields), expected);
      assert.deepEqual(await post("zodFiles", form({ f: given, n: "1" })), { f: told, n: 1 });
      assert.deepEqual(await (await client()).zodFiles({ f: given, n: 1 }), { f: told, n: 1 });
      assert.deepEqual(await post("valibot", form({ f: given })), { f: told });
      assert.deepEqual(await post("words", form({ any: given })), { any: told });
      for (const only of ["onlyOwn", "onlyZod", "onlyInstance"] as const) {
        assert.deepEqual(await post(only, form({ f: given })), told, only);
        assert.deepEqual(await (await client())[only](given), told, only);
      }
    }
  });

  it("is a file as a whole body too, named or not, when the schema accepts only files", async () => {
    for (const only of ["onlyZod", "onlyInstance"]) {
      const headers = { "content-type": "application/json" };
      assert.deepEqual(await post(only, "{}", headers), { file: "file", type: "application/json", size: 2 });
      assert.deepEqual(await post(only, "abc", { "content-type": "text/plain" }), {
        file: "file",
        type: "text/plain",
        size: 3,
      });
    }
  });

  it("may hold the JSON that its field takes", async () => {
    const options = new File(['{"a":1}'], "options.json", { type: "application/json" });
    const plain = new File(['{"a":1}'], "options", { type: "" });
    for (const given of [options, plain]) {
      assert.deepEqual(await post("values", form({ object: given })), { object: { a: 1 } });
      assert.deepEqual(await post("valibot", form({ o: given })), { o: { a: 1 } });
    }
    assert.deepEqual(await post("weights", form({ w: new File(["[1,2]"], "w.json") })), { w: { tensor: [1, 2] } });
  });

  it("is refused when the field accepts no file", async () => {
    assert.match(await post("words", form({ s: new File(["x"], "a.png", { type: "image/png" }) })), /^400 s: /);
    assert.match(await post("values", form({ n: new File(["x"], "a.png", { type: "image/png" }) })), /^400 n: /);
  });
});

describe("a file's name", () => {
  const names: [string, string][] = [
    ["é", "é"],
    ["日本.png", "日本.png"],
    ["😀.png", "😀.png"],
    ['a"b', 'a"b'],
    ["a;b 'c' %20.txt", "a;b 'c' %20.txt"],
    ["a\\b", "b"],
    ["../../x", "x"],
    ["C:\\x\\y.png", "y.png"],
    ["a\nb\0", "a_b_"],
    ["..", "file"],
    ["n".repeat(300), "n".repeat(300)],
    [`${"n".repeat(20_000)}.png`, `${"n".repeat(496)}.png`],
  ];

  it("is the same by a browser's form and by the client, up and down, and holds no folder", async () => {
    const forms = await client();
    for (const [name, expected] of names) {
      const given = new File(["x"], name, { type: "image/png" });
      const told = { file: expected, type: "image/png", size: 1 };
      if (name.length < 5000) assert.deepEqual(await post("onlyOwn", form({ f: given })), told);
      assert.deepEqual(await forms.onlyOwn(given), told);
      assert.equal((await forms.back(given)).name, expected);
      if (name.length < 5000) {
        const json = new File(["{}"], name, { type: "application/json" });
        assert.deepEqual(await forms.onlyOwn(json), { file: expected, type: "application/json", size: 2 });
      }
      assert.equal((await forms.named(name)).name, expected);
      const encoded = { name, contentType: "image/png", data: "eA==" };
      const headers = { "content-type": "application/json" };
      assert.deepEqual(await post("onlyOwn", JSON.stringify(encoded), headers), told);
    }
  });

  it("is read by the same rule from the header of a whole body", async () => {
    const cases: [string, string][] = [
      ['attachment; filename="../../x"', "x"],
      [`attachment; filename="a"; filename*=UTF-8''%e6%97%a5.png`, "日.png"],
      [`attachment; filename*=iso-8859-1''%e9`, "é"],
      [`attachment; filename="\xe9"`, "é"],
      [String.raw`attachment; filename="a\"b"`, 'a"b'],
      [Buffer.from('attachment; filename="日本.png"').toString("latin1"), "日本.png"],
      ["attachment", "file"],
    ];
    for (const [disposition, expected] of cases) {
      const connection = new RawConnection(server.port);
      const head = `POST /onlyOwn HTTP/1.1\r\nhost: localhost\r\ncontent-type: image/png\r\ncontent-disposition: ${disposition}`;
      connection.write(Buffer.from(`${head}\r\ncontent-length: 1\r\nconnection: close\r\n\r\nx`, "latin1"));
      const { body } = parseResponse(await connection.closed());
      assert.equal(JSON.parse(Buffer.from(body, "latin1").toString()).file, expected, disposition);
    }
  });
});
