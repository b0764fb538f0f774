import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";
import { api, readApi } from "./api.js";
import { compileService } from "./descriptor.js";
import { Service } from "./service.js";

const nameOf = (value: unknown) => readApi(value)?.run.name;

describe("the function of an api", () => {
  it("has the name of its api, which its stack shows; one that has a name keeps it", async () => {
    function ownName() {
      return "x";
    }
    const instances: Model[] = [];
    class Model extends Service({ name: "Scorer" }) {
      fails = api({ output: z.string() }, async () => {
        await Promise.resolve();
        return new Error("here").stack ?? "";
      });
      named = api({ output: z.string() }, ownName);
      constructor() {
        super();
        instances.push(this);
      }
    }
    class Special extends Model {}
    for (const service of [Model, Special]) compileService(service);
    const [model, special] = instances as [Model, Special];
    assert.deepEqual([nameOf(model.fails), nameOf(model.named)], ["Scorer.fails", "ownName"]);
    assert.equal(nameOf(special.fails), "Scorer.fails");
    assert.match(await model.fails(), /at (async )?Model\.Scorer\.fails \(/);
  });

  it("is left as it is where it can't be named", () => {
    class Model extends Service() {
      run = api(
        { output: z.string() },
        Object.freeze(() => "x"),
      );
    }
    assert.deepEqual(compileService(Model).faults, []);
  });
});
