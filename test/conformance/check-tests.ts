import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Tensor } from "ekiben";
import { Echo } from "./services/echo.js";
import { failureOf, type Suite } from "./suite.js";

interface Issue {
  readonly path: string;
  readonly message: string;
}

const floats = (shape: number[]) =>
  new Tensor("float32", shape, new Float32Array(shape.reduce((product, size) => product * size, 1)));

export function testChecks({ app }: Suite): void {
  const echo = () => app().service(Echo);
  const far = (api: string, input: unknown) => app().entry.relay({ to: "echo", api, input });

  describe("checks", () => {
    it("refuse an invalid input, naming service, api and where in the input, before the api runs", async () => {
      const before = await echo().calls();
      const input = { name: "x", tags: [{ id: 1 }, { id: 1.5 }] };
      for (const error of [await failureOf(echo().person(input)), await failureOf(far("person", input))]) {
        assert.deepEqual(
          [error.code, error.id, error.service, error.api],
          ["invalid_argument", "invalid_input", "Echo", "person"],
        );
        const issues = error.details["issues"] as Issue[];
        assert.deepEqual(issues.map(({ path }) => path).sort(), ["name", "tags[1].id"]);
        for (const { path, message } of issues) assert.ok(error.message.includes(path) && message !== "");
      }
      assert.equal(await echo().calls(), before);
    });

    it("blame the entry where its own input is invalid", async () => {
      const error = await failureOf(app().entry.calls("unwanted" as never));
      assert.deepEqual([error.id, error.service, error.api], ["invalid_input", "Front", "calls"]);
    });

    it("give the api and the caller the value as the schema hands it on", async () => {
      const input = { name: "Ada", age: "36", unknown: 1 } as never;
      const wanted = { name: "Ada", tags: [], age: 36 };
      assert.deepEqual(await echo().person(input), wanted);
      assert.deepEqual(await far("person", input), wanted);
      assert.equal(await echo().shout("abc"), 6);
      assert.equal(await far("shout", "abcd"), 8);
    });

    it("refuse unknown keys where the schema is strict, in input and output", async () => {
      const input = { a: 1, b: 2 } as never;
      const error = await failureOf(echo().strict(input));
      assert.deepEqual([error.id, error.api], ["invalid_input", "strict"]);
      assert.match(error.message, /"b"/);
      assert.deepEqual(await echo().strict({ a: 1 }), { a: 1 });
    });

    it("refuse an output that breaks the contract, naming the callee and where", async () => {
      const input = { list: [1, "2", null] };
      for (const error of [await failureOf(echo().breakOutput(input)), await failureOf(far("breakOutput", input))]) {
        assert.deepEqual(
          [error.code, error.id, error.service, error.api, error.retryable],
          ["internal", "invalid_output", "Echo", "breakOutput", false],
        );
        const paths = (error.details["issues"] as Issue[]).map(({ path }) => path);
        assert.deepEqual(paths, ["list[1]", "list[2]"]);
      }
    });

    it("leave unknown keys out of an output", async () => {
      assert.deepEqual(await echo().breakOutput({ list: [1], more: 2 }), { list: [1] });
    });

    it("wait for schemas that are asynchronous", async () => {
      assert.equal(await echo().later("free"), "free");
      const error = await failureOf(far("later", "taken"));
      assert.deepEqual(error.details["issues"], [{ path: "", message: "is taken" }]);
    });

    it("take an object of schemas field by field", async () => {
      assert.equal(await echo().fields({ a: "x", extra: 1 } as never), '{"a":"x"}');
      const error = await failureOf(echo().fields({ b: "1" } as never));
      assert.deepEqual((error.details["issues"] as Issue[]).map(({ path }) => path).sort(), ["a", "b"]);
      assert.equal((await failureOf(echo().fields(undefined as never))).id, "invalid_input");
    });

    it("hold tensors to their dtype, dimensions and sizes", async () => {
      const cases: [unknown, RegExp][] = [
        [new Tensor("float64", [1, 2], new Float64Array(2)), /float64/],
        [floats([2]), /dimension|rank|shape|size/],
        [floats([3, 3]), /2/],
        ["text", /tensor/],
        [{ dtype: "float32", shape: [1, 2], data: [1, 2] }, /tensor/],
      ];
      for (const [value, message] of cases) {
        const error = await failureOf(echo().tensor(value as never));
        assert.deepEqual([error.id, error.service, error.api], ["invalid_input", "Echo", "tensor"]);
        assert.match(error.message, message);
      }
    });

    it("take a tensor as nested lists or as a plain object of its fields", async () => {
      const wanted = 'DenseTensor{"dtype":"float32","shape":[1,2],"data":Float32Array(1,2)}';
      assert.equal(await echo().tensor([[1, 2]] as never), wanted);
      const plain = { dtype: "float32", shape: [1, 2], data: Float32Array.of(1, 2) };
      assert.equal(
        (await echo().tensor(plain as never)).replace(/^DenseTensor/, ""),
        wanted.replace(/^DenseTensor/, ""),
      );
    });

    it("hold sizes of one name to be equal among the inputs, and between input and output", async () => {
      const { shape } = await echo().pair({ left: floats([3, 2]), right: floats([3]) });
      assert.deepEqual(shape, [3]);
      const unequal = await failureOf(echo().pair({ left: floats([3, 2]), right: floats([4]) }));
      assert.deepEqual([unequal.id, (unequal.details["issues"] as Issue[])[0]?.path], ["invalid_input", "right"]);
      assert.match(unequal.message, /"n"/);
      const right = new Tensor("float32", [1], Float32Array.of(-1));
      const output = await failureOf(far("pair", { left: floats([1, 2]), right }));
      assert.deepEqual([output.id, output.service, output.api], ["invalid_output", "Echo", "pair"]);
      assert.match(output.message, /"n"/);
    });

    it("hold files to their type and size", async () => {
      assert.equal(await echo().upload(new File(["abcd"], "a.png", { type: "image/png" })), "a.png");
      const type = await failureOf(echo().upload(new Blob(["a"], { type: "text/plain" })));
      assert.match(type.message, /image\/\*.*text\/plain/);
      const size = await failureOf(far("upload", new File(["abcde"], "a.png", { type: "image/png" })));
      assert.deepEqual([size.id, size.service], ["invalid_input", "Echo"]);
      assert.match(size.message, /5 bytes.*4/);
    });
  });
}
