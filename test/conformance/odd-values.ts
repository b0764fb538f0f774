import { Tensor } from "ekiben";
import { type Make, nest } from "./values.js";

// Values that may not cross, and values that arrive as something simpler.

class Point {
  readonly x = 1;
}

const cycle = (): unknown => {
  const value: Record<string, unknown> = { name: "round" };
  value["self"] = value;
  return value;
};

const at = (value: unknown): unknown => ({ list: [{ field: value }] });

/** Values that may not cross, by name, with the path that the refusal shows after `input` or `output`. */
export const refused: Readonly<Record<string, { readonly make: Make; readonly path: string }>> = {
  "a function": { make: () => () => 1, path: "" },
  "a function in a field": { make: () => at(() => 1), path: ".list[0].field" },
  "a symbol": { make: () => at(Symbol("s")), path: ".list[0].field" },
  "an instance of a class": { make: () => at(new Point()), path: ".list[0].field" },
  "an instance with toJSON": { make: () => at(new URL("http://a.b")), path: ".list[0].field" },
  "an error": { make: () => at(new Error("no")), path: ".list[0].field" },
  "a regular expression": { make: () => at(/x/), path: ".list[0].field" },
  "a boxed text": { make: () => at(new String("x")), path: ".list[0].field" },
  "a promise inside": { make: () => at(Promise.resolve(1)), path: ".list[0].field" },
  "a weak map": { make: () => at(new WeakMap()), path: ".list[0].field" },
  "a buffer without a view": { make: () => at(new ArrayBuffer(2)), path: ".list[0].field" },
  "a data view": { make: () => at(new DataView(new ArrayBuffer(2))), path: ".list[0].field" },
  "a Uint16Array": { make: () => at(new Uint16Array(2)), path: ".list[0].field" },
  "a Uint8ClampedArray": { make: () => at(new Uint8ClampedArray(2)), path: ".list[0].field" },
  "a BigUint64Array": { make: () => at(new BigUint64Array(2)), path: ".list[0].field" },
  "a function in a map": { make: () => new Map([["k", () => 1]]), path: "[value]" },
  "a function as a key": { make: () => ({ map: new Map([[() => 1, 1]]) }), path: ".map[key]" },
  "a symbol in a set": { make: () => ({ set: new Set([1, Symbol("s")]) }), path: ".set[1]" },
  "a key __proto__": { make: () => ({ a: JSON.parse('{"__proto__": 1}') }), path: ".a" },
};

/** Values that are refused at a great depth: the path must be cut after its first levels. */
export const endless: Readonly<Record<string, Make>> = {
  "a cycle": cycle,
  "a cycle through a map": () => {
    const map = new Map<string, unknown>();
    map.set("again", [map]);
    return map;
  },
  "values 200 levels deep": () => nest(200),
};

interface Simplified {
  readonly make: Make;
  readonly arrives: string;
}

/** Values that arrive as something simpler, by name, with the description of the received value. */
export const simplified: Readonly<Record<string, Simplified>> = {
  "a Buffer": { make: () => Buffer.from("abc"), arrives: "Uint8Array(97,98,99)" },
  "an empty Buffer": { make: () => Buffer.alloc(0), arrives: "Uint8Array()" },
  "a view into more bytes": { make: () => Uint8Array.of(1, 2, 3, 4).subarray(1, 3), arrives: "Uint8Array(2,3)" },
  "a view into more floats": { make: () => Float32Array.of(1, 2, 3).subarray(1, 2), arrives: "Float32Array(2)" },
  "bytes in shared memory": { make: () => new Uint8Array(new SharedArrayBuffer(2)), arrives: "Uint8Array(0,0)" },
  "a tensor over a Buffer": {
    make: () => new Tensor("uint8", [3], Buffer.from("abc")),
    arrives: describeTensor("uint8", 3, "Uint8Array(97,98,99)"),
  },
  "a tensor over a view into more": {
    make: () => new Tensor("float32", [1], Float32Array.of(1, 2, 3).subarray(1, 2)),
    arrives: describeTensor("float32", 1, "Float32Array(2)"),
  },
  "an object without a prototype": { make: () => Object.assign(Object.create(null), { a: 1 }), arrives: '{"a":1}' },
  "a list with holes": { make: () => Object.assign(new Array(3), { 1: "x" }), arrives: '[undefined,"x",undefined]' },
  "a list of numbers with a hole": {
    make: () => Object.assign([1, 2, 3, 4], { length: 6, 5: 9 }),
    arrives: "[1,2,3,4,undefined,9]",
  },
  "a list with fields of its own": { make: () => Object.assign([1], { extra: 2 }), arrives: "[1]" },
  "an instance of a subclass of Array": { make: () => new List(1, 2), arrives: "[1,2]" },
  "an instance of a subclass of Date": { make: () => new Day(5), arrives: "Date(5)" },
  "a record with symbols as keys": {
    make: () => ({ a: 1, [Symbol("s")]: 2 }),
    arrives: '{"a":1}',
  },
  "a record with a hidden field": {
    make: () => Object.defineProperty({ a: 1 }, "hidden", { value: 2 }),
    arrives: '{"a":1}',
  },
  "a record with a getter": {
    make: () => Object.defineProperty({}, "a", { get: () => 1, enumerable: true }),
    arrives: '{"a":1}',
  },
  "a record with a hidden toJSON": {
    make: () => Object.defineProperty({ a: 1 }, "toJSON", { value: () => "json" }),
    arrives: '{"a":1}',
  },
};

class List extends Array<number> {}
class Day extends Date {}

function describeTensor(dtype: string, size: number, data: string): string {
  return `DenseTensor{"dtype":"${dtype}","shape":[${size}],"data":${data}}`;
}
