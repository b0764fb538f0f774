import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Random } from "../../test/http/random.js";
import { createAnything } from "../../test/http/random-value.js";
import { ServingError } from "../failure/serving-error.js";
import { JsonSlices, parseJson } from "./parse-json.js";

const limits = { maxBodyDepth: 8, maxBodyValues: 1e6 };
const refuses = (text: string, id: string, pattern: RegExp, maxBodyDepth = 8) =>
  assert.throws(
    () => parseJson(text, { maxBodyDepth, maxBodyValues: 1e6 }),
    (error) => error instanceof ServingError && error.id === id && pattern.test(error.message),
    text.slice(0, 60),
  );

describe("parseJson", () => {
  it("reads what JSON.parse reads", () => {
    const texts = ["1", '"a"', "null", "[]", '{"a":[1,{"b":null}]}', ' {"constructor":1} ', '{"a":"__proto__"}'];
    for (const text of texts) assert.deepEqual(parseJson(text, limits), JSON.parse(text));
  });

  it("refuses what is no JSON, and says where", () => {
    for (const text of ["", "{", "NaN", "[1,]", "{'a':1}", "// x\n1", "undefined"]) {
      refuses(text, "invalid_json", /is not JSON: /);
    }
  });

  it("refuses keys that could reach a prototype, however they are spelt and wherever they are", () => {
    refuses('{"__proto__":{"a":1}}', "forbidden_key", /__proto__/);
    refuses('[{"a":{"__proto__":1}}]', "forbidden_key", /__proto__/);
    refuses(String.raw`{"\u005f_proto__":{}}`, "forbidden_key", /__proto__/);
    refuses(String.raw`{"__\u0070roto__":{}}`, "forbidden_key", /__proto__/);
    refuses('{"constructor":{"prototype":{"a":1}}}', "forbidden_key", /constructor\.prototype/);
    refuses(String.raw`{"constr\u0075ctor":{"prototype":{}}}`, "forbidden_key", /constructor\.prototype/);
    assert.equal(({} as { a?: unknown }).a, undefined);
  });

  it("refuses numbers that would become infinite, and says where", () => {
    refuses("1e999", "invalid_json", /at its root is too large/);
    refuses(`[${"9".repeat(400)}]`, "invalid_json", /at \[0\] is too large/);
    refuses('{"a":[1,{"b":-1E+400}]}', "invalid_json", /at a\[1\]\.b is too large/);
    assert.deepEqual(parseJson('[1e300, 1e-999, "1e999", "e123"]', limits), [1e300, 0, "1e999", "e123"]);
  });

  it("refuses integers that would arrive as other ones, and says where and what to do", () => {
    refuses("9007199254740993", "inexact_number", /9007199254740993 at its root would lose digits/);
    refuses('{"a":[1,{"b":-4634343214213523454}]}', "inexact_number", /-4634343214213523454 at a\[1\]\.b would/);
    refuses(`["x:[{",{"k\\"":"9007199254740993","id":${"1".repeat(300)}}]`, "inexact_number", /1… at \[1\]\.id would/);
    // Exact integers, integers as JavaScript writes doubles, and fractions, which are rounded everywhere.
    const texts = [
      "9007199254740992",
      "-9007199254740994",
      `1${"0".repeat(22)}`,
      "18446744073709551616",
      "4634343214213523000",
    ];
    texts.push(
      '"9007199254740993"',
      "1.2345678901234567e18",
      "9007199254740993.0",
      `0.${"1".repeat(40)}`,
      "1e-400",
      "-0",
      "1e22",
    );
    for (const text of texts) assert.ok(Object.is(parseJson(text, limits), JSON.parse(text)), text);
  });

  it("counts levels, not brackets, and none inside strings", () => {
    assert.equal((parseJson("[[[[[[[[]]]]]]]]", limits) as unknown[]).length, 1);
    assert.equal((parseJson(`[${"[],".repeat(100)}[]]`, limits) as unknown[]).length, 101);
    const text = '["[[[[[[[[[[", "\\"[[[[[[[[[[", "\\\\", {"{{{{{{{{{{": "\\\\\\"{{{{{{"}]';
    assert.deepEqual(parseJson(text, limits), JSON.parse(text));
    refuses("[[[[[[[[[]]]]]]]]]", "body_too_deep", /more than 8 levels/);
    refuses('{"a":[{"a":[{"a":[{"a":[{}]}]}]}]}', "body_too_deep", /more than 8 levels/);
  });

  it("refuses a million levels without parsing them", () => {
    refuses("[".repeat(1_000_000), "body_too_deep", /levels deep/);
    refuses('{"a":'.repeat(1_000_000), "body_too_deep", /levels deep/);
  });
});

const sliceLimits = { maxBodyDepth: 64, maxBodyValues: 10_000_000 };
const parse = (text: string, bounds = sliceLimits) => new JsonSlices(text, bounds).parse();

/** Creates a value whose text is some slices long, with long lists and objects at any level. */
function createLarge(random: Random, depth = 0): unknown {
  const kind = depth > 4 ? 0 : random.between(0, 5);
  if (kind === 0) return createAnything(random);
  if (kind === 1) return 'x,[{"'.repeat(random.between(0, depth === 0 ? 40_000 : 4_000));
  const count = random.between(0, depth === 0 ? 5_000 : random.pick([3, 300]));
  const wide = random.between(0, count);
  const items = Array.from({ length: count }, (_, i) =>
    i === wide ? createLarge(random, depth + 1) : random.pick([i, "a,]}", null, [], {}, [1, [2]], { 'k"}': [{}] }]),
  );
  if (kind < 4) return items;
  return Object.fromEntries(items.map((item, i) => [random.chance(0.5) ? `${i}` : `key "${i}`, item]));
}

const write = (random: Random, value: unknown) => JSON.stringify(value, null, random.pick([0, 1, "\t"]));

const failureOf = (text: string, bounds = sliceLimits): ServingError => {
  try {
    parse(text, bounds);
  } catch (error) {
    return error as ServingError;
  }
  throw new assert.AssertionError({ message: `taken: ${text.slice(0, 80)}` });
};

describe("JsonSlices", () => {
  it("reads what JSON.parse reads, in the same order (HJ2)", () => {
    for (let seed = 0; seed < 60; seed++) {
      const random = new Random(seed);
      const text = write(random, createLarge(random));
      if (/"(?:__proto__)"/.test(text)) continue;
      assert.equal(JSON.stringify(parse(text)), JSON.stringify(JSON.parse(text)), `seed ${seed}`);
    }
  });

  it("refuses what JSON.parse refuses, wherever a long text has a wrong sign", () => {
    let refused = 0;
    for (let seed = 0; seed < 300; seed++) {
      const random = new Random(seed);
      const text = write(random, createLarge(random));
      const at = random.between(0, text.length);
      const sign = random.pick(["", ",", "]", "}", "[", "{", '"', ":", "1", " ", "x", ",,", "][", "[]"]);
      const spoilt = text.slice(0, at) + sign + text.slice(at + random.between(0, 1));
      let expected: unknown;
      try {
        expected = JSON.parse(spoilt);
      } catch {
        refused++;
        assert.match(failureOf(spoilt).id, /invalid_json|body_too_deep/, `seed ${seed}`);
        continue;
      }
      assert.equal(JSON.stringify(parse(spoilt)), JSON.stringify(expected), `seed ${seed}`);
    }
    assert.ok(refused > 50, `${refused} refused`);
  });

  it("refuses commas and items too many or too few between opened ones", () => {
    const long = `[${"1,".repeat(100_000)}1]`;
    const texts = [
      `[${long},]`,
      `[${long}${long}]`,
      `[${long} 1]`,
      `[,${long}]`,
      `[${long},,1]`,
      `[1 ${long}]`,
      `${long}1`,
    ];
    texts.push(
      `${long}${" ".repeat(100_000)}x`,
      `{"a":${long},}`,
      `{"a" ${long}}`,
      `{${long}}`,
      `{"a":${long} "b":1}`,
      `[${long}}`,
    );
    texts.push(
      `1 ${long}`,
      `${long},`,
      `${long}]`,
      long.slice(0, -1),
      `{"a":1 "b":${long}}`,
      `{"a":${long}:1}`,
      `{"a":1${long}}`,
      `{"a":1{"b":${long}}}`,
      `${long.slice(0, -2)}]`,
    );
    for (const text of texts) assert.equal(failureOf(text).id, "invalid_json", text.slice(0, 30) + text.slice(-30));
  });

  it("says where in the whole text something is wrong", () => {
    const text = `{"a":[${"1,".repeat(100_000)}1 2]}`;
    const at = (error: ServingError) => /position (\d+)/.exec(error.message)?.[1];
    assert.equal(at(failureOf(text)), String(text.indexOf("1 2") + 2));
    const large = `{"a":{"b":[${"[1],".repeat(100_000)}{"c":[0,9007199254740993]}]}}`;
    const { id, message } = failureOf(large);
    assert.equal(id, "inexact_number");
    assert.match(message, /9007199254740993 at a\.b\[100000\]\.c\[1\] would/);
    assert.match(failureOf(`[${"1,".repeat(100_000)}1e999]`).message, /number at \[100000\] is too large/);
  });

  it("counts values and levels before it makes any (HJ3)", () => {
    const bounds = { maxBodyDepth: 4, maxBodyValues: 1000 };
    assert.equal((parse(`[${"1,".repeat(998)}1]`, bounds) as unknown[]).length, 999);
    assert.equal(failureOf(`[${"1,".repeat(999)}1]`, bounds).id, "too_many_values");
    assert.equal(failureOf(`[${"{},".repeat(5_000_000)}{}]`, sliceLimits).id, "too_many_values");
    assert.equal(failureOf(`[[[[${"1,".repeat(900)}[1]]]]]`, bounds).id, "body_too_deep");
    assert.equal(failureOf("[".repeat(1_000_000)).id, "body_too_deep");
    assert.equal((parse(`["${"[{,".repeat(100_000)}"]`, bounds) as unknown[]).length, 1);
  });

  it("counts the values of all texts of a body together", () => {
    const bounds = { maxBodyDepth: 4, maxBodyValues: 1000, read: { values: 0 } };
    const list = `[${"1,".repeat(598)}1]`;
    assert.equal((parse(list, bounds) as unknown[]).length, 599);
    assert.equal(bounds.read.values, 600);
    assert.equal(failureOf(list, bounds).id, "too_many_values");
  });

  it("counts the fields of each object by itself", () => {
    const bounds = { maxBodyDepth: 4, maxBodyValues: 1600 };
    const object = (fields: number) => `{${Array.from({ length: fields }, (_, i) => `"k${i}":0`).join(",")}}`;
    assert.equal(Object.keys(parse(object(100), bounds) as object).length, 100);
    assert.equal(failureOf(object(101), bounds).id, "too_many_fields");
    assert.equal((parse(`[${object(100)},${object(100)},[1,2]]`, bounds) as unknown[]).length, 3);
    const usual = { maxBodyDepth: 64, maxBodyValues: 1_000_000 };
    assert.match(failureOf(object(62_501), usual).message, /an object with more than 62500 fields/);
  });

  it("refuses forbidden keys also where their objects are opened", () => {
    const long = `[${"1,".repeat(100_000)}1]`;
    const filler = `"x":${long}`;
    for (const text of [
      `{"__proto__":${long}}`,
      `{${filler},"__proto__":{}}`,
      String.raw`{"\u005f_proto__":${long}}`,
      `{"constructor":{"prototype":${long}}}`,
      `{"constructor":{"prototype":1,${filler}}}`,
      `{"constructor":{${filler},"prototype":1}}`,
      `{"constructor":{"prototype":{${filler}}}}`,
    ]) {
      assert.equal(failureOf(text).id, "forbidden_key", text.slice(0, 40));
    }
    assert.deepEqual(Object.keys(parse(`{"prototype":{"constructor":${long}}}`) as object), ["prototype"]);
  });

  it("gives JSON.parse each piece of a long text once, and never much at a time (HJ1)", (context) => {
    const item = '{"a":[1,2,3],"b":"text"}';
    for (const text of [`[${`${item},`.repeat(30_000)}1]`, `{"list":[${`${item},`.repeat(30_000)}1],"b":2}`]) {
      const expected = JSON.stringify(JSON.parse(text));
      const parsed = context.mock.method(JSON, "parse");
      const value = parse(text);
      const lengths = parsed.mock.calls.map(({ arguments: [piece] }) => piece.length);
      parsed.mock.restore();
      assert.equal(JSON.stringify(value), expected);
      assert.ok(Math.max(...lengths) < 70_000, `${Math.max(...lengths)} at a time`);
      const all = lengths.reduce((sum, length) => sum + length, 0);
      assert.ok(all < 1.01 * text.length, `${all} of ${text.length}`);
    }
  });

  it("refuses a number that would take long to read, and takes a text of as many digits", () => {
    const digits = "1".repeat(200_000);
    for (const number of [digits, `-${digits}`, `0.${digits}`, `1e${digits}`, `1E+${digits}`]) {
      for (const text of [number, `[1,${number}]`, `{"a":[{"b":${number}}]}`]) {
        const { id, message } = failureOf(text);
        assert.deepEqual(
          [id, message],
          ["invalid_json", "the body is not JSON: it has a number of more than 65536 characters"],
        );
      }
    }
    const texts = [digits, `${digits}\\"${digits}`, "e".repeat(200_000)];
    assert.deepEqual(parse(JSON.stringify([...texts, 1])), [...texts, 1]);
    assert.deepEqual(parse(`[${" ".repeat(200_000)}1]`), [1]);
  });

  it("lets others have a turn", async () => {
    const text = `[${"{},".repeat(1_000_000)}{}]`;
    let turns = 0;
    const count = () => {
      turns++;
      next = setImmediate(count);
    };
    let next = setImmediate(count);
    const value = (await new JsonSlices(text, sliceLimits).parseInTurns()) as unknown[];
    clearImmediate(next);
    assert.equal(value.length, 1_000_001);
    assert.ok(turns > 1, `${turns} turns`);
  });
});
