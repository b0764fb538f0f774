import { Tensor } from "../../src/define/tensor.js";

// Values that may cross from one service to another, and values that may not: one table for all boundaries.

const sparse: unknown[] = new Array(3);
sparse[1] = 1;
const long = "x".repeat(40_000);
const longTexts = [long, new Map([[long, `${long}é`]]), new Set([`${long}駅`, "short"]), { $: long }];
const nullPrototype: Record<string, unknown> = Object.create(null);
nullPrototype["a"] = { b: 1 };
const backing = new Uint8Array(32).map((_, i) => i).buffer;
const nextTo = new Uint8Array(backing);

/** Values that may cross. Each call makes new ones. */
export const createPortableValues = (): [string, unknown][] => [
  ["a text", "héllo \n \u2028 \u{1f600} \ud800"],
  ["an empty text", ""],
  ["a long text", 'plain, \n "quoted" '.repeat(4000)],
  ["a long text of latin1", "é\u0000ÿ ".repeat(20_000)],
  ["a long text of wide characters, and halves of some", `${"駅 \u2028 \u{1f600}".repeat(9000)}\ud800`],
  ["long texts in a list, a map and a set", longTexts],
  ["a number", 1.5],
  ["a boolean", false],
  ["null", null],
  ["undefined", undefined],
  ["NaN", Number.NaN],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["-Infinity", Number.NEGATIVE_INFINITY],
  ["-0", -0],
  ["the largest and the smallest number", [Number.MAX_VALUE, Number.MIN_VALUE, Number.MAX_SAFE_INTEGER]],
  ["a bigint", 12n],
  ["a negative bigint", -255n],
  ["a large bigint", 2n ** 200n],
  ["0n", 0n],
  ["a record", { a: 1, b: { c: [true, null, "x"] } }],
  ["an empty record", {}],
  ["a record without a prototype", nullPrototype],
  ["a record with odd keys", { "": 1, "2": 2, "1": 1, "a\nb": 3, constructor: 4, toString: { valueOf: 5 } }],
  ["an undefined field", { a: undefined, b: 1 }],
  ["fields that JSON has no word for", { a: Number.NaN, b: -0, c: 1n, d: [undefined] }],
  ["a list", [1, "a", [2, [3]]]],
  ["an empty list", []],
  ["a list with undefined items", [undefined, 1, undefined]],
  ["a list with holes", sparse],
  ["numbers, some of them odd", [0, 1, -0, Number.NaN, 2]],
  ["a Uint8Array", new Uint8Array([1, 2, 255])],
  ["a Buffer", Buffer.from("abc")],
  ["an empty Uint8Array", new Uint8Array()],
  ["a Float32Array", new Float32Array([1.5, Number.NaN, -0])],
  ["a Float64Array", new Float64Array([Math.PI])],
  ["an Int32Array", new Int32Array([-1, 2 ** 31 - 1])],
  ["a BigInt64Array", new BigInt64Array([-1n, 2n ** 62n])],
  ["a view into the middle of a buffer", nextTo.subarray(3, 7)],
  ["floats in the middle of a buffer", new Float32Array(backing, 8, 3)],
  ["a tensor", new Tensor("float32", [2, 3], new Float32Array(6).fill(0.5))],
  ["a tensor of each dtype", createTensors()],
  ["a scalar tensor", new Tensor("float64", [], new Float64Array([7]))],
  ["an empty tensor", new Tensor("int32", [0, 4], new Int32Array())],
  ["a tensor as a record", { dtype: "float32", shape: [2], data: new Float32Array([1, 2]) }],
  ["a date", new Date(1_700_000_000_123)],
  ["an invalid date", [new Date(Number.NaN)]],
  [
    "a map",
    new Map<unknown, unknown>([
      ["k", { v: 1 }],
      [{ key: 1 }, new Map([[1, undefined]])],
      [Number.NaN, -0],
    ]),
  ],
  ["an empty map", new Map()],
  ["a set", new Set<unknown>(["a", 1, { b: new Set([null]) }, undefined])],
  ["a blob", new Blob(["hello"], { type: "text/plain" })],
  ["an empty blob", new Blob([])],
  ["a file", new File(["x"], "ä b.txt", { type: "text/plain", lastModified: 5 })],
  ["a file of any time", new File([], "", { lastModified: Number.POSITIVE_INFINITY })],
  ["files among bytes", { a: new Uint8Array([1]), b: [new Blob(["b"]), new Uint8Array([3])], c: new File(["d"], "d") }],
  ["a record that looks like a mark", { $: "NaN" }],
  ["a record that looks like a mark with parts", { a: { $: ["uint8", 0] }, b: -0 }],
  ["a record that looks like a mark, and more", { $: ["date", 1], other: [{ $: { $: undefined } }], bytes: nextTo }],
  ["a hidden toJSON", { list: withForm([1, -0]), plain: withForm({ a: 1 }), alone: [withForm([1])] }],
  ["a field toJSON that is no function", { toJSON: "text" }],
];

function createTensors(): readonly Tensor[] {
  return [
    new Tensor("float32", [1], new Float32Array([1])),
    new Tensor("float64", [1], new Float64Array([2])),
    new Tensor("int32", [1], new Int32Array([3])),
    new Tensor("int64", [1], new BigInt64Array([4n])),
    new Tensor("uint8", [2], new Uint8Array([5, 6])),
  ];
}

/** Has a method that `JSON.stringify` would call and that no loop over keys shows. */
function withForm<T extends object>(value: T): T {
  return Object.defineProperty(value, "toJSON", { value: () => "something else" });
}

class Model {}
const cycle: Record<string, unknown> = {};
cycle["self"] = { cycle };

/** Values that may not cross. */
export const refusedValues: readonly [string, unknown][] = [
  ["a function", { a: [{ run: () => 1 }] }],
  ["a function alone", () => 1],
  ["a symbol", Symbol("s")],
  ["a symbol in a list", [1, "a", Symbol("s")]],
  ["a promise", { later: Promise.resolve(1) }],
  ["an instance of a class", [new Model()]],
  ["an object whose prototype is no class", Object.create({ constructor: undefined })],
  ["an error", { error: new Error("x") }],
  ["a typed array that no tensor has", { x: new Uint16Array(1) }],
  ["a DataView", [[new DataView(new ArrayBuffer(1))]]],
  ["an ArrayBuffer", new ArrayBuffer(1)],
  ["a boxed number", [Object(1)]],
  ["a regular expression", { re: /x/ }],
  ["a WeakMap", new WeakMap()],
  ["a key __proto__", JSON.parse('{"a":{"__proto__":{"x":1}}}')],
  ["a key __proto__ after a function", JSON.parse('{"__proto__":1}', (_, item: unknown) => item)],
  ["a function before a key __proto__", { f: () => 1, ["__proto__"]: 1 }],
  ["an own toJSON", { a: { toJSON: () => 1 } }],
  ["a cycle", cycle],
  ["a key of a map", new Map([[() => 1, 1]])],
  ["a value of a map", { m: new Map([["k", [() => 1]]]) }],
  ["an item of a set", new Set([1, () => 1])],
  ["something behind what may cross", { a: -0, b: new Uint8Array(1), c: [1n, { d: Symbol("s") }] }],
];
