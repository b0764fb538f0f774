// Runs the benches one after the other.   npm run bench [-- name …] [--node path/to/node]
//
// Each runs in a process of its own on the given Node, and writes its figures to results/.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";

const benches = ["hop", "edge", "start"];
const { values, positionals } = parseArgs({ options: { node: { type: "string" } }, allowPositionals: true });
const unknown = positionals.filter((name) => !benches.includes(name));
if (unknown.length > 0) throw new Error(`there is no bench ${unknown.join(", ")}; there are ${benches.join(", ")}`);

const node = values.node ?? process.execPath;
for (const name of benches.filter((bench) => positionals.length === 0 || positionals.includes(bench))) {
  const { status } = spawnSync(node, ["--import", "tsx", join(import.meta.dirname, `${name}.ts`)], {
    stdio: "inherit",
  });
  if (status !== 0) process.exit(status ?? 1);
}
