import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { Random } from "../../test/http/random.js";
import { copyTail, cross, toComparable } from "../../test/transport/cross.js";
import { createPortableValues } from "../../test/transport/portable-values.js";
import { createPortable } from "../../test/transport/random-portable.js";
import { copyValue } from "../call/copy-value.js";
import { Tensor } from "../define/tensor.js";
import { ServingError } from "../failure/serving-error.js";
import { decodeValue } from "./decode-value.js";
import { type EncodedValue, encodeValue } from "./encode-value.js";
import { loadTail } from "./frame.js";

describe("a value that crosses a link", () => {
  for (const [what, value] of createPortableValues()) {
    it(`arrives as a copy would: ${what}`, async () => {
      assert.deepEqual(await toComparable(await cross(value)), await toComparable(copyValue(value, "input")));
    });
  }

  it("keeps undefined fields as fields, and holes as undefined items", async () => {
    const [record, list] = (await cross([{ a: undefined }, new Array(2)])) as [object, unknown[]];
    assert.equal(Object.hasOwn(record, "a"), true);
    assert.equal(Object.hasOwn(list, 0), true);
  });

  it("has real tensors, byte arrays that are no Buffers, and files that are files", async () => {
    const value = {
      tensor: new Tensor("uint8", [1], Buffer.from("a")),
      bytes: Buffer.from("b"),
      file: new File([], "f"),
    };
    const { tensor, bytes, file } = (await cross(value)) as typeof value;
    assert.ok(tensor instanceof Tensor);
    for (const array of [tensor.data, bytes]) assert.equal(Object.getPrototypeOf(array), Uint8Array.prototype);
    assert.ok(file instanceof File);
  });

  it("keeps the memory of a tail as the tensor's own, from its first byte to its last", () => {
    const tail = copyTail(new Uint8Array(8));
    const { data } = decodeValue('{"$":["tensor","float32",[2],0]}', [tail], true) as Tensor;
    assert.equal(data.buffer, tail.buffer);
    assert.equal(data.length, 2);
  });

  it("survives in number: more byte arrays than a frame has tails", async () => {
    const lists = Array.from({ length: 65_600 }, (_, i) => new Uint8Array([i, i >> 8]));
    const arrived = (await cross(lists)) as Uint8Array[];
    assert.equal(arrived.length, lists.length);
    assert.deepEqual(arrived.at(-1), lists.at(-1));
    assert.equal(arrived.at(-1)?.buffer.byteLength, 2);
  });

  it("may be as deep as one that is copied, and no deeper", async () => {
    const nests: Record<string, (inner: unknown) => unknown> = {
      list: (inner) => [inner],
      record: (inner) => ({ a: inner }),
      "record that looks like a mark": (inner) => ({ $: inner }),
      map: (inner) => new Map([["k", inner]]),
      "key of a map": (inner) => new Map([[inner, 1]]),
      set: (inner) => new Set([inner]),
    };
    const leaves = [1, undefined, Number.NaN, 1n, {}, [], new Date(0), new Uint8Array(1), new Map(), { $: 1 }];
    for (const [what, nest] of Object.entries(nests)) {
      for (const levels of [100, 101, 102]) {
        for (const leaf of leaves) {
          let value: unknown = leaf;
          for (let i = 0; i < levels; i++) value = nest(value);
          const [copied, crossed] = await Promise.all([
            tryDo(() => copyValue(value, "input")),
            tryDo(() => cross(value)),
          ]);
          assert.deepEqual(crossed, copied, `${levels} levels of a ${what}`);
        }
      }
    }
  });

  it("arrives as a copy would, whatever it is", async () => {
    const random = new Random(20);
    for (let i = 0; i < 2000; i++) {
      const value = createPortable(random);
      assert.deepEqual(await toComparable(await cross(value)), await toComparable(copyValue(value, "input")));
    }
  });
});

describe("decodeValue", () => {
  const tail = (bytes: number) => new Uint8Array(bytes);
  const nest = (open: string, close: string, levels: number) => `${open.repeat(levels)}{}${close.repeat(levels)}`;
  const deep = (levels: number) => nest("[", "]", levels - 1);
  const malformed: [string, string, Uint8Array[], RegExp][] = [
    ["what is no JSON", "{", [], /its value is no JSON/],
    ["an empty text", "", [], /its value is no JSON/],
    ["a key __proto__", '{"a":{"__proto__":{"x":1}}}', [], /has a key __proto__/],
    ["a key __proto__ spelled otherwise", '{"\\u005f_proto__":1}', [], /has a key __proto__/],
    ["a key __proto__ in a mark", '{"$":["record",{"__proto__":1}]}', [], /has a key __proto__/],
    ["too many levels", deep(102), [], /more than 100 levels/],
    ["a million levels", deep(1e6), [], /more than 100 levels/],
    ["too many levels of maps", nest('{"$":["map",[1,', "]]}", 102), [], /more than 100 levels/],
    ["too many levels of records", nest('{"$":["record",', "]}", 102), [], /more than 100 levels/],
    ["a mark with another key", '{"$":"NaN","a":1}', [], /further keys/],
    ["a mark of no kind", '{"$":5}', [], /no known kind/],
    ["a mark of an unknown name", '{"$":"constructor"}', [], /no known kind/],
    ["a mark of an unknown kind", '{"$":["constructor",1]}', [], /of kind constructor/],
    ["an empty mark", '{"$":[]}', [], /of kind \(no text\)/],
    ["a mark with too many parts", '{"$":["date",1,2]}', [], /of kind date/],
    ["a date that is none", '{"$":["date","today"]}', [], /of kind date/],
    ["a bigint that is none", '{"$":["bigint","1.5"]}', [], /of kind bigint/],
    ["a bigint of nothing", '{"$":["bigint","-"]}', [], /of kind bigint/],
    ["a map with a key alone", '{"$":["map",[1]]}', [], /of kind map/],
    ["a set that is no list", '{"$":["set",{"length":1}]}', [], /of kind set/],
    ["a record that is a list", '{"$":["record",[]]}', [], /of kind record/],
    ["a tail that is not there", '{"$":["uint8",1]}', [tail(1)], /tail 1 is not there/],
    ["a tail before the first", '[{"$":["uint8",-1]}]', [tail(1)], /tail -1 is not there/],
    ["a tail between two", '[{"$":["uint8",0.5]}]', [tail(1)], /tail 0.5 is not there/],
    ["a tail that is a key", '[{"$":["uint8","length"]}]', [tail(1)], /no base64/],
    ["a tail used twice", '[{"$":["uint8",0]},{"$":["uint8",0]}]', [tail(1)], /used twice/],
    ["a tail of no mark", "{}", [tail(1)], /1 of its 1 tails belong to no mark/],
    ["bytes that fit no element", '{"$":["float32",0]}', [tail(7)], /7 bytes are no whole number of float32/],
    ["a tensor of another size", '{"$":["tensor","int32",[3],0]}', [tail(8)], /needs 3 elements, data has 2/],
    ["a tensor of an odd shape", '{"$":["tensor","uint8",[-1],0]}', [tail(1)], /an entry -1 that is not a size/],
    ["a tensor of no shape", '{"$":["tensor","uint8",{"$":"NaN"},0]}', [tail(1)], /shape must be an array/],
    ["a tensor of no dtype", '{"$":["tensor","toString",[1],0]}', [tail(1)], /of kind tensor/],
    ["a tensor too large to count", '{"$":["tensor","uint8",[9e15,9e15,9e15,9e300],0]}', [tail(1)], /not a size/],
    ["a blob without a type", '{"$":["blob",null,0]}', [tail(1)], /of kind blob/],
    ["a blob in base64", '{"$":["blob","","AA=="]}', [], /of kind blob/],
    ["a file without a name", '{"$":["file",1,"",1,0]}', [tail(1)], /of kind file/],
    ["a file without a time", '{"$":["file","","","undefined",0]}', [tail(1)], /of kind file/],
    ["memory that is shared", '{"$":["uint8",0]}', [tail(8).subarray(4)], /shares its memory/],
  ];
  for (const [what, text, tails, problem] of malformed) {
    it(`refuses ${what}`, () => {
      assert.throws(() => decodeValue(text, tails, true), { id: "malformed_frame", message: problem });
    });
  }

  it("reads and writes every mark as docs/reference/wire.md shows it", async () => {
    const page = readFileSync(new URL("../../docs/reference/wire.md", import.meta.url), "utf8");
    const marks = [...page.matchAll(/`(\{"\$":[^`]+\})`/g)].map(([, text]) => text as string);
    assert.ok(marks.length >= 13, `${marks.length} marks are shown`);
    for (const mark of marks) {
      // One that is surely marked stands beside it, since a record with the key alone is plain JSON.
      const text = `[${mark},{"$":"undefined"}]`;
      const bytes = mark.includes('"latin1"') ? 40_000 : 24;
      const value = decodeValue(text, /latin1|uint8|tensor|blob|file/.test(mark) ? [tail(bytes)] : [], true);
      assert.equal((await encodeValue(value, "input")).text, text);
    }
  });

  it("looks for marks only where it is told that there are some", () => {
    assert.deepEqual(decodeValue('{"$":"NaN"}', [], false), { $: "NaN" });
    assert.throws(() => decodeValue("1", [tail(1)], false), { id: "malformed_frame", message: /1 tails and no mark/ });
  });

  it("refuses a forbidden key and too many levels in plain values too", () => {
    const wide = `[${"{},".repeat(200)}1]`;
    assert.equal((decodeValue(wide, [], false) as unknown[]).length, 201);
    assert.doesNotThrow(() => decodeValue(deep(101), [], false));
    for (const text of ['[{"__proto__":1}]', '{"a":{"__prot\\u006f__":1}}', deep(102), deep(1e6)]) {
      assert.throws(() => decodeValue(text, [], false), { id: "malformed_frame" });
    }
    assert.equal(decodeValue('"__proto__ \\u005b"', [], false), "__proto__ [");
  });

  it("gives a value or malformed_frame for anything, touches no prototype and never hangs", async () => {
    const random = new Random(21);
    const prototypes = [Object.prototype, Array.prototype, Map.prototype, Date.prototype];
    const before = prototypes.map((prototype) => Reflect.ownKeys(prototype));
    let decoded = 0;
    for (let i = 0; i < 15_000; i++) {
      const { text, tails, isMarked } = mutate(random, encodeValue(createPortable(random), "input") as EncodedValue);
      const value = tryDecode(text, tails.map(loadTail), isMarked);
      if (value === refused) continue;
      decoded++;
      // What was let in can be sent on, so it holds nothing but what may cross.
      assert.doesNotThrow(() => copyValue(value, "input"));
    }
    assert.ok(decoded > 1500 && decoded < 13_500, `${decoded} of 15000 were let in`);
    assert.deepEqual(
      prototypes.map((prototype) => Reflect.ownKeys(prototype)),
      before,
    );
  });
});

const refused = Symbol("refused");

function tryDecode(text: string, tails: readonly Uint8Array[], isMarked: boolean): unknown {
  try {
    return decodeValue(text, tails, isMarked);
  } catch (error) {
    assert.ok(error instanceof ServingError, `${text} gave ${error}`);
    assert.equal(error.id, "malformed_frame");
    return refused;
  }
}

const pieces = [
  ...['{"$":', '"__proto__":', '"constructor":', '"prototype"', "[", "]", "{", "}", ",", ":", '"', "0", "-1", "1e999"],
  ...['"tensor"', '"float32"', '"uint8"', '"map"', '"set"', '"record"', '"file"', '"bigint"', "null", "\\u005f", "$"],
  ...['{"$":["uint8",0]}', '{"$":["record",{"__proto__":{"x":1}}]}', '{"$":["map",[1,2]]}', '{"$":"undefined"}'],
];

/** The same with a few mistakes in it: in its text, its tails, or what it says of itself. */
function mutate(random: Random, { text, tails, isMarked }: EncodedValue): EncodedValue {
  const copies = tails.map(copyTail);
  if (random.chance(0.2)) copies.splice(random.between(0, copies.length), 1);
  if (random.chance(0.1)) copies.push(new Uint8Array(random.between(0, 16)));
  if (random.chance(0.1) && copies.length > 0) copies[0] = new Uint8Array(random.between(0, 16));
  let mutated = text;
  for (let i = random.between(0, 3); i > 0; i--) {
    const at = random.between(0, mutated.length);
    const removed = random.chance(0.5) ? random.between(0, 4) : 0;
    const added = random.chance(0.7) ? random.pick(pieces) : mutated.slice(at, at + random.between(0, 20));
    mutated = mutated.slice(0, at) + added + mutated.slice(at + removed);
  }
  return { text: mutated, tails: copies, isMarked: random.chance(0.1) ? !isMarked : isMarked };
}

async function tryDo(run: () => unknown): Promise<unknown> {
  try {
    return await run();
  } catch (error) {
    return (error as Error).message;
  }
}
