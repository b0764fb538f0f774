import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { z } from "zod";
import { createTestServer } from "../../../test/http/test-server.js";
import { tree } from "../../../test/openapi/tree.js";
import { api, task } from "../../define/api.js";
import { compileService } from "../../define/descriptor.js";
import { file } from "../../define/file.js";
import { Service } from "../../define/service.js";
import { tensor } from "../../define/tensor-schema.js";
import type { Graph } from "../../graph/graph.js";
import { createApiRoute } from "../http-state.js";
import { createSchemaDocument } from "./documents.js";
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
  const apis = new Map(routes.map((route) => [route.name, settings]));
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

describe("addDocuments", () => {
  class Plain extends Service({ version: "3" }) {
    echo = api({ input: z.string(), output: z.string() }, (x) => x);
  }
  const types: Readonly<Record<string, RegExp>> = {
    "/docs": /^text\/html; charset=utf-8$/,
    "/docs/docs-page.js": /^text\/javascript; charset=utf-8$/,
    "/docs/docs-page.css": /^text\/css; charset=utf-8$/,
    "/openapi.json": /^application\/json/,
    "/schema.json": /^application\/json/,
  };

  it("serves each document with its type and a tag, and answers 304 to a client that has it", async () => {
    await using server = await createTestServer(Plain);
    const tags = new Set<string>();
    for (const [url, type] of Object.entries(types)) {
      const first = await server.fastify.inject({ url });
      const { etag = "" } = first.headers;
      tags.add(etag);
      assert.deepEqual([first.statusCode, first.headers["cache-control"]], [200, "no-cache"], url);
      assert.equal(first.headers["x-content-type-options"], "nosniff");
      assert.match(String(first.headers["content-type"]), type);
      assert.match(etag, /^"[\w-]{43}"$/);
      for (const known of [etag, `W/${etag}`, `"other, with comma", ${etag}`, "*"]) {
        const again = await server.fastify.inject({ url, headers: { "if-none-match": known } });
        assert.deepEqual([again.statusCode, again.body, again.headers.etag], [304, "", etag], `${url}: ${known}`);
      }
      const other = await server.fastify.inject({ url, headers: { "if-none-match": '"other"' } });
      assert.deepEqual([other.statusCode, other.body], [200, first.body]);
      const head = await server.fastify.inject({ method: "HEAD", url });
      assert.deepEqual([head.statusCode, head.body, head.headers.etag], [200, "", etag]);
    }
    assert.equal(tags.size, Object.keys(types).length);
  });

  it("lets the page run and load its own files only", async () => {
    await using server = await createTestServer(Plain);
    const { headers, body } = await server.fastify.inject({ url: "/docs" });
    const policy = String(headers["content-security-policy"]);
    assert.match(policy, /^default-src 'none'; /);
    assert.match(policy, /script-src 'self'; /);
    assert.match(policy, /style-src 'self'; /);
    assert.doesNotMatch(policy, /unsafe|\*|http/);
    const linked = [...body.matchAll(/(?:src|href)="(docs\/[^"]*)"/g)].map((match) => `/${match[1]}`);
    assert.deepEqual(linked.sort(), ["/docs/docs-page.css", "/docs/docs-page.js"]);
    for (const url of linked) assert.equal((await server.fastify.inject({ url })).statusCode, 200);
  });

  it("asks again for a picture that could not be drawn", async () => {
    let draws = 0;
    const graphSvg = async () => {
      if (draws++ === 0) throw new Error("no picture");
      return "<svg/>";
    };
    await using server = await createTestServer(Plain, { deps: { graphSvg } });
    assert.equal((await server.fastify.inject({ url: "/docs" })).statusCode, 500);
    assert.equal((await server.fastify.inject({ url: "/docs" })).statusCode, 200);
    assert.equal((await server.fastify.inject({ url: "/docs" })).statusCode, 200);
    assert.equal(draws, 2);
  });
});
