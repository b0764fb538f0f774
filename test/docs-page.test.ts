import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";
import { api } from "../src/define/api.js";
import { Service } from "../src/define/service.js";
import { createDocsPage, readDocsPageFile } from "../src/http/docs/docs-page.js";
import { createTestServer } from "./http/test-server.js";

const html = createDocsPage({ title: "Reader", version: "2.1.0", description: "Reads documents.", graphSvg: "<svg/>" });

describe("the built files of the docs page", () => {
  it("has a script that makes no HTML of text", async () => {
    const script = await readDocsPageFile("docs-page.js");
    assert.doesNotMatch(script, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function/);
  });

  it("needs nothing from elsewhere", async () => {
    const files = [html, await readDocsPageFile("docs-page.js"), await readDocsPageFile("docs-page.css")];
    const urls = [...files.join("\n").matchAll(/\b(?:https?:)?\/\/[a-z][a-z0-9.-]+/g)].map((match) => match[0]);
    assert.deepEqual(new Set(urls), new Set(["https://example.com"]));
    assert.match(files[1] as string, /uri: "https:\/\/example\.com"/, "the one address is a value to fill a form with");
    assert.doesNotMatch(files[2] as string, /url\(|@import/);
  });

  it("stays small, with its files", async () => {
    const files = [html, await readDocsPageFile("docs-page.js"), await readDocsPageFile("docs-page.css")];
    const bytes = Buffer.byteLength(files.join(""));
    assert.ok(bytes < 64_000, `${bytes} bytes`);
  });
});

describe("the documents of a server", () => {
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
