import { readFileSync } from "node:fs";
import { fail } from "../failure/fail.js";
import { ServingError } from "../failure/serving-error.js";
import { pickNearest } from "../options/pick-nearest.js";
import { type Command, exitCodes } from "./command.js";
import { commands } from "./commands.js";
import { type Flag, optionFlags, parseFlags } from "./flags.js";
import { formatFailure } from "./format-failure.js";
import { formatCommandHelp, formatOverview } from "./format-help.js";
import type { Terminal } from "./terminal.js";
import type { Watcher } from "./watch/watcher.js";

/** What a command line is run with. */
export interface CommandLine {
  /** Without `node` and the script. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly terminal: Terminal;
  /** See `CommandContext`. */
  readonly watcher?: Watcher;
}

const help: Flag = { name: "help", short: "h", placeholder: "", text: "Show this help." };

/** Runs one command line. Failures are shown, not thrown. @returns The exit code. */
export async function runCommandLine({ args, env, terminal, watcher }: CommandLine): Promise<number> {
  try {
    const [first = "--help", ...rest] = args;
    if (first === "--help" || first === "-h" || first === "help") return showHelp(rest[0], terminal);
    if (first === "--version" || first === "-v") {
      terminal.out.write(`${readVersion()}\n`);
      return exitCodes.ok.code;
    }
    const command = findCommand(first);
    const parsed = parseFlags(rest, [...command.flags, help, ...(command.takesOptions ? optionFlags : [])]);
    if (parsed.own.has("help")) return showHelp(command.name, terminal);
    const { most, usage } = command.words ?? { most: 1, usage: "one file" };
    if (parsed.positionals.length > most) {
      throw fail("invalid_flag", { problem: `${command.name} takes ${usage}, got ${parsed.positionals.join(" ")}` });
    }
    return await command.run({ args: parsed, words: args, env, terminal, ...(watcher && { watcher }) });
  } catch (error) {
    terminal.err.write(formatFailure(error, terminal.err));
    const isUsage = error instanceof ServingError && ["unknown_command", "invalid_flag"].includes(error.id);
    return (isUsage ? exitCodes.usage : exitCodes.failed).code;
  }
}

function showHelp(name: string | undefined, { out }: Terminal): number {
  const isCommand = name !== undefined && !name.startsWith("-");
  out.write(isCommand ? formatCommandHelp(findCommand(name), out) : formatOverview(out));
  return exitCodes.ok.code;
}

function findCommand(name: string): Command {
  const found = commands.find((command) => command.name === name);
  if (found !== undefined) return found;
  const known = commands.map((command) => command.name);
  const looksLikeFile = /\.[cm]?[jt]s(:|$)/.test(name);
  const nearest = looksLikeFile ? `serve ${name}` : pickNearest(name, [...known, "--help", "--version"]);
  throw fail("unknown_command", { command: name, known, nearest });
}

function readVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
