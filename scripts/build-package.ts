// Compiles src/ into dist/, and leaves nothing in dist/ that src/ no longer has.
//
// dist/ is mended in place, never emptied: a server that runs from it survives a build.
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { repositoryRoot, typescriptBin } from "./repository.js";

const compiled = spawnSync(process.execPath, [typescriptBin("7"), "-p", "tsconfig.build.json"], {
  cwd: repositoryRoot,
  stdio: "inherit",
});
if (compiled.status !== 0) process.exit(compiled.status ?? 1);

for (const entry of readdirSync(join(repositoryRoot, "dist"), { recursive: true, withFileTypes: true })) {
  const output = join(entry.parentPath, entry.name);
  if (entry.isFile() && !existsSync(sourceOf(output))) rmSync(output);
}

const command = join(repositoryRoot, "dist/cli/main.js");
if (existsSync(command)) chmodSync(command, 0o755);

/** `dist/call/lane.d.ts` → `src/call/lane.ts`. */
function sourceOf(output: string): string {
  return output.replace(join(repositoryRoot, "dist"), join(repositoryRoot, "src")).replace(/(\.d\.ts|\.js)$/, ".ts");
}
