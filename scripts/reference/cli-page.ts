import { type Command, exitCodes, type Flag, formatFlag } from "../../src/cli/command.js";
import { commands } from "../../src/cli/commands.js";
import { entryText, groupByLevel } from "../../src/cli/run-command-line.js";
import { formatDefault, variableOf } from "../../src/options/option.js";
import { code, formatTable, generatedNote } from "./markdown.js";

/** Formats docs/reference/cli.md. */
export function formatCliPage(): string {
  const overview = formatTable(
    ["command", ""],
    commands.map(({ name, summary }) => [`[${code(`ekiben ${name}`)}](#ekiben-${name})`, summary]),
  );
  return [
    generatedNote("src/cli/commands.ts and src/options/options.ts"),
    "",
    "# Command line",
    "",
    `${code("ekiben <command> [file][:Class] [flags]")}; ${code("--help")} and ${code("--version")} stand alone, ${code("--help")} also behind a command.`,
    "",
    entryText.replace("[file][:Class]", code("[file][:Class]")),
    "",
    overview,
    "",
    ...commands.map(formatCommand),
    "## Flags that set options",
    "",
    "Taken by the commands that say so below their own flags. What each does is in the [reference of options](options.md).",
    "",
    ...groupByLevel().flatMap(({ text, flags }) => [
      `### ${text}`.replace(/<(\w+)>/g, "`<$1>`"),
      "",
      formatOptionFlags(flags),
      "",
    ]),
    "## Colours",
    "",
    "Only on a terminal. `NO_COLOR` turns them off, `FORCE_COLOR` on.",
    "",
    "## Exit codes",
    "",
    formatTable(
      ["code", ""],
      Object.values(exitCodes).map((exit) => [code(String(exit.code)), exit.text]),
    ),
    "",
  ].join("\n");
}

function formatCommand({ name, summary, details, words, flags, takesOptions, examples }: Command): string {
  const own = formatTable(
    ["flag", ""],
    flags.map((flag) => [code(formatFlag(flag)), flag.text]),
  );
  return [
    `## ekiben ${name}`,
    "",
    [summary, ...details].join("\n\n"),
    "",
    code(`ekiben ${name} ${words?.usage ?? "[file][:Class]"} [flags]`),
    "",
    "```sh",
    ...examples,
    "```",
    "",
    own,
    "",
    ...(takesOptions ? ["Every option may be given as [a flag](#flags-that-set-options).", ""] : []),
  ].join("\n");
}

function formatOptionFlags(flags: readonly Flag[]): string {
  const rows = flags.flatMap((flag) =>
    flag.option === undefined
      ? []
      : [[code(formatFlag(flag)), formatDefault(flag.option), code(variableOf(flag.option)), flag.text]],
  );
  return formatTable(["flag", "default", "variable", ""], rows);
}
