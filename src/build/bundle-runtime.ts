import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { ownCopy, ownFolder } from "../base/shared-state.js";
import type { Bundler } from "./bundle-service.js";
import { findInstalled } from "./packages.js";

/** File of a build that is not copied: its path in the build, and its text. */
export interface MadeFile {
  readonly target: string;
  readonly content: Uint8Array | string;
}

/** Place of ekiben in a build: beside the services, which find it as any package. */
export const runtimePlace = "node_modules/ekiben";

/** Modules of ekiben that a build needs by name: its entries, and the files that processes and threads begin with. */
const entries = {
  index: "index",
  client: "client",
  testing: "testing",
  auth: "auth",
  callee: "contract/service-of-contract",
  "cli/main": "cli/main",
  "runtime/process-main": "runtime/process-main",
  "runtime/thread-main": "runtime/thread-main",
  "runtime/stand-in-main": "runtime/stand-in-main",
};

/** Packages that stay outside: they are optional, or are asked for by `require`. */
const external = ["esbuild", "tsx", "jose", "libsql", "pg", "pg-native", "zod", "pino"];

const banner =
  'import { createRequire as ekibenRequire } from "node:module"; const require = ekibenRequire(import.meta.url);';

/** Tells the files that the runtime is made of from others, without reading them. */
export function signRuntime(bundlerVersion: string): string {
  const hash = createHash("sha256").update(`${ownCopy.version} ${bundlerVersion}`);
  for (const entry of readdirSync(ownFolder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !/(?<!\.d)\.[jt]s$/.test(entry.name)) continue;
    const path = join(entry.parentPath, entry.name);
    const { size, mtimeMs } = statSync(path);
    hash.update(`${relative(ownFolder, path)} ${size} ${mtimeMs}\n`);
  }
  return hash.digest("hex").slice(0, 32);
}

/**
 * Makes the runtime of a build: ekiben and the packages it depends on, in a few files that load fast. One copy serves
 * all services.
 */
export async function bundleRuntime(bundler: Bundler): Promise<MadeFile[]> {
  const isSource = ownFolder.endsWith("src");
  const common = {
    bundle: true,
    write: false,
    platform: "node",
    target: "node20.19",
    charset: "utf8",
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: "eof",
    logLevel: "silent",
    absWorkingDir: ownCopy.folder,
  } as const;
  const pino = findInstalled("pino", ownFolder);
  const [modules, log] = await Promise.all([
    bundler.build({
      ...common,
      entryPoints: Object.fromEntries(
        Object.entries(entries).map(([name, path]) => [name, join(ownFolder, `${path}.${isSource ? "ts" : "js"}`)]),
      ),
      outdir: join(ownCopy.folder, "dist"),
      format: "esm",
      splitting: true,
      // Two folders deep, as the modules of ekiben are: they find its package.json and its pages from there.
      chunkNames: "chunks/[name]-[hash]",
      external,
      banner: { js: banner },
    }),
    bundler.build({
      ...common,
      entryPoints: [join(pino?.folder ?? "", "pino.js")],
      outfile: join(ownCopy.folder, "pino.cjs"),
      format: "cjs",
      // Node finds the names of a CommonJS module by its text.
      footer: { js: "module.exports.pino = module.exports;" },
    }),
  ]);
  const made = modules.outputFiles.map(({ path, contents }) => ({
    target: `${runtimePlace}/${relative(ownCopy.folder, path)}`,
    content: contents,
  }));
  const pages = join(dirname(ownFolder), "dist/docs-page");
  const pageFiles = readdirSync(pages).map((name) => ({
    target: `${runtimePlace}/dist/docs-page/${name}`,
    content: readFileSync(join(pages, name)),
  }));
  const { version: pinoVersion } = JSON.parse(readFileSync(join(pino?.folder ?? "", "package.json"), "utf8")) as {
    readonly version: string;
  };
  return [
    ...made,
    ...pageFiles,
    { target: `${runtimePlace}/package.json`, content: writePackage() },
    { target: `${runtimePlace}/LICENSE`, content: readFileSync(join(ownCopy.folder, "LICENSE")) },
    {
      target: `${runtimePlace}/docs/reference/failures.md`,
      content: readFileSync(join(ownCopy.folder, "docs/reference/failures.md")),
    },
    { target: `${runtimePlace}/node_modules/pino/pino.cjs`, content: log.outputFiles[0]?.contents ?? "" },
    {
      target: `${runtimePlace}/node_modules/pino/package.json`,
      content: toJson({ name: "pino", version: pinoVersion, main: "pino.cjs" }),
    },
  ];
}

function writePackage(): string {
  const exports = Object.fromEntries(
    ["client", "testing", "auth", "callee"].map((name) => [`./${name}`, `./dist/${name}.js`]),
  );
  return toJson({
    ...{ name: "ekiben", version: ownCopy.version, private: true, type: "module", license: "Apache-2.0" },
    exports: { ".": "./dist/index.js", ...exports, "./package.json": "./package.json" },
    bin: { ekiben: "./dist/cli/main.js" },
    sideEffects: false,
  });
}

export const toJson = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`;
