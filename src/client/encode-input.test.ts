import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Tensor } from "../define/tensor.js";
import { ServingError } from "../failure/serving-error.js";
import { encodeInput } from "./encode-input.js";

const jsonOf = async (input: unknown) => JSON.parse((await encodeInput(input)).body as string) as unknown;

describe("encodeInput", () => {
  it("sends nothing for no input", async () => {
    assert.deepEqual(await encodeInput(undefined), { body: undefined, headers: {} });
  });

  it("sends values as JSON", async () => {
    const value = { text: "é", list: [1, null, true], nested: { a: undefined, b: "x" } };
    const { body, headers } = await encodeInput(value);
    assert.equal(body, '{"text":"é","list":[1,null,true],"nested":{"b":"x"}}');
    assert.deepEqual(headers, { "content-type": "application/json" });
    assert.equal((await encodeInput("text")).body, '"text"');
    assert.equal((await encodeInput(null)).body, "null");
  });

  it("sends tensors anywhere as their bytes in base64", async () => {
    const tensor = new Tensor("float32", [2], new Float32Array([1, 2]));
    const encoded = { dtype: "float32", shape: [2], data: "AACAPwAAAEA=" };
    assert.deepEqual(await jsonOf(tensor), encoded);
    assert.deepEqual(await jsonOf({ rows: [{ tensor }] }), { rows: [{ tensor: encoded }] });
    const view = new Tensor("uint8", [2], new Uint8Array([9, 1, 2, 9]).subarray(1, 3));
    assert.deepEqual(await jsonOf(view), { dtype: "uint8", shape: [2], data: "AQI=" });
  });

  it("sends what JSON has no word for as the server's answers have it", async () => {
    const value = {
      date: new Date(0),
      small: 7n,
      large: 2n ** 60n,
      map: new Map([["a", 1]]),
      pairs: new Map([[1, "a"]]),
      set: new Set([1, 2]),
      bytes: new Uint8Array([1, 2]),
    };
    assert.deepEqual(await jsonOf(value), {
      date: "1970-01-01T00:00:00.000Z",
      small: 7,
      large: "1152921504606846976",
      map: { a: 1 },
      pairs: [[1, "a"]],
      set: [1, 2],
      bytes: "AQI=",
    });
  });

  it("refuses what JSON would drop or change, and says where it is", async () => {
    class Odd {}
    const loop: unknown[] = [];
    loop.push(loop);
    const cases: readonly (readonly [unknown, RegExp])[] = [
      [{ a: [Number.NaN] }, /^input\.a\[0\] is NaN/],
      [{ a: Number.POSITIVE_INFINITY }, /^input\.a is Infinity/],
      [{ run: () => 1 }, /^input\.run is a function/],
      [[new Odd()], /^input\[0\] is an instance of class Odd/],
      [new Float32Array(1), /^input is a Float32Array \(pass a Tensor or a list\)/],
      [{ date: new Date(Number.NaN) }, /^input\.date is an invalid Date/],
      [loop, /nested more than 100 levels deep, or contains itself/],
      [{ file: new Blob(["x"]), other: Number.NaN }, /^input\.other is NaN/],
    ];
    for (const [input, message] of cases) {
      await assert.rejects(encodeInput(input), (error) => {
        assert.ok(error instanceof ServingError);
        assert.equal(error.id, "not_transferable");
        assert.match(error.message, message);
        return true;
      });
    }
  });

  it("sends bytes and files as the whole body", async () => {
    const bytes = new Uint8Array([1, 2]);
    assert.deepEqual(await encodeInput(bytes), {
      body: bytes,
      headers: { "content-type": "application/octet-stream" },
    });
    const named = new File(["x"], "a.png", { type: "image/png" });
    assert.deepEqual((await encodeInput(named)).headers, {
      "content-type": "image/png",
      "content-disposition": 'attachment; filename="a.png"',
    });
    assert.deepEqual((await encodeInput(new Blob(["x"]))).headers, { "content-type": "application/octet-stream" });
  });

  it("sends a file in a form where its type would be misread", async () => {
    const odd = new File(["{}"], "a.json", { type: "application/json" });
    const { body, headers } = await encodeInput(odd);
    assert.ok(body instanceof FormData);
    assert.deepEqual(headers, {});
    assert.equal((body.get("file") as File).name, odd.name);
  });

  it("says the exact name of a file in a header that is ASCII", async () => {
    const { body, headers } = await encodeInput(new File(["x"], "日本.png", { type: "image/png" }));
    assert.ok(body instanceof File);
    assert.equal(
      headers["content-disposition"],
      `attachment; filename="__.png"; filename*=UTF-8''%E6%97%A5%E6%9C%AC.png`,
    );
  });

  it("sends an object with files as a form, other fields as JSON", async () => {
    const image = new File(["x"], "a.png", { type: "image/png" });
    const input = { image, pages: [image, image], threshold: 0.5, text: "hi", none: undefined };
    const { body } = await encodeInput(input);
    assert.ok(body instanceof FormData);
    assert.deepEqual([...body.keys()], ["image", "pages", "pages", "threshold", "text"]);
    const text = body.get("text") as File;
    assert.deepEqual([text.type, await text.text()], ["application/json", '"hi"']);
  });

  it("sends files deeper down as base64", async () => {
    const file = new File(["hi"], "a.txt", { type: "text/plain" });
    assert.deepEqual(await jsonOf({ pages: [{ file }] }), {
      pages: [{ file: { name: "a.txt", contentType: "text/plain", data: "aGk=" } }],
    });
  });

  it("sends files as parts of a form where the server takes them by path, and else as base64", async () => {
    const scan = new File(["hi"], "a.txt", { type: "text/plain" });
    const input = {
      title: "x",
      pages: [{ scan, n: 1 }, { scan }],
      named: { a: scan, "b.c": scan },
      other: { scan },
    };
    const { body } = await encodeInput(input, ["pages[].scan", "named.*"]);
    assert.ok(body instanceof FormData);
    const names = ["title", "pages", "pages[0].scan", "pages[1].scan", "named", "named.a", "other"];
    assert.deepEqual([...body.keys()], names);
    const read = async (name: string) => JSON.parse(await (body.get(name) as File).text()) as unknown;
    const base64 = { name: "a.txt", contentType: "text/plain", data: "aGk=" };
    assert.deepEqual(await read("pages"), [{ scan: null, n: 1 }, { scan: null }]);
    assert.deepEqual(await read("named"), { a: null, "b.c": base64 });
    assert.deepEqual(await read("other"), { scan: base64 });
    assert.deepEqual(await jsonOf({ title: "x", pages: [] }), { title: "x", pages: [] });
  });

  it("sends a list of files as a form to a server that takes one", async () => {
    const scan = new File(["hi"], "a.txt", { type: "text/plain" });
    const { body } = await encodeInput([scan, scan], ["[]"]);
    assert.ok(body instanceof FormData);
    assert.equal(body.getAll("files").length, 2);
    assert.ok(Array.isArray(await jsonOf([scan])));
  });
});
