import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type } from "arktype";
import { api, depends, Service, ServingError } from "ekiben";
import { compose } from "ekiben/testing";
import * as v from "valibot";
import { z } from "zod";

class Titles extends Service() {
  valibot = api(
    {
      input: v.object({ lines: v.array(v.object({ text: v.string() })), top: v.optional(v.number(), 2) }),
      output: v.pipe(
        v.array(v.string()),
        v.transform((titles) => titles.join("/")),
      ),
    },
    ({ lines, top }) => lines.slice(0, top).map(({ text }) => text),
  );

  arktype = api(
    { input: type({ lines: type({ text: "string" }).array() }), output: type(/^[A-Z]*$/) },
    ({ lines }) => lines[0]?.text ?? "",
  );

  mixed = api(
    { input: { zod: z.string(), valibot: v.number(), arktype: type("boolean") }, output: v.string() },
    (fields) => JSON.stringify(fields),
  );

  slow = api(
    {
      input: v.pipeAsync(
        v.string(),
        v.checkAsync(async (text) => text !== "no"),
      ),
      output: v.string(),
    },
    (text) => text,
  );
}

class Entry extends Service() {
  titles = depends(Titles);
  ask = api({ input: z.string(), output: z.string() }, (text) => this.titles.valibot({ lines: [{ text }] }));
}

const lines = [{ text: "one" }, { text: "two" }, { text: "three" }];

/** Issues of a failed call, as `path: message`. */
async function refusal(call: Promise<unknown>): Promise<{ id: string; paths: string[] }> {
  const error = await call.then(
    () => assert.fail("the call succeeded"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ServingError);
  const issues = error.details["issues"] as { path: string }[];
  return { id: error.id, paths: issues.map(({ path }) => path) };
}

describe("contracts of other validators than zod", () => {
  it("check, default and transform with valibot", async () => {
    await using app = await compose(Entry);
    const titles = app.service(Titles);
    assert.equal(await titles.valibot({ lines }), "one/two");
    assert.equal(await titles.valibot({ lines, top: 1 }), "one");
    assert.equal(await app.entry.ask("first"), "first");
    assert.deepEqual(await refusal(titles.valibot({ lines: [{ text: "one" }, { text: 2 as never }] })), {
      id: "invalid_input",
      paths: ["lines[1].text"],
    });
  });

  it("check with arktype, inputs and outputs", async () => {
    await using app = await compose(Entry);
    const titles = app.service(Titles);
    assert.equal(await titles.arktype({ lines: [{ text: "ONE" }] }), "ONE");
    assert.deepEqual(await refusal(titles.arktype({ lines: [{ text: 1 as never }] })), {
      id: "invalid_input",
      paths: ["lines[0].text"],
    });
    assert.deepEqual(await refusal(titles.arktype({ lines })), { id: "invalid_output", paths: [""] });
  });

  it("stand beside one another in one contract, and name every field that is wrong", async () => {
    await using app = await compose(Entry);
    const titles = app.service(Titles);
    const fields = { zod: "a", valibot: 1, arktype: true };
    assert.deepEqual(JSON.parse(await titles.mixed(fields)), fields);
    assert.deepEqual(await refusal(titles.mixed({ zod: 1, valibot: "a", arktype: 0 } as never)), {
      id: "invalid_input",
      paths: ["zod", "valibot", "arktype"],
    });
  });

  it("may be asynchronous", async () => {
    await using app = await compose(Entry);
    const titles = app.service(Titles);
    assert.equal(await titles.slow("yes"), "yes");
    assert.deepEqual(await refusal(titles.slow("no")), { id: "invalid_input", paths: [""] });
  });
});
