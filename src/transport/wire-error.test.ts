import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Random } from "../../test/http/random.js";
import { createPortable } from "../../test/transport/random-portable.js";
import { Tensor } from "../define/tensor.js";
import { fail } from "../failure/failures.js";
import { ServingError } from "../failure/serving-error.js";
import { toServingError } from "../failure/to-serving-error.js";
import { crossError, decodeError, encodeError } from "./wire-error.js";

const fieldsOf = ({
  code,
  id,
  message,
  details,
  service,
  api,
  retryable,
  httpStatus,
  fix,
  incident,
}: ServingError) => ({
  ...{ code, id, message, details, service, api, retryable, httpStatus, fix, incident },
});
const throwing = (details: unknown) =>
  new ServingError({ code: "aborted", message: "m", details: details as Record<string, unknown> });

describe("a failure that crosses a link", () => {
  const failures: [string, ServingError][] = [
    ["the least one", new ServingError({ code: "not_found", message: "no such page" })],
    ["a row of the table", fail("payload_too_large", { bytes: 2, maxBytes: 1 })],
    [
      "one with every field",
      new ServingError({
        ...{ code: "unavailable", id: "own", message: "m\nn", details: { a: [1, { b: null }] }, retryable: false },
        ...{ httpStatus: 418, fix: "f", incident: "i", service: "S", api: "a", cause: new Error("c") },
      }),
    ],
    ["one with the opposite of its defaults", new ServingError({ code: "internal", message: "", retryable: true })],
  ];
  for (const [what, error] of failures) {
    it(`arrives as the same class with the same fields: ${what}`, () => {
      const arrived = crossError(error);
      assert.ok(arrived instanceof ServingError);
      assert.deepEqual(fieldsOf(arrived), fieldsOf(error));
      assert.equal(arrived.cause, undefined);
    });
  }

  it("keeps details of every kind that may cross, but files", () => {
    const details = {
      ...{ at: new Date(5), none: undefined, count: 2n, odd: -0, mark: { $: "NaN" }, $: 1, bytes: new Uint8Array([1]) },
      tensor: new Tensor("float32", [2], new Float32Array([1, Number.NaN])),
      map: new Map([[1, new Set(["a"])]]),
    };
    assert.deepEqual(crossError(throwing(details)).details, details);
    assert.deepEqual(crossError(throwing({ ...details, file: new Blob(["x"]) })).details, details);
  });

  it("leaves out details that can't cross, and keeps the others", () => {
    const cycle: Record<string, unknown> = {};
    cycle["self"] = cycle;
    const details = {
      ...{ run: () => 1, symbol: Symbol("s"), cycle, error: new Error("x"), size: 3, nested: { deep: () => 1 } },
      ...{ ["__proto__"]: 1, last: "here" },
    };
    assert.deepEqual(crossError(throwing(details)).details, { size: 3, last: "here" });
    const broken = {
      get own(): never {
        throw new Error("mine");
      },
      size: 3,
    };
    assert.deepEqual(crossError(throwing(broken)).details, { own: "(can't be read: mine)", size: 3 });
  });

  it("has plain details, whatever an author without types gave", () => {
    for (const details of [null, 5, "text", [1], () => 1, Symbol("s"), new Date(5), new Map([[1, 1]])]) {
      assert.deepEqual({ ...crossError(throwing(details)).details }, {});
    }
  });

  it("always fits in a frame, however long its texts and details are", () => {
    const long = "\u0001".repeat(3_000_000);
    const error = new ServingError({
      ...{ code: "internal", id: long, message: long, service: long, api: long, fix: long, incident: long },
      details: { long, size: 3, longer: [long], list: Array.from({ length: 10 }, (_, i) => i) },
    });
    const text = encodeError(error);
    assert.ok(text.length <= 1024 * 1024, `${text.length} characters`);
    const arrived = decodeError(text);
    assert.equal(arrived.message, long.slice(0, 16 * 1024));
    assert.deepEqual(arrived.details, { size: 3, list: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] });
  });

  it("has the stack of where it was thrown, over any number of hops, and no cause", () => {
    const error = toServingError(new TypeError("x is not a function"), "S", "a");
    const arrived = crossError(crossError(error));
    assert.equal(arrived.stack, error.stack);
    assert.equal(arrived.cause, undefined);
    assert.equal(Object.keys(arrived).includes("stack"), false);
  });

  it("arrives the same whether its details were encoded or copied", () => {
    const details = { size: 3, odd: -0, none: Number.NaN, text: "t", yes: true };
    const copied = crossError(throwing(details));
    const encoded = decodeError(encodeError(throwing(details)));
    assert.deepEqual(copied.details, encoded.details);
    assert.deepEqual(fieldsOf(copied), fieldsOf(encoded));
    assert.notEqual(copied.details, details);
  });

  it("has no frames where it is a refusal: under overload they would cost more than the refusal", () => {
    const error = fail("overloaded", { queued: 2, retryAfterMs: 5 });
    assert.equal(error.stack, `ServingError: ${error.message}`);
    assert.equal(crossError(error).stack, error.stack);
    assert.equal(decodeError(encodeError(error)).stack, error.stack);
    assert.match(fail("draining", { what: "S" }).stack ?? "", /\n {4}at /);
  });

  it("has no more than 8 KiB of its stack", () => {
    const error = fail("payload_too_large", { bytes: 2, maxBytes: 1 });
    error.stack = "x".repeat(100_000);
    assert.equal(crossError(error).stack, "x".repeat(8192));
  });
});

describe("decodeError", () => {
  it("makes internal of a code it does not know, and keeps the rest", () => {
    const error = decodeError('{"code":"constructor","id":"theirs","message":"m","details":{"a":1}}');
    const { code, id, message, details, httpStatus } = error;
    assert.deepEqual(
      { code, id, message, details, httpStatus },
      {
        ...{ code: "internal", id: "theirs", message: "m", details: { a: 1 }, httpStatus: 500 },
      },
    );
  });

  it("takes a default for every field that is not of its type", () => {
    const fields =
      '"id":1,"details":[1],"service":{},"api":null,"retryable":"yes","httpStatus":"404","fix":2,"stack":3';
    const error = decodeError(`{"code":5,"message":"m",${fields},"incident":[]}`);
    assert.deepEqual(fieldsOf(error), fieldsOf(new ServingError({ code: "internal", message: "m" })));
    assert.match(error.stack ?? "", /wire-error/);
  });

  it("makes malformed_frame of what is no failure, and never throws", () => {
    const texts = [
      "",
      "{",
      "null",
      "5",
      "[]",
      '"text"',
      "{}",
      '{"message":1}',
      '{"message":"m","details":{"$":["uint8",0]}}',
    ];
    for (const text of texts) assert.equal(decodeError(text).id, "malformed_frame", text);
    const random = new Random(22);
    for (let i = 0; i < 2000; i++) {
      const text = encodeError(throwing({ field: createPortable(random) }));
      const at = random.between(0, text.length);
      const error = decodeError(text.slice(0, at) + random.text(2) + text.slice(at + random.between(0, 3)));
      assert.ok(error instanceof ServingError);
    }
  });
});
