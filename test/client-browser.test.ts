import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { api, type Server, Service, serve } from "ekiben";
import { build } from "esbuild";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { type BrowserPage, Chromium, skipsBrowser } from "./chromium.js";

let track: () => void;
const isTracked = new Promise<void>((resolve) => (track = resolve));

class Shop extends Service() {
  price = api({ input: z.object({ of: z.string() }), output: z.number() }, ({ of }) => of.length);
  words = api({ input: z.string(), yields: z.string() }, async function* (text) {
    yield* text.split(" ");
  });
  left = api({ input: z.string(), output: z.string() }, (event) => {
    if (event === "page left") track();
    return event;
  });
}

/** Adds the page, the client as a bundler makes it, and a server below `/cut` that ends in the middle of a stream. */
async function addPages(fastify: FastifyInstance): Promise<void> {
  const { outputFiles } = await build({
    stdin: { contents: 'export * from "./src/client.ts";', resolveDir: join(import.meta.dirname, "..") },
    ...{ bundle: true, write: false, format: "esm", platform: "browser", target: "es2022" },
  });
  const script = outputFiles?.[0]?.text ?? "";
  fastify.get("/client.js", (_, reply) => reply.type("text/javascript").send(script));
  fastify.get("/page", (_, reply) => reply.type("text/html").send("<!doctype html><title>Shop</title>"));
  const routes = [{ name: "words", route: "/words", kind: "stream", input: {}, output: {} }];
  fastify.get("/cut/schema.json", () => ({ name: "Cut", routes }));
  fastify.post("/cut/words", (_, reply) => {
    reply.hijack();
    reply.raw.writeHead(200, { "content-type": "text/event-stream" });
    reply.raw.write('data: "one"\n\n', () => reply.raw.destroy());
  });
}

describe("the client in Chromium", { skip: skipsBrowser, timeout: 60_000 }, () => {
  let server: Server;
  let browser: Chromium;
  let page: BrowserPage;
  before(async () => {
    const options = { placement: "inline", logLevel: "silent" } as const;
    server = await serve(Shop, { port: 0, host: "127.0.0.1", options, fastify: addPages });
    browser = new Chromium();
    page = await browser.open(`${server.url}/page`, 800);
    await page.run(
      `import("/client.js").then((loaded) => void Object.assign(window, loaded, { shop: loaded.client("/") }))`,
    );
  });
  after(async () => {
    await browser?.[Symbol.asyncDispose]();
    await server?.close();
  });

  const failureOf = (work: string) =>
    page.run(`(async () => { try { ${work} } catch ({ id, code, name }) { return { id, code, name }; } })()`);

  it("is a constant that connects at its first call, to the server of the page", async () => {
    assert.equal(await page.run(`shop.price({ of: "books" })`), 5);
    const words = await page.run(`Array.fromAsync(client("/").words("one two"))`);
    assert.deepEqual(words, ["one", "two"]);
  });

  it("tells a stream that broke off from one that came from elsewhere", async () => {
    const lost = { id: "connection_lost", code: "unavailable", name: "ServingError" };
    assert.deepEqual(await failureOf(`for await (const _ of client("/cut").words()) {}`), lost);
    const foreign = await failureOf(`await client("/page").price()`);
    assert.deepEqual(foreign, { id: "unknown_route", code: "not_found", name: "ServingError" });
  });

  it("sends a call with keepalive as its page is being left, and browsers limit its body then", async () => {
    const large = `"x".repeat(70 * 1024)`;
    assert.equal(await page.run(`shop.left(${large}).then(({ length }) => length)`), 70 * 1024);
    const refused = { id: "connect_failed", code: "unavailable", name: "ServingError" };
    assert.deepEqual(await failureOf(`await shop.left(${large}, { keepalive: true })`), refused);
    await page.run(`addEventListener("pagehide", () => { void shop.left("page left", { keepalive: true }); })`);
    await page.send("Page.navigate", { url: "about:blank" });
    await isTracked;
  });
});
