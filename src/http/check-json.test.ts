import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Random } from "../../test/http/random.js";
import { checkNumbers } from "./check-json.js";

const refusalOf = (text: string): string | undefined => {
  try {
    checkNumbers(text, JSON.parse(text));
    return undefined;
  } catch (error) {
    return (error as { id: string }).id;
  }
};

/** Applies the rule to one number, in a slow and simple way. */
function expectedOf(token: string): string | undefined {
  const number = Number(token);
  if (!Number.isFinite(number)) return "invalid_json";
  if (!/^-?\d+$/.test(token) || Math.abs(number) < 2 ** 53) return undefined;
  return String(number) === token || BigInt(number) === BigInt(token) ? undefined : "inexact_number";
}

function createToken(random: Random): string {
  const digits = (most: number) => Array.from({ length: random.between(1, most) }, () => random.between(0, 9)).join("");
  const sign = random.pick(["", "-"]);
  switch (random.between(0, 4)) {
    case 0:
      return `${sign}${BigInt(digits(26))}`;
    case 1:
      // Near the powers of two, where doubles become coarser.
      return `${sign}${2n ** BigInt(random.between(52, 70)) + BigInt(random.between(-9, 9))}`;
    case 2:
      return `${sign}${BigInt(digits(19)) * 2n ** BigInt(random.between(0, 16))}`;
    case 3:
      return `${sign}${BigInt(digits(18))}.${digits(30)}`;
    default:
      return `${sign}${random.between(1, 9)}${random.pick(["", ".5"])}${random.pick(["e", "E"])}${random.pick(["", "+", "-"])}${random.between(0, 400)}`;
  }
}

describe("checkNumbers", () => {
  it("refuses the numbers that arrive as others, and no more", () => {
    const random = new Random(5);
    for (let i = 0; i < 30_000; i++) {
      const token = createToken(random);
      assert.equal(refusalOf(`[9007199254740992,${token},1]`), expectedOf(token), token);
    }
  });

  it("looks at numbers alone, wherever they stand", () => {
    const texts = [
      '["9007199254740993",9007199254740992]',
      '{"9007199254740993":9007199254740992}',
      '["\\"9007199254740993",1e200]',
    ];
    for (const text of texts) assert.equal(refusalOf(text), undefined, text);
    for (const text of ['["x", 9007199254740993 ]', '{"a":{"b":[true,null,\n9007199254740993]}}', "9007199254740993"]) {
      assert.equal(refusalOf(text), "inexact_number", text);
    }
    assert.equal(refusalOf(`[1,${"9".repeat(400)}]`), "invalid_json");
    assert.equal(refusalOf(`[9007199254740992,${"9".repeat(400)}.5]`), "invalid_json");
    assert.equal(refusalOf(`[9007199254740992,0.${"9".repeat(400)}]`), undefined);
  });
});
