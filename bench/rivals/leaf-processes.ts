// Shared by rivals whose leaf services are processes of their own: the process of the gateway starts the others.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { findFreePorts } from "../free-ports.ts";
import { type Leaf, leaves } from "./leaves.ts";

/** Loads a package of a rival from the folder where the bench installed it; ekiben's repository has none of them. */
export const loadPackage: (name: string) => any = createRequire(`${process.env["EKIBEN_BENCH_PACKAGES"]}/package.json`);

/** Role of this process. The command line is `<workload> <port>`; for a leaf also its number and all ports. */
export interface Role {
  readonly workload: string;
  readonly port: number;
  /** Number of the leaf; `undefined` in the process of the gateway. */
  readonly leaf: Leaf | undefined;
  /** Ports: one for each leaf, in their order, then one for the gateway's own end. */
  readonly ports: readonly number[];
}

/** Determines the role of this process; in the gateway, starts the leaves. */
export async function takeRole(): Promise<Role> {
  const [, file = "", workload = "", port = "", index, ports] = process.argv;
  const own = leaves[workload];
  if (own === undefined) throw new Error(`there is no workload ${workload}`);
  if (index !== undefined && ports !== undefined) {
    process.on("disconnect", () => process.exit());
    return { workload, port: Number(port), leaf: own[Number(index)], ports: ports.split(",").map(Number) };
  }
  const allPorts = await findFreePorts(own.length + 1);
  const children = own.map((_, leaf) => fork(file, [workload, port, String(leaf), allPorts.join(",")]));
  process.on("SIGTERM", () => endAll(children));
  await Promise.all(children.map((child) => once(child, "message")));
  return { workload, port: Number(port), leaf: undefined, ports: allPorts };
}

/** Reports that a leaf is ready. */
export const tellReady = (): void => void process.send?.("ready");

function endAll(children: readonly ChildProcess[]): void {
  for (const child of children) child.kill();
  process.exit();
}
