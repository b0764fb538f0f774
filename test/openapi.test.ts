import assert from "node:assert/strict";
import { describe, it } from "node:test";
import SwaggerParser from "@apidevtools/swagger-parser";
import { Validator } from "@seriousme/openapi-schema-validator";
import { api } from "../src/define/api.js";
import { compileService } from "../src/define/descriptor.js";
import { stream } from "../src/define/schema.js";
import { Service } from "../src/define/service.js";
import type { Graph } from "../src/graph/graph.js";
import { createOpenApi } from "../src/http/docs/openapi.js";
import { createApiRoute } from "../src/http/http-state.js";
import { Random } from "./http/random.js";
import { createShape } from "./openapi/random-schema.js";

const documents = 12;
const apisEach = 12;

/** Creates a service of apis with random contracts. */
function createRandomService(random: Random) {
  return class Anything extends Service() {
    constructor() {
      super();
      for (let i = 0; i < apisEach; i++) {
        const [input, output] = [createShape(random), createShape(random)];
        const contract = random.chance(0.2) ? { input: stream(input as never), yields: output } : { input, output };
        Object.assign(this, { [`api${i}`]: api(contract as never, (() => null) as never) });
      }
    }
  };
}

function createDocument(seed: number): Record<string, unknown> {
  const descriptor = compileService(createRandomService(new Random(seed)));
  assert.deepEqual(descriptor.faults, [], `seed ${seed}`);
  const graph: Graph = { entry: "Anything", services: new Map([["Anything", descriptor]]), edges: [] };
  const routes = [...descriptor.apis.values()].map((own) => createApiRoute("Anything", own));
  return JSON.parse(JSON.stringify(createOpenApi({ graph, routes, apis: new Map(), version: "1", description: "" })));
}

/** Returns every reference, with the keywords that lead to it. */
function listRefs(node: unknown): string[] {
  if (typeof node !== "object" || node === null) return [];
  return Object.entries(node).flatMap(([key, value]) =>
    key === "$ref" && typeof value === "string" ? [value] : listRefs(value),
  );
}

describe("the OpenAPI document of random schemas", () => {
  const all = Array.from({ length: documents }, (_, seed) => ({ seed, document: createDocument(seed) }));

  it("has no reference to nowhere, and none that leads through another", () => {
    for (const { seed, document } of all) {
      for (const ref of listRefs(document)) {
        const steps = ref.split("/").slice(1);
        let at: any = document;
        for (const step of steps) {
          assert.equal(typeof at.$ref, "undefined", `seed ${seed}: ${ref} leads through a reference`);
          at = at[step.replaceAll("~1", "/").replaceAll("~0", "~")];
          assert.notEqual(at, undefined, `seed ${seed}: ${ref} leads nowhere`);
        }
        assert.deepEqual(
          Object.keys(at),
          Object.keys(at).filter((key) => key !== "$ref"),
          `seed ${seed}: ${ref} is one`,
        );
      }
    }
  });

  it("is valid, say two public validators", async () => {
    for (const { seed, document } of all) {
      const { errors, valid } = await new Validator().validate(structuredClone(document));
      assert.ok(valid, `seed ${seed}: ${JSON.stringify(errors)}`);
      await assert.doesNotReject(SwaggerParser.validate(structuredClone(document) as never), `seed ${seed}`);
    }
  });
});
