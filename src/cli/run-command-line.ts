import { readFileSync } from "node:fs";
import { fail } from "../failure/failures.js";
import { ServingError } from "../failure/serving-error.js";
import { isGuarded, whenWritten } from "../observe/guarded-output.js";
import { pickNearest } from "../options/pick-nearest.js";
import { type Command, exitCodes, type Flag, formatFlag, formatFlagNotes, optionFlags, parseFlags } from "./command.js";
import { commands } from "./commands.js";
import { formatFailure } from "./format-failure.js";
import { createOutput, formatColumns, type Output, type Terminal, wrapText } from "./terminal.js";
import type { Watcher } from "./watch/watcher.js";

/** Input of `runCommandLine`. */
export interface CommandLine {
  /** Arguments without `node` and the script. */
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly terminal: Terminal;
  /** Same as in `CommandContext`. */
  readonly watcher?: Watcher;
}

const help: Flag = { name: "help", short: "h", placeholder: "", text: "Show this help." };

/** Runs one command line. Shows failures instead of throwing them. @returns The exit code. */
async function runCommandLine({ args, env, terminal, watcher }: CommandLine): Promise<number> {
  try {
    const [first = "--help", ...rest] = args;
    if (first === "--help" || first === "-h" || first === "help") return showHelp(rest[0], terminal);
    if (first === "--version" || first === "-v") {
      terminal.out.write(`${readVersion()}\n`);
      return exitCodes.ok.code;
    }
    const command = findCommand(first);
    // The command's own flags come last and win: `tasks --service` selects tasks.
    const parsed = parseFlags(rest, [...(command.takesOptions ? optionFlags : []), ...command.flags, help]);
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

/** Runs the command line of this process and ends the process with the exit code. */
export async function runProcess(watcher?: Watcher): Promise<never> {
  const { stdout, stderr, env } = process;
  // A reader such as `head` may close the pipe early. For a command that prints that is no failure; `serve` ignores it.
  stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (!isGuarded()) process.exit(error.code === "EPIPE" ? 0 : 1);
  });
  const terminal = { out: createOutput(stdout, env), err: createOutput(stderr, env) };
  const args = process.argv.slice(2);
  const code = await runCommandLine({ args, env, terminal, ...(watcher && { watcher }) });
  // The process ends explicitly because the author's file may have left timers or threads. Output is flushed first:
  // `serve` does not wait for a stuck reader, the other commands do.
  await (isGuarded() ? whenWritten() : new Promise((resolve) => stdout.write("", resolve)));
  process.exit(code);
}

const about = "Serve pipelines of models from TypeScript: typed services, one graph.";

/** Explanation of `[file][:Class]`, for help and docs. */
export const entryText =
  "[file] is the file that exports the services. Default: service.ts (or .js, .mjs, .mts). [:Class] is the entry service. Default: the default export, else the only exported service that no other service depends on.";

/** Formats the output of `ekiben --help`. */
function formatOverview(output: Output): string {
  const { paint } = output;
  const title = (text: string) => paint("bold", text);
  const list = commands.map(({ name, summary }) => [`  ${paint("cyan", name)}`, summary]);
  return [
    `${title("ekiben")}  ${about}`,
    "",
    `${title("Usage")}  ekiben <command> [file][:Class] [flags]`,
    "",
    ...formatColumns(list),
    "",
    ...wrapText(entryText, Math.min(output.columns, 100)),
    "",
    ...formatColumns([
      [`  ${paint("cyan", "ekiben <command> --help")}`, "The flags of a command."],
      [`  ${paint("cyan", "ekiben --version")}`, "The version of ekiben."],
    ]),
    "",
  ].join("\n");
}

/** Formats the help of one command: `ekiben serve --help`. */
function formatCommandHelp(command: Command, output: Output): string {
  const { paint } = output;
  const width = Math.min(output.columns, 100);
  const title = (text: string) => ["", paint("bold", text)];
  const paragraphs = [...command.details, entryText].flatMap((text) => ["", ...wrapText(text, width)]);
  const groups = command.takesOptions ? groupByLevel() : [];
  return [
    `${paint("bold", `ekiben ${command.name}`)} ${command.words?.usage ?? "[file][:Class]"} [flags]`,
    "",
    command.summary,
    ...paragraphs,
    ...title("Flags"),
    ...command.flags.flatMap((flag) => formatEntry(flag, output)),
    ...groups.flatMap(({ text, flags }) => [...title(text), ...flags.flatMap((flag) => formatEntry(flag, output))]),
    ...title("Examples"),
    ...command.examples.map((example) => `  ${example}`),
    ...title("Exit codes"),
    ...Object.values(exitCodes).map(({ code, text }) => `  ${String(code).padEnd(3)}  ${text.replaceAll("`", "")}`),
    "",
  ].join("\n");
}

/** Groups the flags that set options, as help and docs show them. */
export function groupByLevel(): { readonly text: string; readonly flags: readonly Flag[] }[] {
  const ofLevel = (level: string) => optionFlags.filter(({ option }) => option?.level === level);
  return [
    { text: "Options of the app", flags: ofLevel("app") },
    {
      text: "Options of services: <value> sets it for all services, Model=<value> for one; may be repeated",
      flags: ofLevel("service"),
    },
    {
      text: "Options of apis: <value>, Model=<value> or Model.predict=<value>; may be repeated",
      flags: ofLevel("api"),
    },
  ];
}

function formatEntry(flag: Flag, output: Output): string[] {
  const width = Math.min(output.columns, 100) - 6;
  const notes = formatFlagNotes(flag);
  return [
    `  ${output.paint("cyan", formatFlag(flag))}`,
    ...wrapText(flag.text, width).map((line) => `      ${line}`),
    ...(notes === "" ? [] : [`      ${output.paint("dim", notes)}`]),
  ];
}
