import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { repositoryRoot } from "./repository.js";

/** Files that decide what a build makes of the sources. */
const recipe = ["scripts/build-package.ts", "tsconfig.json", "tsconfig.build.json"];

/**
 * Returns the first source whose output in dist/ is older or missing, or an output whose source is gone; `undefined`
 * when dist/ is up to date. Compares the times of some 600 files, which takes about 10 ms.
 */
export function findOldOutput(root = repositoryRoot): string | undefined {
  const outputs = new Map<string, string>();
  for (const file of listSources(root, "src"))
    outputs.set(join("dist", file.replace(/\.ts$/, ".js")), join("src", file));
  const pairs: (readonly [output: string, source: string])[] = [
    ...outputs,
    ...listSources(root, "docs-page").map((file) => ["dist/docs-page/docs-page.js", join("docs-page", file)] as const),
    ...recipe.map((file) => ["dist/index.js", file] as const),
  ];
  const old = pairs.find(([output, source]) => isOlder(join(root, output), join(root, source)));
  if (old !== undefined) return old[1];
  const compiled = listFiles(root, "dist").filter((file) => file.endsWith(".js") && !file.startsWith("docs-page"));
  return compiled.map((file) => join("dist", file)).find((output) => !outputs.has(output));
}

const listSources = (root: string, folder: string): string[] =>
  listFiles(root, folder).filter((file) => /\.(ts|css)$/.test(file) && !file.endsWith(".test.ts"));

function listFiles(root: string, folder: string): string[] {
  const path = join(root, folder);
  return existsSync(path) ? (readdirSync(path, { recursive: true }) as string[]) : [];
}

/** True when the output is older than its source, or missing. */
function isOlder(output: string, source: string): boolean {
  const built = statSync(output, { throwIfNoEntry: false });
  return built === undefined || built.mtimeMs < statSync(source).mtimeMs;
}
