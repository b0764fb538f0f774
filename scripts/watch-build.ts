// Builds dist/ now and after each change of src/ or docs-page/.   npm run dev
import { spawnSync } from "node:child_process";
import { repositoryRoot } from "./repository.js";
import { watchSources } from "./watch-sources.js";

build();
watchSources((files) => {
  const changed = files.find((file) => /^(src|docs-page)\//.test(file) && !file.endsWith(".test.ts"));
  if (changed !== undefined) build(changed);
});

function build(changed = "start"): void {
  const startedAt = performance.now();
  const command = ["--import", "tsx", "scripts/build-package.ts"];
  const { status } = spawnSync(process.execPath, command, { cwd: repositoryRoot, stdio: "inherit" });
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  console.log(`${changed}: ${status === 0 ? "built" : "the build failed"} in ${seconds} s`);
}
