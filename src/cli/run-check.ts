import os from "node:os";
import { planGraph } from "../app/plan-app.js";
import { checkGraph, type Finding } from "../graph/check-graph.js";
import { checkTasks } from "./check-tasks.js";
import { checkTypes } from "./check-types.js";
import { type CommandContext, exitCodes } from "./command.js";
import { formatFinding } from "./format-failure.js";
import { type LoadedApp, loadApp } from "./load-app.js";

/** `ekiben check`: everything that is wrong, without starting anything. */
export async function runCheck({ args, env, terminal }: CommandContext): Promise<number> {
  const app = await loadApp(args, env);
  const findings = [...(await checkApp(app)), ...(args.own.has("no-types") ? [] : await checkTypes(app.file))];
  for (const kind of ["fault", "warning", "note"] as const) {
    for (const finding of findings.filter((found) => found.kind === kind)) {
      terminal.out.write(formatFinding(finding, terminal.out));
    }
  }
  const faults = count(findings, "fault");
  const { services, edges } = app.graph;
  const summary = [
    `${services.size} services`,
    `${edges.length} edges`,
    `${faults} faults`,
    `${count(findings, "warning")} warnings`,
  ];
  const sign = faults === 0 ? terminal.out.paint("green", "ok") : terminal.out.paint("red", "not ok");
  terminal.out.write(`${sign}: ${summary.map((words) => words.replace(/^1 (\w+)s$/, "1 $1")).join(", ")}\n`);
  return (faults === 0 ? exitCodes.ok : exitCodes.failed).code;
}

const count = (findings: readonly Finding[], kind: Finding["kind"]): number =>
  findings.filter((finding) => finding.kind === kind).length;

async function checkApp(app: LoadedApp): Promise<Finding[]> {
  const { graph, options } = app;
  const { settings, report, faults, warnings } = options;
  const machine = { cores: os.availableParallelism(), memoryBytes: os.totalmem() };
  const { notices } = planGraph(graph, settings);
  return [
    ...faults.map((fault): Finding => ({ ...fault, kind: "fault" })),
    ...warnings.map((warning): Finding => ({ ...warning, kind: "warning" })),
    ...(await checkGraph({ graph, settings, report, machine })),
    ...(await checkTasks(app)),
    ...notices.map((message): Finding => ({ kind: "note", service: "", field: "", message, fix: "" })),
  ];
}
