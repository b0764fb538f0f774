import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder that holds package.json; every script works from there, wherever it was started. */
export const repositoryRoot = fileURLToPath(new URL("..", import.meta.url)).replace(/[/\\]$/, "");

/** The compiler of one of the two TypeScript versions that types are tested with. */
export function typescriptBin(version: "typescript" | "typescript-7"): string {
  return join(repositoryRoot, "node_modules", version, "bin/tsc");
}
