// Servers of the workloads over HTTP: ekiben by placement, and its rivals.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createEkibenCommand, placements } from "./ekiben-command.ts";
import { installNodePackages, installPythonPackages } from "./rivals/install.ts";
import type { ServerCommand } from "./server-process.ts";
import type { WorkloadName } from "./workloads/workload.ts";

/** Server of some of the workloads. */
export interface Contender {
  readonly name: string;
  readonly workloads: readonly WorkloadName[];
  readonly isPython?: boolean;
  /** Factor by which ekiben promises to answer more requests a second, with 16 and 64 connections. */
  readonly promised?: { readonly [Name in WorkloadName]?: number };
  /** Description of the server and its differences; stored with the figures. */
  readonly note: string;
  /** Starts the server. @throws {Error} with the reason why it cannot run here. */
  readonly prepare: (workload: WorkloadName, port: number) => Promise<ServerCommand>;
}

const rivals = join(import.meta.dirname, "rivals");
const allWorkloads = ["w1", "w2", "w3", "w6"] as const;

/** Node 22.18 and newer run TypeScript directly. */
const runsTypeScript = Boolean((process.features as { typescript?: unknown }).typescript);
const nodeFlags = runsTypeScript ? [] : ["--import", "tsx"];

export const ekibenName = (placement: string): string => `ekiben, ${placement}`;

const ekiben: readonly Contender[] = placements.map((placement) => ({
  name: ekibenName(placement),
  workloads: allWorkloads,
  note: "all checks; no access log",
  prepare: async (workload, port) => createEkibenCommand({ file: workload, placement, port }),
}));

interface NodeRival extends Pick<Contender, "name" | "workloads" | "note" | "promised"> {
  /** URL of the server. */
  readonly file: string;
  readonly needsPackages?: boolean;
}

function createNodeRival({ file, needsPackages = false, ...rest }: NodeRival): Contender {
  return {
    ...rest,
    async prepare(workload, port) {
      const env = needsPackages ? { EKIBEN_BENCH_PACKAGES: await installNodePackages() } : {};
      const own = needsPackages ? [workload, String(port)] : [String(port)];
      const args = [...nodeFlags, fileURLToPath(file), ...own];
      return { command: process.execPath, args, port, readyPath: "/readyz", cwd: rivals, env };
    },
  };
}

const leafNote = "each leaf service in a process of its own; no restarts, deadlines or batches";
const nodeRivals: readonly Contender[] = [
  {
    name: "floor: Fastify, zod, bare frames",
    workloads: ["w1"] as const,
    promised: { w1: 0.75 },
    note: "the least W1 can be made of on Node, in two processes",
    file: import.meta.resolve("./rivals/floor.ts"),
  },
  {
    name: "Fastify and undici",
    workloads: ["w1"] as const,
    promised: { w1: 1.6 },
    note: "W1 by hand, in two processes; JSON schemas on both sides",
    file: import.meta.resolve("./rivals/fastify-undici.ts"),
  },
  {
    name: "NestJS",
    workloads: ["w1", "w2", "w3"] as const,
    promised: { w2: 1, w3: 1 },
    note: leafNote,
    file: import.meta.resolve("./rivals/nest.ts"),
    needsPackages: true,
  },
  {
    name: "Moleculer",
    workloads: ["w1", "w2", "w3"] as const,
    promised: { w2: 1, w3: 1 },
    note: leafNote,
    file: import.meta.resolve("./rivals/moleculer.ts"),
    needsPackages: true,
  },
].map(createNodeRival);

const python = join(rivals, "python");

function createBento(name: string, env: Readonly<Record<string, string>>, note: string): Contender {
  return {
    ...{ name, workloads: allWorkloads, note, isPython: true },
    async prepare(workload, port) {
      const programs = await installPythonPackages("bentoml", ["bentoml==1.4.39", "numpy", "uvloop", "httptools"]);
      const service = { w1: "W1Gateway", w2: "Pipeline", w3: "Ensemble", w6: "W6Gateway" }[workload];
      return {
        command: join(programs, "bentoml"),
        args: ["serve", `on_bentoml:${service}`, "--host", "127.0.0.1", "--port", String(port)],
        ...{ port, readyPath: "/readyz", cwd: python },
        env: {
          ...{ BENTOML_DO_NOT_TRACK: "True", BENTOML_HOME: join(programs, "../home"), PYTHONPATH: "." },
          ...{ PATH: `${programs}:${process.env["PATH"]}`, PYTHONDONTWRITEBYTECODE: "", ...env },
        },
      };
    },
  };
}

const pythonRivals: readonly Contender[] = [
  { ...createBento("BentoML", {}, "as it is installed"), promised: { w1: 30, w2: 30, w3: 30 } },
  createBento("BentoML, tuned", { TUNED: "1" }, "keeps the connections of its hops, no access log"),
  {
    ...{ name: "Ray Serve", workloads: allWorkloads, isPython: true },
    note: "one replica each, max_ongoing_requests 300 and 0.1 CPU a replica; bodies are not checked",
    async prepare(workload, port) {
      const programs = await installPythonPackages("ray", ["ray[serve]==2.60.0", "numpy"]);
      const args = ["on_ray.py", workload, String(port)];
      const env = { RAY_USAGE_STATS_ENABLED: "0", PATH: `${programs}:${process.env["PATH"]}` };
      return { command: join(programs, "python"), args, port, readyPath: "/readyz", cwd: python, env };
    },
  },
  {
    ...{ name: "Mosec, two stages", workloads: ["w1"], isPython: true },
    note: "not the same shape: a line of stages, no service calls another; bodies are not checked",
    async prepare(_, port) {
      const programs = await installPythonPackages("mosec", ["mosec==0.9.8", "numpy"]);
      const args = ["on_mosec.py", "--address", "127.0.0.1", "--port", String(port)];
      return { command: join(programs, "python"), args, port, readyPath: "/", cwd: python };
    },
  },
];

export const contenders: readonly Contender[] = [...ekiben, ...nodeRivals, ...pythonRivals];
