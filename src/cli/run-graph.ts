import { writeFileSync } from "node:fs";
import { extname } from "node:path";
import { fail } from "../failure/failures.js";
import { messageOf } from "../failure/to-serving-error.js";
import type { Graph } from "../graph/graph.js";
import { drawGraph } from "../graph/picture/draw-graph.js";
import type { PictureOptions } from "../graph/picture/format-service.js";
import { graphToJson, printGraph, printMermaid } from "../graph/picture/print-graph.js";
import type { graphFormats } from "./command.js";
import { type CommandContext, exitCodes } from "./command.js";
import { formatFaults } from "./format-failure.js";
import { loadApp } from "./load-app.js";

type GraphFormat = (typeof graphFormats)[number];

const formatByEnding: Readonly<Record<string, GraphFormat>> = {
  ".svg": "svg",
  ".json": "json",
  ".mmd": "mermaid",
  ".mermaid": "mermaid",
};

/** Runs `ekiben graph`: prints the graph or writes it to a file. */
export async function runGraph({ args, env, terminal }: CommandContext): Promise<number> {
  const { graph, options } = await loadApp(args, env);
  if (options.faults.length > 0) {
    terminal.err.write(formatFaults(options.faults, terminal.err));
    return exitCodes.failed.code;
  }
  const output = args.own.get("output");
  const format = (args.own.get("format") as GraphFormat | undefined) ?? formatByEnding[extname(output ?? "")] ?? "text";
  const text = formatGraph(graph, format, { settings: options.settings.services });
  if (output === undefined) terminal.out.write(text);
  else {
    writeOutput(output, text);
    terminal.err.write(`wrote ${output}\n`);
  }
  return exitCodes.ok.code;
}

function formatGraph(graph: Graph, format: GraphFormat, options: PictureOptions): string {
  switch (format) {
    case "text":
      return printGraph(graph, options);
    case "mermaid":
      return printMermaid(graph, options);
    case "svg":
      return drawGraph(graph, options);
    case "json":
      return `${JSON.stringify(graphToJson(graph, options), undefined, 2)}\n`;
  }
}

/** Writes what a command made to a file. @throws {ServingError} `invalid_flag`. */
export function writeOutput(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    throw fail("invalid_flag", { problem: `--output ${file} can't be written: ${messageOf(error)}` });
  }
}
