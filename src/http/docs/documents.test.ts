import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { z } from "zod";
import { tree } from "../../../test/openapi/tree.js";
import { api, task } from "../../define/api.js";
import { compileService } from "../../define/descriptor.js";
import { file } from "../../define/file.js";
import { Service } from "../../define/service.js";
import { tensor } from "../../define/tensor-schema.js";
import type { Graph } from "../../graph/graph.js";
import type { ReadContext } from "../../options/app-file.js";
import { createApiRoute } from "../http-state.js";
import { createSchemaDocument, toClientUrl } from "./documents.js";
import { createOpenApi } from "./openapi.js";

class Everything extends Service({ version: "1.2.3", description: "All kinds of apis." }) {
  text = api({ input: z.string(), output: z.string(), summary: "Gives back its text.", examples: ["hello"] }, (x) => x);
  rows = api({ input: z.array(z.string()), output: z.array(z.string()), batch: { maxRows: 8 } }, (x) => x);
  nothing = api({ output: z.object({ n: z.number() }) }, () => ({ n: 1 }));
  fields = api(
    { input: { image: file({ contentType: "image/png" }), note: z.string().optional() }, output: z.any() },
    () => 1,
  );
  image = api({ input: file({ contentType: "image/*" }), output: file() }, (x) => x);
  matrix = api({ input: tensor("float32", ["n", 2]), output: tensor("float32", ["n"]) }, (x) => x as never);
  tree = api({ input: tree, output: { left: tree, right: tree }, route: "/trees/grow" }, (x) => ({
    left: x,
    right: x,
  }));
  items = api({ input: z.number(), yields: z.object({ i: z.number() }) }, async function* () {});
  train = task({ input: tree, output: z.object({ loss: z.number() }) }, () => ({ loss: 0 }));
}

function createParts() {
  const descriptor = compileService(Everything);
  const graph: Graph = { entry: "Everything", services: new Map([["Everything", descriptor]]), edges: [] };
  const routes = [...descriptor.apis.values()].map((own) => createApiRoute("Everything", own));
  const bounds = { timeoutMs: 60_000, maxConcurrent: 1, maxQueued: 1, idempotent: false };
  const settings = { ...bounds, attempts: 3, retryBackoffMs: 1000 };
  const apis = new Map(routes.map(({ name }) => [name, { ...settings, idempotent: name === "tree" }]));
  return { graph, routes, apis, version: "1.2.3", description: "All kinds of apis." };
}

/** Returns a value inside a document, by a JSON pointer with its `#`. */
function follow(document: unknown, pointer: string): unknown {
  const steps = pointer
    .split("/")
    .slice(1)
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
  return steps.reduce<any>((node, step) => node?.[step], document);
}

function collectRefs(node: unknown): string[] {
  if (typeof node !== "object" || node === null) return [];
  return Object.entries(node).flatMap(([key, value]) =>
    key === "$ref" && typeof value === "string" ? [value] : collectRefs(value),
  );
}

describe("createOpenApi", () => {
  const document = JSON.parse(JSON.stringify(createOpenApi(createParts())));

  it("is valid OpenAPI 3.1, says a public validator", async () => {
    const validator = new Validator();
    const result = await validator.validate(structuredClone(document));
    assert.deepEqual(result.errors ?? [], []);
    assert.equal(result.valid, true);
    assert.equal(validator.version, "3.1");
  });

  it("resolves every reference, also those of recursive schemas", () => {
    const refs = collectRefs(document);
    assert.ok(refs.some((ref) => ref.startsWith("#/components/schemas/tree")));
    for (const ref of refs) assert.notEqual(follow(document, ref), undefined, ref);
  });

  it("tells each api's bodies, answers, examples and texts", () => {
    const at = (path: string) => document.paths[path].post;
    assert.deepEqual(Object.keys(at("/text").requestBody.content), ["application/json", "text/plain"]);
    assert.deepEqual(at("/text").requestBody.content["application/json"].examples, { "example 1": { value: "hello" } });
    assert.equal(at("/text").summary, "Gives back its text.");
    assert.equal(at("/nothing").requestBody, undefined);
    assert.deepEqual(Object.keys(at("/fields").requestBody.content), ["multipart/form-data", "application/json"]);
    assert.deepEqual(at("/fields").requestBody.content["multipart/form-data"].schema.required, ["image"]);
    assert.deepEqual(Object.keys(at("/image").requestBody.content)[0], "image/*");
    assert.ok("application/x-npy" in at("/matrix").responses["200"].content);
    assert.equal(at("/items")["x-ekiben-kind"], "stream");
    assert.ok("text/event-stream" in at("/items").responses["200"].content);
    assert.deepEqual(at("/rows")["x-ekiben-batch"], { maxRows: 8 });
    assert.deepEqual(
      at("/rows").parameters.map((parameter: { name: string }) => parameter.name),
      ["ekiben-timeout-ms", "ekiben-priority"],
    );
    assert.equal(at("/trees/grow").operationId, "tree");
    assert.equal(document.info.version, "1.2.3");
  });

  it("names the failures of each status", () => {
    assert.ok(document.components.responses.Failure413["x-ekiben-failures"].includes("body_too_large"));
    assert.ok(document.components.responses.Failure429.headers["retry-after"]);
    assert.ok(document.paths["/text"].post.responses.default);
  });
});

describe("securitySchemes of createOpenApi", () => {
  const documentOf = (credentials?: ReadContext["credentials"]) => {
    const context = Object.assign(() => null, credentials && { credentials });
    return JSON.parse(JSON.stringify(createOpenApi({ ...createParts(), context })));
  };

  it("name the places in which the app finds out who is asking, each an alternative", async () => {
    const document = documentOf([
      { kind: "bearer" },
      { kind: "header", name: "x-api-key" },
      { kind: "cookie", name: "id!" },
    ]);
    assert.deepEqual(document.components.securitySchemes, {
      bearer: { type: "http", scheme: "bearer" },
      "header-x-api-key": { type: "apiKey", in: "header", name: "x-api-key" },
      "cookie-id_": { type: "apiKey", in: "cookie", name: "id!" },
    });
    assert.deepEqual(document.security, [{ bearer: [] }, { "header-x-api-key": [] }, { "cookie-id_": [] }]);
    const { errors } = await new Validator().validate(document);
    assert.deepEqual(errors ?? [], []);
  });

  it("are absent where a function does not say what it reads, or nobody asks", () => {
    for (const document of [documentOf(), JSON.parse(JSON.stringify(createOpenApi(createParts())))]) {
      assert.deepEqual([document.security, document.components.securitySchemes], [undefined, undefined]);
    }
    assert.ok("Failure401" in documentOf().components.responses);
  });
});

describe("toClientUrl", () => {
  it("puts the client's name for the machine in the place of a loopback address", () => {
    const cases: [known: string, host: string | undefined, url: string][] = [
      ["http://127.0.0.1:3000", "prod-7:9000", "http://prod-7:3000"],
      ["http://127.0.0.1:3000", "10.0.0.7", "http://10.0.0.7:3000"],
      ["http://[::1]:3000", "[fd00::1]:9000", "http://[fd00::1]:3000"],
      ["http://127.0.0.1:3000", "localhost:9000", "http://localhost:3000"],
      ["http://127.0.0.1:80", "prod-7:9000", "http://prod-7"],
      ["http://10.0.0.7:3000", "prod-7:9000", "http://10.0.0.7:3000"],
    ];
    for (const [known, host, url] of cases) assert.equal(toClientUrl(known, host), url);
  });

  it("names no address where the client's host is none, so that nothing of it gets into a header", () => {
    for (const host of [undefined, "", "a b", "a;script-src *", "a/b", "a@b", "[::1", "a:1:2", "a'"]) {
      assert.equal(toClientUrl("http://127.0.0.1:3000", host), ".");
    }
    assert.equal(toClientUrl("", "prod-7"), ".");
  });
});

describe("createSchemaDocument", () => {
  const document = JSON.parse(JSON.stringify(createSchemaDocument(createParts())));

  it("tells what a client needs to make its methods", () => {
    assert.equal(document.name, "Everything");
    const byName = new Map<string, any>(document.routes.map((route: { name: string }) => [route.name, route]));
    assert.equal(byName.get("tree").route, "/trees/grow");
    assert.equal(byName.get("items").kind, "stream");
    assert.equal(byName.get("items").output.is_stream, true);
    assert.equal(byName.get("text").input.root_input, true);
    assert.equal(byName.get("fields").input.root_input, undefined);
    assert.deepEqual([byName.get("tree").idempotent, byName.get("text").idempotent], [true, undefined]);
    assert.deepEqual(byName.get("fields").files, ["image"]);
    assert.deepEqual([byName.get("rows").batchable, byName.get("text").batchable], [true, false]);
    assert.deepEqual(byName.get("nothing").input, { type: "object", properties: {} });
  });

  it("resolves every reference within the schema it stands in", () => {
    for (const route of document.routes) {
      for (const schema of [route.input, route.output]) {
        for (const ref of collectRefs(schema))
          assert.notEqual(ref === "#" ? schema : follow(schema, ref), undefined, ref);
      }
    }
  });
});
