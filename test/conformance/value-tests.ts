import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { formatValue } from "./describe-value.js";
import { endless, refused, simplified } from "./odd-values.js";
import { Echo } from "./services/echo.js";
import { failureOf, type Suite } from "./suite.js";
import { catalogue } from "./values.js";

export function testValues({ app }: Suite): void {
  const echo = () => app().service(Echo);
  const far = (api: string, input: unknown) => app().entry.relay({ to: "echo", api, input });

  describe("values", () => {
    for (const [what, make] of Object.entries(catalogue)) {
      it(`brings ${what} to the callee as it was sent`, async () => {
        assert.equal(await echo().describe(make()), formatValue(make()));
      });

      it(`brings ${what} back to the caller as it was returned`, async () => {
        assert.equal(formatValue(await echo().give(what)), formatValue(make()));
      });
    }

    it("brings every kind over three hops and back", async () => {
      for (const [what, make] of Object.entries(catalogue)) {
        assert.equal(formatValue(await far("echo", make())), formatValue(make()), what);
      }
    });

    it("brings all kinds beside each other in one value", async () => {
      const names = Object.keys(catalogue).filter((what) => !what.includes("20 MB"));
      const make = () => Object.fromEntries(names.map((what) => [what, catalogue[what]?.()]));
      assert.equal(await echo().describe(make()), formatValue(make()));
      assert.equal(formatValue(await echo().echo(make())), formatValue(make()));
    });

    it("takes no input where the contract has none, also over three hops", async () => {
      const given = await echo().nothing();
      assert.ok(["[]", "[undefined]"].includes(given), given);
      assert.equal(await far("nothing", undefined), given);
      assert.equal((await failureOf(echo().nothing("something" as never))).id, "invalid_input");
    });

    it("brings a Blob and a File with name, type, time and content", async () => {
      const file = new File(["file ", Uint8Array.of(0, 255)], "ä b.txt", { type: "text/plain", lastModified: 77 });
      const sent = await echo().readFile(file);
      assert.deepEqual(sent, {
        is: "File(ä b.txt,text/plain,7,77)",
        content: Uint8Array.of(102, 105, 108, 101, 32, 0, 255),
      });
      const blob = new Blob([new Uint8Array(2_000_000).fill(3)], { type: "application/x-y" });
      const far = await app().entry.relay({ to: "echo", api: "readFile", input: { blob, text: "x" } });
      assert.equal(far.is, '{"blob":Blob(application/x-y,2000000),"text":"x"}');
      assert.deepEqual(far.content, new Uint8Array(2_000_000).fill(3));
    });

    it("brings a File and a Blob back, beside bytes", async () => {
      for (const given of [await echo().giveFile(), await far("giveFile", undefined)]) {
        assert.equal(
          formatValue(given),
          '{"file":File(ä b.txt,text/plain,7,1234),"blob":Blob(application/x-y,2),"empty":Blob(,0),"beside":Uint8Array(4)}',
        );
        assert.equal(await given.file.text(), "file ä");
        assert.deepEqual(new Uint8Array(await given.blob.arrayBuffer()), Uint8Array.of(0, 255));
      }
    });

    it("brings one object that stands in two places as two", async () => {
      for (const make of [() => ({}), () => [1], () => new Date(0), () => new Map(), () => Uint8Array.of(1)]) {
        const one = make();
        assert.equal(await echo().isShared({ a: one, b: one }), false);
        const back = await echo().echo({ a: one, b: one });
        assert.notEqual(back.a, back.b);
      }
      const { buffer } = Uint8Array.of(1, 2, 3);
      const views = { a: new Uint8Array(buffer, 0, 2), b: new Uint8Array(buffer, 1) };
      assert.equal(await echo().isShared(views), false);
    });

    it("brings a frozen value as one that can be changed", async () => {
      const frozen = Object.freeze({ list: Object.freeze([1]) });
      assert.equal(await echo().spoil(frozen), "spoiled");
      const back = await echo().echo(frozen);
      assert.deepEqual([Object.isFrozen(back), Object.isFrozen(back.list)], [false, false]);
    });
  });

  describe("values that arrive as something simpler", () => {
    for (const [what, { make, arrives }] of Object.entries(simplified)) {
      it(`brings ${what} as ${arrives}, both ways`, async () => {
        assert.equal(await echo().describe(make()), arrives);
        assert.equal(formatValue(await echo().giveSimplified(what)), arrives);
      });
    }
  });

  describe("values that can't cross", () => {
    for (const [what, { make, path }] of Object.entries(refused)) {
      it(`refuses ${what}, naming where it is`, async () => {
        const sent = await failureOf(echo().echo(make()));
        assert.deepEqual(
          [sent.id, sent.code, sent.service, sent.api, sent.details["path"]],
          ["not_transferable", "invalid_argument", "Echo", "echo", `input${path}`],
        );
        const given = await failureOf(echo().giveRefused(what));
        assert.deepEqual(
          [given.id, given.code, given.service, given.api, given.details["path"]],
          ["output_not_transferable", "internal", "Echo", "giveRefused", `output${path}`],
        );
      });
    }

    for (const [what, make] of Object.entries(endless)) {
      it(`refuses ${what}, both ways`, async () => {
        assert.equal((await failureOf(echo().echo(make()))).id, "not_transferable");
        assert.equal((await failureOf(echo().giveRefused(what))).id, "output_not_transferable");
      });
    }

    it("goes on answering after it has refused", async () => {
      await failureOf(echo().echo(() => 1));
      assert.equal(await echo().echo("next"), "next");
    });
  });
}
