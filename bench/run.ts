// Runs the benches one after the other.   npm run bench [-- name …] [--node path/to/node] [flags of settings.ts]
//
// Each runs in a process of its own on the given Node, prints its figures and writes them to results/.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { flags } from "./settings.ts";

const benches = {
  hop: import.meta.resolve("./hop.ts"),
  edge: import.meta.resolve("./edge.ts"),
  start: import.meta.resolve("./start.ts"),
  placement: import.meta.resolve("./placement.ts"),
  remote: import.meta.resolve("./remote.ts"),
  graph: import.meta.resolve("./graph.ts"),
  chain: import.meta.resolve("./chain.ts"),
  services: import.meta.resolve("./services.ts"),
  workloads: import.meta.resolve("./workloads.ts"),
  batching: import.meta.resolve("./batching.ts"),
  life: import.meta.resolve("./life.ts"),
  build: import.meta.resolve("./build.ts"),
  pages: import.meta.resolve("./pages.ts"),
  "task-stores": import.meta.resolve("./task-stores.ts"),
  tasks: import.meta.resolve("./tasks.ts"),
  payload: import.meta.resolve("./payload.ts"),
  streams: import.meta.resolve("./streams.ts"),
  overload: import.meta.resolve("./overload.ts"),
  soak: import.meta.resolve("./soak.ts"),
};
const { values, positionals } = parseArgs({
  options: flags,
  allowPositionals: true,
});
/** Benches that run only when named, because each takes minutes. */
const long: readonly string[] = ["soak"];
const names = Object.keys(benches) as (keyof typeof benches)[];
const unknown = positionals.filter((name) => !Object.hasOwn(benches, name));
if (unknown.length > 0) throw new Error(`there is no bench ${unknown.join(", ")}; there are ${names.join(", ")}`);

const { node = process.execPath, ...own } = values;
const handedOn = Object.entries(own).flatMap(([name, value]) =>
  value === true ? [`--${name}`] : formatFlag(name, value),
);
for (const name of names.filter((bench) =>
  positionals.length === 0 ? !long.includes(bench) : positionals.includes(bench),
)) {
  const { status } = spawnSync(node, ["--import", "tsx", fileURLToPath(benches[name]), ...handedOn], {
    stdio: "inherit",
  });
  if (status !== 0) process.exit(status ?? 1);
}

function formatFlag(name: string, value: unknown): string[] {
  return typeof value === "string" ? [`--${name}=${value}`] : [];
}
