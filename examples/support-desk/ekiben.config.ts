import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { AppFile } from "ekiben";

const pageFile = (name: string) => fileURLToPath(new URL(`page/${name}`, import.meta.url));

/** Bundles the page's script, with the client and its types. An app that is built does this once, before it starts. */
async function bundlePage(): Promise<string> {
  const { build } = await import("esbuild");
  const { outputFiles } = await build({
    entryPoints: [pageFile("page.ts")],
    bundle: true,
    format: "esm",
    minify: true,
    target: "es2022",
    write: false,
  });
  return outputFiles[0]?.text ?? "";
}

/** Options of the app, and the page beside its apis: each replica of the entry service serves it. */
export default {
  fastify: async (fastify) => {
    const [html, script] = await Promise.all([readFile(pageFile("index.html"), "utf8"), bundlePage()]);
    fastify.get("/", (_, reply) => reply.type("text/html; charset=utf-8").send(html));
    fastify.get("/page.js", (_, reply) => reply.type("text/javascript; charset=utf-8").send(script));
  },
} satisfies AppFile;
