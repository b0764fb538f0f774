// Draws the graph of every example into its folder, as its README shows it.   tsx scripts/draw-examples.ts
//
// Needs dist/ (`npm run build`): the command line makes the pictures, as a user would make them.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { repositoryRoot } from "./repository.js";

const examples = join(repositoryRoot, "examples");
for (const name of readdirSync(examples)) {
  const service = join(examples, name, "service.ts");
  if (!existsSync(service)) continue;
  const command = [join(repositoryRoot, "dist/cli/main.js"), "graph", service, "--format", "svg"];
  writeFileSync(join(examples, name, "graph.svg"), execFileSync(process.execPath, command));
}
