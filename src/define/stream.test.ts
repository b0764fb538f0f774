import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";
import { currentCall } from "../call/invoke.js";
import { api, readApi } from "./api.js";
import { type Contract, contractProblem, createChecks, shapeJsonSchema } from "./contract.js";
import { isStreamSchema, stream } from "./schema.js";
import { Service } from "./service.js";
import { Tensor } from "./tensor.js";
import { tensor } from "./tensor-schema.js";

async function collect(items: AsyncIterable<unknown> | Iterable<unknown>): Promise<unknown[]> {
  const list: unknown[] = [];
  for await (const item of items) list.push(item);
  return list;
}

const read = (contract: Contract, value: unknown) =>
  collect(createChecks({ output: z.any(), ...contract }).input(value) as AsyncIterable<unknown>);

describe("stream()", () => {
  it("is known as a stream, and is a list in JSON Schema", () => {
    assert.deepEqual([isStreamSchema(stream(z.number())), isStreamSchema(z.array(z.number()))], [true, false]);
    assert.deepEqual(shapeJsonSchema(stream({ n: z.number() }), "input"), {
      type: "array",
      items: { type: "object", properties: { n: { type: "number" } }, required: ["n"] },
    });
  });

  it("checks each item when it is read, and names the wrong one by its index", async () => {
    const input = stream({ n: z.number(), tags: z.array(z.string()).default([]) });
    assert.deepEqual(await read({ input }, [{ n: 1 }]), [{ n: 1, tags: [] }]);
    const wrong = read({ input }, [{ n: 1 }, { n: 2, tags: [7] }]);
    await assert.rejects(wrong, { id: "invalid_input", message: /^\[1\]\.tags\[0\]: / });
    const later = stream(z.number().refine(async (n) => n < 3));
    await assert.rejects(read({ input: later }, [1, 5]), { id: "invalid_input", message: /^\[1\]: / });
  });

  it("ends the producer at an item that is wrong, and is over then", async () => {
    let ended = 0;
    async function* produce() {
      try {
        yield* [1, "two", 3];
      } finally {
        ended++;
      }
    }
    const checks = createChecks({ input: stream(z.number()), output: z.any() });
    const items = (checks.input(produce()) as AsyncIterable<unknown>)[Symbol.asyncIterator]();
    assert.equal((await items.next()).value, 1);
    await assert.rejects(items.next(), { id: "invalid_input", message: /^\[1\]: / });
    assert.deepEqual([(await items.next()).done, ended], [true, 1]);
  });

  it("holds the names of sizes within one item, not from one to the next", async () => {
    const make = (n: number, m = n) => ({
      a: new Tensor("float32", [n], new Float32Array(n)),
      b: new Tensor("float32", [m], new Float32Array(m)),
    });
    const input = stream({ a: tensor("float32", ["n"]), b: tensor("float32", ["n"]) });
    assert.equal((await read({ input }, [make(1), make(2)])).length, 2);
    await assert.rejects(read({ input }, [make(1), make(2, 3)]), { message: /^\[1\]\.b: size "n" is 3 here and 2/ });
  });

  it("is the input as a whole or nothing: anything else is a fault of the contract", () => {
    const problems: readonly [contract: object, words: RegExp][] = [
      [
        { input: { audio: stream(z.any()) }, output: z.any() },
        /^input\.audio is a stream\(\); only a whole input or output/,
      ],
      [
        { output: stream(z.any()), yields: z.any() },
        /^the contract has both .*; output: stream\(x\) means the same as yields: x/,
      ],
      [{ output: stream(stream(z.any())) }, /^the items of yields are streams|^yields is a stream\(\) of streams/],
      [{ output: stream({ a: 1 } as never) }, /^yields\.a is not a schema/],
      [{ yields: stream(z.any()) }, /^yields is a stream\(\) of streams/],
      [{ input: stream(stream(z.any())), output: z.any() }, /^the items of stream\(\) are streams themselves/],
      [{ input: stream({ a: stream(z.any()) }), output: z.any() }, /^stream\(\)\.a is a stream/],
      [{ input: stream(undefined as never), output: z.any() }, /^stream\(\) is not a schema/],
      [{ input: stream({ a: 1 } as never), output: z.any() }, /^stream\(\)\.a is not a schema/],
    ];
    for (const [contract, words] of problems) assert.match(String(contractProblem(contract as Contract)), words);
    assert.equal(contractProblem({ input: stream(z.any()), yields: z.any() }), undefined);
    assert.match(
      String(contractProblem({ output: stream(z.any()) }, "task")),
      /^a task can't have a stream\(\) as output/,
    );
  });
});

describe("output: stream(x)", () => {
  it("means the same as yields: x, in the contract as on the instance", async () => {
    const items = z.object({ n: z.number() });
    class Counter extends Service() {
      count = api({ input: z.number(), output: stream(items), summary: "Counts." }, async function* (to) {
        for (let n = 0; n < to; n++) yield { n };
      });
      wrong = api({ output: stream(items) }, async function* () {
        yield { n: "one" as never };
      });
    }
    assert.deepEqual(readApi(new Counter().count)?.contract, { input: z.number(), yields: items, summary: "Counts." });
    assert.equal(readApi(new Counter().count)?.kind, "stream");
    assert.deepEqual(await collect(new Counter().count(2)), [{ n: 0 }, { n: 1 }]);
    await assert.rejects(collect(new Counter().wrong()), { id: "invalid_output" });
  });
});

describe("an api with a stream as its input, called on its instance", () => {
  class Own extends Service() {
    sum = api({ input: stream(z.number()), output: z.number() }, async (numbers) => {
      let sum = 0;
      for await (const number of numbers) if ((sum += number) > 10) break;
      return sum;
    });
    double = api({ input: stream(z.number()), yields: z.number() }, async function* (numbers) {
      for await (const number of numbers) yield number * 2;
    });
    outer = api({ output: z.any() }, async () => {
      async function* produce() {
        yield currentCall().caller.service.length;
        yield 1;
      }
      return this.sum(produce());
    });
  }

  it("reads it in place, checks included", async () => {
    const own = new Own();
    assert.equal(await own.sum([1, 2]), 3);
    assert.deepEqual(await collect(own.double(own.double([1, 2]))), [4, 8]);
    assert.equal(await own.outer(), "local".length + 1);
    await assert.rejects(own.sum(["x"] as never), { id: "invalid_input" });
    await assert.rejects(own.sum(7 as never), { id: "invalid_input", message: /expected a stream of items/ });
  });

  it("ends the producer when it has read enough, or its own reader leaves", async () => {
    const own = new Own();
    let ended = 0;
    async function* produce() {
      try {
        for (;;) yield 4;
      } finally {
        ended++;
      }
    }
    assert.equal(await own.sum(produce()), 12);
    for await (const item of own.double(produce())) if (item === 8) break;
    assert.equal(ended, 2);
  });
});
