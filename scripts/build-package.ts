// Compiles src/ into dist/, bundles docs-page/ into dist/docs-page/, and gives the types of options their doc blocks.
// Removes from dist/ the outputs of sources that are gone.
//
// dist/ is mended in place, never emptied: a server that runs from it survives a build.
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { build } from "esbuild";
import { addOptionComments } from "./reference/option-comments.js";
import { repositoryRoot, typescriptBin } from "./repository.js";

const compiled = spawnSync(process.execPath, [typescriptBin("7"), "-p", "tsconfig.build.json"], {
  cwd: repositoryRoot,
  stdio: "inherit",
});
if (compiled.status !== 0) process.exit(compiled.status ?? 1);

// Not minified: an error in a browser names the line of a function that a reader can find.
await build({
  absWorkingDir: join(repositoryRoot, "docs-page"),
  entryPoints: ["docs-page.ts", "docs-page.css"],
  bundle: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  outdir: join(repositoryRoot, "dist/docs-page"),
  logLevel: "warning",
});

for (const entry of readdirSync(join(repositoryRoot, "dist"), { recursive: true, withFileTypes: true })) {
  const output = join(entry.parentPath, entry.name);
  if (entry.isFile() && !existsSync(sourceOf(output))) rmSync(output);
}

const optionTypes = join(repositoryRoot, "dist/options/options.d.ts");
writeFileSync(optionTypes, addOptionComments(readFileSync(optionTypes, "utf8")));

const command = join(repositoryRoot, "dist/cli/main.js");
if (existsSync(command)) chmodSync(command, 0o755);

/** Returns the path that a file of dist/ is made from: `dist/call/lane.d.ts` → `src/call/lane.ts`. */
function sourceOf(output: string): string {
  const path = relative(join(repositoryRoot, "dist"), output).replace(/(\.d\.ts|\.js)$/, ".ts");
  return join(repositoryRoot, path.startsWith(`docs-page${sep}`) ? "" : "src", path);
}
