import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";
import { api } from "../define/api.js";
import { depends } from "../define/depends.js";
import { Service } from "../define/service.js";
import { ServingError } from "../failure/serving-error.js";
import { findEntry, parseEntryName } from "./find-entry.js";

class Model extends Service() {
  run = api({ output: z.string() }, () => "");
}
class Renamed extends Service({ name: "Scorer" }) {
  model = depends(Model);
}
class App extends Service() {
  renamed = depends(Renamed);
}
class Other extends Service() {}
class Even extends Service() {
  other = depends(Odd);
}
class Odd extends Service() {
  other = depends(Even);
}

const find = (exported: object, service?: string) => findEntry({ ...exported }, { file: "service.ts", service });
const refusal = (exported: object, service?: string) => {
  try {
    find(exported, service);
  } catch (error) {
    assert.ok(error instanceof ServingError);
    return [error.id, error.message];
  }
  return undefined;
};

describe("findEntry", () => {
  it("takes the one named, by export, by class or by service name", () => {
    assert.equal(find({ Model, App }, "Model"), Model);
    assert.equal(find({ alias: Renamed, App }, "alias"), Renamed);
    assert.equal(find({ alias: Renamed, App }, "Scorer"), Renamed);
    assert.equal(find({ default: Other, App }, "Other"), Other);
  });

  it("takes the default export before others, unless it is no service", () => {
    assert.equal(find({ default: Model, App }), Model);
    assert.equal(find({ default: { port: 1 }, App, Model }), App);
  });

  it("takes the only exported service that no other depends on, also through services that are not exported", () => {
    assert.equal(find({ Model, Renamed, App, helper: () => 1, version: "1" }), App);
    assert.equal(find({ Model, App }), App);
    assert.equal(find({ App, Same: App }), App);
  });

  it("takes one of a cycle, so that resolving the graph reports it", () => {
    assert.equal(find({ Even, Odd }), Even);
  });

  it("says what there is when it can't tell", () => {
    assert.deepEqual(refusal({ Model, App, Other }), [
      "entry_ambiguous",
      "service.ts exports 2 services that no other depends on: App, Other",
    ]);
    assert.deepEqual(refusal({ helper: 1 }), ["entry_ambiguous", "service.ts exports no service"]);
    assert.deepEqual(refusal({ Model, Renamed }, "App"), [
      "entry_not_found",
      "service.ts exports no service App; it exports Model, Scorer",
    ]);
  });
});

describe("parseEntryName", () => {
  it("parts file and class, and falls back on service.ts", () => {
    assert.deepEqual(parseEntryName("a/b.ts:Model"), { file: "a/b.ts", service: "Model" });
    assert.deepEqual(parseEntryName("C:\\a\\b.ts"), { file: "C:\\a\\b.ts", service: undefined });
    assert.deepEqual(parseEntryName(":Model"), { file: "service.ts", service: "Model" });
    assert.deepEqual(parseEntryName("a/b.ts:Modèle"), { file: "a/b.ts", service: "Modèle" });
    assert.deepEqual(parseEntryName("日本.ts:日本$2"), { file: "日本.ts", service: "日本$2" });
    assert.deepEqual(parseEntryName(undefined), { file: "service.ts", service: undefined });
    assert.equal(parseEntryName("test/fixtures/cli").file, "test/fixtures/cli/service.ts");
  });
});
