// Runs the benches one after the other.   npm run bench [-- name …] [--node path/to/node] [flags of settings.ts]
//
// Each runs in a process of its own on the given Node, prints its figures and writes them to results/.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { flags } from "./settings.ts";

const benches = ["hop", "edge", "start", "placement", "graph", "workloads", "life", "pages"];
const { values, positionals } = parseArgs({
  options: { ...flags, node: { type: "string" } },
  allowPositionals: true,
});
const unknown = positionals.filter((name) => !benches.includes(name));
if (unknown.length > 0) throw new Error(`there is no bench ${unknown.join(", ")}; there are ${benches.join(", ")}`);

const { node = process.execPath, ...own } = values;
const handedOn = Object.entries(own).flatMap(([name, value]) =>
  value === true ? [`--${name}`] : formatFlag(name, value),
);
for (const name of benches.filter((bench) => positionals.length === 0 || positionals.includes(bench))) {
  const { status } = spawnSync(node, ["--import", "tsx", join(import.meta.dirname, `${name}.ts`), ...handedOn], {
    stdio: "inherit",
  });
  if (status !== 0) process.exit(status ?? 1);
}

function formatFlag(name: string, value: unknown): string[] {
  return typeof value === "string" ? [`--${name}=${value}`] : [];
}
