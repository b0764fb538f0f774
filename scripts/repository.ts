import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Folder that holds package.json; every script works from there, wherever it was started. */
export const repositoryRoot = fileURLToPath(new URL("..", import.meta.url)).replace(/[/\\]$/, "");

/**
 * Returns the path of a TypeScript compiler. Version 7 compiles this repository. Version 5.9 checks the type tests,
 * because users may have it. It is installed as `typescript`: tools that read syntax trees need its API, which version
 * 7 does not have.
 */
export function typescriptBin(version: "5.9" | "7"): string {
  return join(repositoryRoot, "node_modules", version === "7" ? "typescript-7" : "typescript", "bin/tsc");
}
