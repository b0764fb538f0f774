import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Tensor } from "../define/tensor.js";
import { ServingError } from "../failure/serving-error.js";
import { encodeJson, writeJson } from "./write-reply.js";

const lists = { tensors: "lists" } as const;
const base64 = { tensors: "base64" } as const;

const refuses = (value: unknown, path: string, what: RegExp) =>
  assert.throws(
    () => encodeJson(value, lists),
    (error) => {
      assert.ok(error instanceof ServingError && error.id === "not_json");
      assert.equal(error.details["path"], path);
      assert.match(String(error.details["what"]), what);
      return true;
    },
  );

describe("encodeJson", () => {
  it("gives back the very same value where JSON needs nothing else", () => {
    for (const value of [{ a: [1, "b", null, { c: true }], d: undefined }, [1.5, -0], "x", 0, null]) {
      assert.equal(encodeJson(value, lists), value);
    }
  });

  it("writes what JSON has no word for, and copies only the way to it", () => {
    const untouched = { a: [1, 2, 3] };
    const value = {
      untouched,
      at: new Date(0),
      bytes: new Uint8Array([1, 2, 3]),
      small: 12n,
      large: 2n ** 63n,
      map: new Map([["k", new Set([1])]]),
    };
    const encoded = encodeJson(value, lists) as typeof value;
    assert.deepEqual(encoded, {
      untouched,
      at: "1970-01-01T00:00:00.000Z",
      bytes: "AQID",
      small: 12,
      large: "9223372036854775808",
      map: { k: [1] },
    });
    assert.equal(encoded.untouched, untouched);
    assert.ok(value.at instanceof Date);
  });

  it("writes nothing as null", () => {
    assert.equal(encodeJson(undefined, lists), null);
  });

  it("writes tensors as nested lists or as base64", () => {
    const tensor = new Tensor("float32", [2, 3], new Float32Array([1, 2, 3, 4, 5, 6]));
    // biome-ignore format: as a matrix
    assert.deepEqual(encodeJson({ tensor }, lists), { tensor: [[1, 2, 3], [4, 5, 6]] });
    const { data } = encodeJson(tensor, base64) as { data: string };
    assert.deepEqual(new Float32Array(new Uint8Array(Buffer.from(data, "base64")).buffer), tensor.data);
    assert.equal(encodeJson(new Tensor("float32", [], new Float32Array([7])), lists), 7);
    assert.deepEqual(encodeJson(new Tensor("float32", [2, 0], new Float32Array()), lists), [[], []]);
    assert.deepEqual(encodeJson(new Tensor("int64", [2], new BigInt64Array([1n, 2n ** 62n])), lists), [
      1,
      `${2n ** 62n}`,
    ]);
    const plain = { dtype: "uint8", shape: [2], data: new Uint8Array([1, 2]) };
    assert.deepEqual(encodeJson([plain], lists), [[1, 2]]);
  });

  it("waits for the bytes of blobs", async () => {
    const encoded = encodeJson(
      { image: new File(["abc"], "a.txt", { type: "text/plain" }), raw: new Blob(["x"]) },
      lists,
    );
    assert.ok(encoded instanceof Promise);
    assert.deepEqual(await encoded, {
      image: { name: "a.txt", contentType: "text/plain", data: "YWJj" },
      raw: { contentType: "application/octet-stream", data: "eA==" },
    });
  });

  it("refuses what JSON would drop or change, and says where it is", () => {
    refuses(Number.NaN, "output", /NaN/);
    refuses({ scores: [{ value: [1, Number.POSITIVE_INFINITY] }] }, "output.scores[0].value[1]", /Infinity/);
    refuses({ t: new Tensor("float32", [2, 2], new Float32Array([1, 2, 3, Number.NaN])) }, "output.t[1][1]", /NaN/);
    refuses([() => 1], "output[0]", /function/);
    refuses([1, undefined], "output[1]", /undefined/);
    refuses({ id: Symbol("x") }, "output.id", /symbol/);
    refuses({ url: new URL("http://x") }, "output.url", /class URL/);
    refuses({ at: new Date(Number.NaN) }, "output.at", /invalid Date/);
    refuses({ m: new Map([[1, 2]]) }, "output.m", /key of type number/);
    refuses({ a: new Int16Array(2) }, "output.a", /Int16Array/);
    refuses({ p: Promise.resolve(1) }, "output.p", /Promise/);
  });

  it("refuses a value that contains itself instead of running out of stack", () => {
    const value: { next?: unknown } = {};
    value.next = [value];
    assert.throws(
      () => encodeJson(value, lists),
      (error) => error instanceof ServingError && /contains itself/.test(error.message),
    );
  });

  it("keeps a key __proto__ a key", () => {
    const value = JSON.parse('{"__proto__": {"at": 1}, "b": 1}');
    value.big = 1n;
    assert.equal(JSON.stringify(encodeJson(value, lists)), '{"__proto__":{"at":1},"b":1,"big":1}');
    const map = new Map([["__proto__", 1n]]);
    assert.equal(JSON.stringify(encodeJson(map, lists)), '{"__proto__":1}');
  });
});

const many = <T>(item: T, count: number): T[] => new Array<T>(count).fill(item);

describe("writeJson", () => {
  it("writes what JSON.stringify writes, whatever of it is long", async () => {
    const values: unknown[] = [
      null,
      "text",
      [],
      {},
      many(1.5, 100_000),
      many("x", 20_000),
      many([1, [2]], 20_000),
      many({ a: 1, b: undefined, c: 'é"\n' }, 20_000),
      { a: many(0, 20_000), b: undefined, c: { d: many(many(1, 100), 1_000) }, e: null },
      [many(0, 20_000), 1, many(0, 20_000), "x", []],
      Object.fromEntries(many(0, 20_000).map((_, i) => [`key "${i}`, i % 2 === 0 ? i : undefined])),
      { a: undefined, b: { c: undefined }, d: many(undefined, 6_000).map(() => ({ e: undefined })) },
      "a".repeat(1_000_000),
      ["a".repeat(1_000_000), "b"],
    ];
    for (const value of values)
      assert.ok((await writeJson(value)) === JSON.stringify(value), JSON.stringify(value).slice(0, 60));
  });

  it("gives a short text at once", () => {
    assert.equal(
      writeJson({ label: "cat", scores: many(0.5, 1_000) }),
      JSON.stringify({ label: "cat", scores: many(0.5, 1_000) }),
    );
  });

  it("lets others have a turn while it writes a long one", async () => {
    let turns = 0;
    const count = () => {
      turns++;
      next = setImmediate(count);
    };
    let next = setImmediate(count);
    await writeJson(many(many(0.123456789, 100), 10_000));
    clearImmediate(next);
    assert.ok(turns > 1, `${turns} turns`);
  });
});
