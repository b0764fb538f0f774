import assert from "node:assert/strict";
import { it } from "node:test";
import { ServingError, Tensor } from "ekiben";
import type { ComposedApp } from "ekiben/testing";
import { Leaf, type Top } from "./services.js";

const deep = (levels: number): unknown => (levels === 0 ? "bottom" : { in: deep(levels - 1) });

/** Every kind of value that may cross, by name. */
const values: Readonly<Record<string, unknown>> = {
  text: "a",
  empty: "",
  unicode: "ä €\n\r\0 𝄞 \ud800 lone",
  number: 1.5,
  "no number": Number.NaN,
  infinities: [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0],
  boolean: true,
  null: null,
  undefined: undefined,
  "undefined fields": { a: undefined, b: [undefined, 1] },
  "what looks like a mark": { $: ["T", "float32", [1], 0], "": 1, $type: "x", __ekiben: 1 },
  bigint: 2n ** 70n,
  date: new Date(1_700_000_000_000),
  map: new Map<unknown, unknown>([
    [{ a: 1 }, new Set([1, "b"])],
    ["k", undefined],
  ]),
  set: new Set([1n, "x", null]),
  bytes: new Uint8Array([1, 2, 3]),
  "no bytes": new Uint8Array(),
  floats: Float32Array.from([1.5, Number.NaN]),
  doubles: Float64Array.from([Math.PI]),
  ints: Int32Array.from([-5]),
  longs: BigInt64Array.from([-(2n ** 60n)]),
  tensors: {
    a: new Tensor("float32", [2, 1], Float32Array.from([1, 2])),
    b: new Tensor("int64", [], BigInt64Array.of(7n)),
  },
  "no elements": new Tensor("uint8", [0, 3], new Uint8Array()),
  "large bytes": new Uint8Array(3_000_000).fill(7),
  "large tensor": new Tensor("float64", [150_528], new Float64Array(150_528).fill(0.5)),
  "many numbers": Array.from({ length: 20_000 }, (_, i) => i / 3),
  deep: deep(90),
};

export function testValues(app: ComposedApp<Top>): void {
  const leaf = app.service(Leaf);

  for (const [name, value] of Object.entries(values)) {
    it(`carries ${name} there and back over two hops`, async () => {
      assert.deepEqual(await app.entry.echo(value), value);
    });
  }

  it("carries a date that is none", async () => {
    const date = (await app.entry.echo(new Date(Number.NaN))) as Date;
    assert.ok(date instanceof Date && Number.isNaN(date.getTime()));
  });

  it("gives bytes a buffer of their own", async () => {
    const part = new Uint8Array(new Uint8Array([0, 1, 2, 3]).buffer, 1, 2);
    assert.equal(await leaf.describe(part), "Uint8Array at 0 of 2");
    assert.equal(await leaf.describe(Buffer.from("ab")), "Uint8Array at 0 of 2");
    const back = (await leaf.echo(part)) as Uint8Array;
    assert.deepEqual([back.byteOffset, back.buffer.byteLength], [0, 2]);
  });

  it("carries files with name, type and content", async () => {
    const upload = new File(["some ", "text"], "note.txt", { type: "text/plain" });
    const answer = await leaf.upload({ upload });
    assert.deepEqual([answer.name, answer.type, answer.text], ["note.txt", "text/plain", "some text"]);
    assert.equal(await (answer.upload as File).text(), "some text");
  });

  it("takes no input where none is declared, and gives undefined for nothing", async () => {
    assert.equal(await leaf.nothing(), undefined);
  });

  it("refuses what can't cross, naming the path", async () => {
    const isAt = (id: string, path: string) => (error: unknown) =>
      error instanceof ServingError && error.id === id && error.details["path"] === path;
    await assert.rejects(leaf.echo({ a: [() => 1] }), isAt("not_transferable", "input.a[0]"));
    await assert.rejects(leaf.echo(Symbol("s")), isAt("not_transferable", "input"));
    await assert.rejects(leaf.echo({ own: new (class Own {})() }), isAt("not_transferable", "input.own"));
    await assert.rejects(leaf.echo([new Uint16Array(1)]), isAt("not_transferable", "input[0]"));
    await assert.rejects(leaf.echo({ p: Promise.resolve(1) }), isAt("not_transferable", "input.p"));
    const cycle: { self?: unknown } = {};
    cycle.self = cycle;
    await assert.rejects(leaf.echo(cycle), { id: "not_transferable" });
    await assert.rejects(leaf.untransferable("function"), isAt("output_not_transferable", "output.inner[0]"));
    await assert.rejects(leaf.untransferable("class"), isAt("output_not_transferable", "output.own"));
  });

  it("shares nothing that one side could change under the other", async () => {
    const value = { list: [1], bytes: new Uint8Array([1]) };
    const kept = leaf.keep(value);
    value.list.push(2);
    value.bytes[0] = 2;
    await kept;
    value.list.push(3);
    assert.deepEqual(await leaf.kept(), [{ list: [1], bytes: new Uint8Array([1]) }]);
    const lent = (await leaf.lend()) as number[];
    assert.deepEqual(lent, [1, 2, 3]);
    lent.push(9);
    assert.deepEqual(await leaf.lend(), [1, 2, 3]);
    assert.deepEqual(await app.entry.shareTwice(), { list: [1], bytes: new Uint8Array([1]) });
  });

  it("checks what goes in and what comes out, and names service and api", async () => {
    await assert.rejects(leaf.strict({ n: 0 }), {
      id: "invalid_input",
      service: "Leaf",
      api: "strict",
      code: "invalid_argument",
    });
    await assert.rejects(leaf.strict({ n: 9 }), { id: "invalid_output", service: "Leaf", api: "strict" });
    assert.deepEqual(await leaf.strict({ n: 2, more: 1 } as never), { n: 2 });
    const wrong = new Tensor("float32", [1, 1], new Float32Array(1)) as never;
    await assert.rejects(leaf.float(wrong), { id: "invalid_input" });
  });

  it("takes unawaited results as arguments, and rejects with what they reject with", async () => {
    assert.equal(await app.entry.chained("linked"), "linked");
    await assert.rejects(leaf.echo(leaf.fail("own")), { id: "no_such_page" });
  });
}
