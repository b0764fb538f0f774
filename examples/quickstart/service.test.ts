import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { serve, Tensor } from "ekiben";
import { connect } from "ekiben/client";
import { compose } from "ekiben/testing";
import { countTriples, featureCount } from "./features.ts";
import { InferenceModel, Pipeline, Preprocessing } from "./service.ts";

interface Expected {
  readonly rawInput: string;
  readonly label: string;
}

const expected: Expected[] = JSON.parse(await readFile(new URL("fixtures/expected.json", import.meta.url), "utf8"));

describe("quickstart", () => {
  it("names the language of eight everyday sentences, and is sure of it", async () => {
    await using app = await compose(Pipeline);
    for (const { rawInput, label } of expected) {
      const answer = await app.entry.predict({ rawInput });
      assert.equal(answer.label, label, rawInput);
      assert.ok(answer.confidence > 0.9, `${rawInput}: ${answer.confidence}`);
    }
  });

  it("hands the model's scores on: a fake model decides the answer", async () => {
    const scores = new Tensor("float32", [8], Float32Array.of(0, 0, 0, 0, 0, 0.75, 0.25, 0));
    await using app = await compose(Pipeline, { replace: [[InferenceModel, { predict: () => scores }]] });
    assert.deepEqual(await app.entry.predict({ rawInput: "x" }), { label: "Portuguese", confidence: 0.75 });
  });

  it("refuses an empty text before it reaches a model", async () => {
    await using app = await compose(Pipeline);
    app.fail(Preprocessing);
    await assert.rejects(app.entry.predict({ rawInput: "" }), { code: "invalid_argument", id: "invalid_input" });
  });

  it("lets a service without dependencies be made by hand", async () => {
    const features = await new Preprocessing().preprocess("a cat");
    assert.deepEqual(features.shape, [featureCount]);
    assert.deepEqual(features.data, countTriples("a cat"));
  });

  it("answers over HTTP as it does inside", async () => {
    const server = await serve(Pipeline, { port: 0, options: { logLevel: "silent" } });
    try {
      const pipeline = await connect<Pipeline>(server.url);
      for (const { rawInput, label } of expected) {
        assert.equal((await pipeline.predict({ rawInput })).label, label, rawInput);
      }
    } finally {
      await server.close();
    }
  });
});
