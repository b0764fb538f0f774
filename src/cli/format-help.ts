import { type Command, exitCodes } from "./command.js";
import { commands } from "./commands.js";
import { type Flag, formatFlag, formatFlagNotes, optionFlags } from "./flags.js";
import { formatColumns, type Output, wrapText } from "./terminal.js";

const about = "Serve pipelines of models from TypeScript: typed services, one graph.";

/** What `[file][:Class]` means, for help and docs. */
export const entryText =
  "[file][:Class] is the file that exports the services and the entry service in it. Default: service.ts (or .js, .mjs, .mts); the default export, else the only exported service that no other depends on.";

/** The overview: `ekiben --help`. */
export function formatOverview(output: Output): string {
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

/** The help of one command: `ekiben serve --help`. */
export function formatCommandHelp(command: Command, output: Output): string {
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

/** Flags that set options, in the groups of help and docs. */
export function groupByLevel(): { readonly text: string; readonly flags: readonly Flag[] }[] {
  const ofLevel = (level: string) => optionFlags.filter(({ option }) => option?.level === level);
  return [
    { text: "Options of the app", flags: ofLevel("app") },
    { text: "Options of services: <value> for all, Model=<value> for one; may be repeated", flags: ofLevel("service") },
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
