import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Tensor } from "ekiben";
import { compose } from "ekiben/testing";
import { readExpected } from "./expected.ts";
import { countTriples, featureCount } from "./features.ts";
import { InferenceModel, Pipeline, Preprocessing } from "./service.ts";

describe("quickstart", () => {
  it("names the language of eight everyday sentences, and is sure of it", async () => {
    await using app = await compose(Pipeline);
    for (const { rawInput, label } of await readExpected()) {
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
});
