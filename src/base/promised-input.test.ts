import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { promisedInput } from "./promised-input.js";

const asIs = <T>(fields: T): T => fields;

describe("promisedInput", () => {
  it("awaits an input, or the fields of an object, and keeps the order of the fields", async () => {
    assert.equal(await promisedInput(Promise.resolve("a"), asIs), "a");
    const settled = (await promisedInput({ a: Promise.resolve(1), b: 2, c: Promise.resolve(3) }, asIs)) as object;
    assert.deepEqual(Object.entries(settled), [
      ["a", 1],
      ["b", 2],
      ["c", 3],
    ]);
    const bare = Object.assign(Object.create(null) as object, { a: Promise.resolve(1) });
    assert.deepEqual(await promisedInput(bare, asIs), { a: 1 });
  });

  it("leaves every other input, and does not read into lists and objects of classes", () => {
    const late = Promise.resolve(1);
    class Box {
      readonly inside = late;
    }
    const items = { extra: late, async *[Symbol.asyncIterator]() {} };
    const others = ["a", 1, null, undefined, {}, { a: 1 }, { a: { b: late } }, [late], new Map([["a", late]])];
    for (const input of [...others, new Box(), items, new Float32Array(1)]) {
      assert.equal(promisedInput(input, asIs), undefined);
    }
  });

  it("copies the fields that are no promises at once, and by the copy's own rules", async () => {
    const list = [1];
    const copies = (fields: object) => structuredClone(fields) as Readonly<Record<string, unknown>>;
    const later = promisedInput({ text: Promise.resolve("a"), list }, copies);
    list.push(2);
    assert.deepEqual(await later, { text: "a", list: [1] });
    const refused = promisedInput({ text: Promise.reject(new Error("late")), list: [() => 1] }, () => {
      throw new Error("can't be copied");
    });
    await assert.rejects(async () => refused, /can't be copied/);
  });

  it("fails with the first promise that fails; a later one causes no unhandled rejection", async () => {
    let fail!: (error: Error) => void;
    const slow = new Promise((_, reject) => {
      fail = reject;
    });
    const input = { slow, fast: Promise.reject(new Error("first")) };
    await assert.rejects(async () => promisedInput(input, asIs), /first/);
    fail(new Error("second"));
    await new Promise((resolve) => setImmediate(resolve));
  });

  it("gives an object no prototype of its sender's, and leaves fields that can't be read to the copy", async () => {
    const input = JSON.parse('{ "__proto__": { "isAdmin": true } }') as Record<string, unknown>;
    input["text"] = Promise.resolve("a");
    const settled = (await promisedInput(input, asIs)) as { isAdmin?: boolean };
    assert.deepEqual([Object.getPrototypeOf(settled), settled.isAdmin], [Object.prototype, undefined]);
    const unreadable = {
      get text() {
        throw new Error("not now");
      },
    };
    assert.equal(promisedInput(unreadable, asIs), undefined);
  });
});
