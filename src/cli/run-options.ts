import { options } from "../options/options.js";
import type { OptionReport } from "../options/resolve-options.js";
import { type CommandContext, exitCodes } from "./command.js";
import { formatFaults, formatFinding } from "./format-failure.js";
import { loadApp } from "./load-app.js";
import { formatColumns, type Output } from "./terminal.js";

/** Runs `ekiben options`: lists all options with their values and sources. */
export async function runOptions({ args, env, terminal }: CommandContext): Promise<number> {
  const { report, faults, warnings, notes } = (await loadApp(args, env)).options;
  for (const warning of warnings) terminal.err.write(formatFinding({ ...warning, kind: "warning" }, terminal.err));
  for (const note of notes) terminal.err.write(formatFinding({ ...note, kind: "note" }, terminal.err));
  if (faults.length > 0) {
    terminal.err.write(formatFaults(faults, terminal.err));
    return exitCodes.failed.code;
  }
  const rows = args.own.has("changed") ? report.filter(({ source }) => source !== "default") : report;
  if (args.own.has("json")) terminal.out.write(`${JSON.stringify(rows, replaceInfinity, 2)}\n`);
  else if (rows.length === 0) terminal.out.write("every option has its default\n");
  else terminal.out.write(formatReport(rows, terminal.out));
  return exitCodes.ok.code;
}

/** Replaces infinity, which JSON does not have, by the word that an app file may contain too. */
const replaceInfinity = (_: string, value: unknown) => (value === Number.POSITIVE_INFINITY ? "Infinity" : value);

function formatReport(rows: readonly OptionReport[], { paint }: Output): string {
  const lines = rows.map(({ option, service, api, value, source, where }) => {
    const place = [service, api].filter((part) => part !== undefined).join(".");
    const type = options.get(option)?.type;
    const text = type === undefined || type.isSecret === true ? String(value) : type.format(value);
    const isDefault = source === "default";
    return [
      `${place === "" ? "" : `${place}.`}${isDefault ? option : paint("bold", option)}`,
      isDefault ? text : paint("cyan", text),
      isDefault ? paint("dim", "default") : where,
    ];
  });
  return `${formatColumns([["OPTION", "VALUE", "SOURCE"], ...lines]).join("\n")}\n`;
}
