import { Tensor } from "ekiben";

// Values of every kind that may cross. Each call makes new ones: test and service each make their own and compare them.

export type Make = () => unknown;

export const nest = (levels: number, innermost: unknown = "bottom"): unknown => {
  let value = innermost;
  for (let i = 0; i < levels; i++) value = i % 2 === 0 ? { next: value } : [value];
  return value;
};

const scalars: Record<string, Make> = {
  "a text": () => "hello",
  "an empty text": () => "",
  "unicode, control characters and newlines": () => 'ä € 𝄞 \u2028\u2029\n\r\t\0\\"\u007f',
  "lone surrogates": () => ["\ud800", "\udc00 x", "x \ud83d"],
  "whole and broken numbers": () => [0, 1, -1, 0.1, 1e300, 5e-324, 2 ** 53, Number.MAX_VALUE],
  "NaN, infinities and -0": () => [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0],
  "-0 by itself": () => -0,
  "NaN by itself": () => Number.NaN,
  booleans: () => [true, false],
  null: () => null,
  undefined: () => undefined,
  bigints: () => [0n, -1n, 2n ** 64n, -(10n ** 100n)],
  "a bigint by itself": () => 12n,
};

const structures: Record<string, Make> = {
  "an empty object": () => ({}),
  "an empty list": () => [],
  "nested JSON": () => ({ a: [{ b: { c: [1, [2, [3]]] } }], "": null, "with space": "x", é: 1, length: 3 }),
  "undefined fields and items": () => ({ a: undefined, b: [undefined, 1, undefined], c: { d: undefined } }),
  "keys that mean something elsewhere": () => ({
    constructor: 1,
    toString: "x",
    hasOwnProperty: null,
    // biome-ignore lint/suspicious/noThenProperty: it is only data
    then: 2,
    $: [1],
  }),
  "what looks like a mark of a wire": () => [
    { $: "undefined" },
    { $: ["date", 0] },
    { "": ["bigint", "ff"] },
    { "\u0000": 1, $ekiben: ["tensor"] },
    { type: "Buffer", data: [1] },
  ],
  "keys in their order": () => ({ z: 1, a: 2, m: 3 }),
  "a list of 100,000 numbers": () => Array.from({ length: 100_000 }, (_, i) => i / 8),
  "a list of 20,000 objects": () => Array.from({ length: 20_000 }, (_, i) => ({ id: i, name: `n${i}` })),
  "a long text": () => "0123456789abcdé".repeat(100_000),
  "values 60 levels deep": () => nest(60),
  "marked values 60 levels deep": () => nest(60, new Date(5)),
};

const classes: Record<string, Make> = {
  dates: () => [new Date(0), new Date(1_700_000_000_123), new Date(-1), new Date(8.64e15)],
  "an invalid date": () => new Date(Number.NaN),
  "a map": () =>
    new Map<unknown, unknown>([
      ["a", 1],
      [2, { b: new Date(3) }],
      [{ key: true }, [undefined]],
      [Number.NaN, -0],
    ]),
  "an empty map and an empty set": () => [new Map(), new Set()],
  "a set": () => new Set<unknown>(["x", 1, null, undefined, { in: new Set([1n]) }]),
  "maps in maps": () => new Map([["outer", new Map([["inner", new Map([[1, new Set([2])]])]])]]),
};

const bytes: Record<string, Make> = {
  bytes: () => Uint8Array.of(0, 1, 127, 128, 255),
  "no bytes": () => new Uint8Array(),
  "many byte arrays": () => Array.from({ length: 300 }, (_, i) => new Uint8Array(i % 5).fill(i)),
  "1 MB of bytes": () => new Uint8Array(1_000_000).fill(7),
  "the arrays that tensors are made of": () => [
    Float32Array.of(1.5, Number.NaN, -0),
    Float64Array.of(0.1, Number.NEGATIVE_INFINITY),
    Int32Array.of(-1, 2 ** 31 - 1),
    BigInt64Array.of(-1n, 2n ** 62n),
  ],
};

const tensors: Record<string, Make> = {
  "a float32 tensor": () =>
    new Tensor("float32", [2, 2], Float32Array.of(1.5, -0, Number.NaN, Number.POSITIVE_INFINITY)),
  "a float64 tensor": () => new Tensor("float64", [3], Float64Array.of(0.1, 1e300, -2)),
  "an int32 tensor": () => new Tensor("int32", [1, 3], Int32Array.of(-1, 0, 2 ** 31 - 1)),
  "an int64 tensor": () => new Tensor("int64", [2], BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n)),
  "a uint8 tensor": () => new Tensor("uint8", [2, 1, 2], Uint8Array.of(0, 1, 254, 255)),
  "a scalar tensor": () => new Tensor("float32", [], Float32Array.of(42)),
  "empty tensors": () => [
    new Tensor("float32", [0], new Float32Array()),
    new Tensor("int64", [3, 0], new BigInt64Array()),
  ],
  "a tensor of 1 MB": () =>
    new Tensor(
      "float32",
      [500, 500],
      new Float32Array(250_000).map((_, i) => i),
    ),
  "a tensor of 20 MB": () => new Tensor("float32", [5_000_000], new Float32Array(5_000_000).fill(0.5)),
};

const beside: Record<string, Make> = {
  "all kinds beside each other": () => ({
    text: "x",
    when: new Date(9),
    big: 3n,
    none: undefined,
    odd: Number.NaN,
    map: new Map([["k", new Tensor("uint8", [1], Uint8Array.of(9))]]),
    set: new Set([new Date(1)]),
    raw: Uint8Array.of(1, 2),
    left: new Tensor("float32", [2], Float32Array.of(1, 2)),
    right: new Tensor("int64", [1], BigInt64Array.of(5n)),
    list: [new Uint8Array(), { deep: new Tensor("float64", [], Float64Array.of(0.5)) }],
  }),
};

/** Values that cross unchanged, by name. */
export const catalogue: Readonly<Record<string, Make>> = {
  ...scalars,
  ...structures,
  ...classes,
  ...bytes,
  ...tensors,
  ...beside,
};
