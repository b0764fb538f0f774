import { parseArgs } from "node:util";
import { fail } from "../failure/failures.js";
import { flagOf, formatDefault, type Option, variableOf } from "../options/option.js";
import { formerNames, options } from "../options/options.js";
import { pickNearest } from "../options/pick-nearest.js";
import type { Terminal } from "./terminal.js";
import type { Watcher } from "./watch/watcher.js";

/** Input of a command: its arguments and its surroundings. */
export interface CommandContext {
  readonly args: ParsedArgs;
  /** Arguments as typed, starting with the name of the command. */
  readonly words: readonly string[];
  readonly terminal: Terminal;
  readonly env: NodeJS.ProcessEnv;
  /** Parent process; set only in a version that `serve --watch` runs. */
  readonly watcher?: Watcher;
}

/** One command of `ekiben`. */
export interface Command {
  readonly name: string;
  /** One line for the overview. */
  readonly summary: string;
  /** Further paragraphs of the help page. */
  readonly details: readonly string[];
  /** Flags of this command, without those that set options. */
  readonly flags: readonly Flag[];
  /** True when each option can be set by a flag. */
  readonly takesOptions: boolean;
  /** Positional arguments. Default: at most one, the file. */
  readonly words?: { readonly most: number; readonly usage: string };
  /** Example command lines. */
  readonly examples: readonly string[];
  /** Runs the command. @returns The exit code. */
  readonly run: (context: CommandContext) => Promise<number>;
}

/** Exit codes of all commands, with their meaning. */
export const exitCodes = {
  ok: { code: 0, text: "Done. `serve`: stopped after a drain. `check`: no faults; there may be warnings." },
  failed: { code: 1, text: "A fault or a failure, shown on stderr with its fix. All services were stopped." },
  usage: { code: 2, text: "The command line is wrong: unknown command or flag." },
  interrupted: { code: 130, text: "Ended at once by Ctrl-C: the second one, or one before the server was ready." },
  terminated: { code: 143, text: "Ended at once by SIGTERM. 129: by SIGHUP. 131: by SIGQUIT." },
} as const;

/** Output formats of `ekiben graph`. */
export const graphFormats = ["text", "mermaid", "svg", "json"] as const;

/** Actions of `ekiben tasks`. */
export const taskActions = ["list", "show", "cancel", "retry", "move"] as const;

/** Actions of `ekiben models`. */
export const modelActions = ["list", "add", "verify", "prune"] as const;

/** One flag of a command. */
export interface Flag {
  /** Name without the dashes. */
  readonly name: string;
  readonly short?: string;
  /** Name of the value in help; `""` for a flag without a value. */
  readonly placeholder: string;
  readonly text: string;
  /** Allowed values; absent when any value is allowed. */
  readonly choices?: readonly string[];
  /** Option that the flag sets; absent for flags of the command itself. */
  readonly option?: Option;
}

/** Parsed command line. */
export interface ParsedArgs {
  readonly positionals: readonly string[];
  /** Values of the flags of the command itself, by flag name. */
  readonly own: ReadonlyMap<string, string>;
  /** Values of the flags that set options, by option name, in the order given. */
  readonly options: Readonly<Record<string, readonly (string | boolean)[]>>;
}

/** Flags of all options that the option table allows on the command line. */
export const optionFlags: readonly Flag[] = [...options.values()]
  .filter((option) => option.sources.includes("command line"))
  .map((option): Flag => {
    const isSwitch = option.type.fromCode(true) === true && option.type.placeholder === "true|false";
    return {
      name: flagOf(option),
      ...(option.name === "port" && { short: "p" }),
      placeholder: isSwitch ? "" : option.type.placeholder,
      text: option.text,
      option,
    };
  });

/** Formats a flag as `"-p, --port <port>"`; a switch that sets an option as `"--[no-]http-access-log"`. */
export function formatFlag({ name, short, placeholder, option }: Flag): string {
  const word = option !== undefined && placeholder === "" ? `--[no-]${name}` : `--${name}`;
  return `${short === undefined ? "" : `-${short}, `}${word}${placeholder === "" ? "" : ` ${placeholder}`}`;
}

/** Formats the default and the environment variable of a flag that sets an option: `"default: 3000; EKIBEN_PORT"`. */
export function formatFlagNotes({ option }: Flag): string {
  return option === undefined ? "" : `default: ${formatDefault(option)}; ${variableOf(option)}`;
}

/**
 * Parses the arguments of one command.
 *
 * @throws {ServingError} `invalid_flag`, which lists all problems at once.
 */
export function parseFlags(args: readonly string[], flags: readonly Flag[]): ParsedArgs {
  const byName = new Map(flags.map((flag) => [flag.name, flag]));
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(flags.map(toParseOption)),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const positionals: string[] = [];
  const own = new Map<string, string>();
  const values: Record<string, (string | boolean)[]> = {};
  const problems: string[] = [];
  const renamedTo: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") positionals.push(token.value);
    if (token.kind !== "option") continue;
    const now = byName.has(token.name) ? undefined : nowOfFormer(token.name, byName);
    if (now !== undefined) renamedTo.push(now);
    const read = readToken(token, byName);
    if (typeof read === "string") problems.push(read);
    else if (read.flag.option === undefined) own.set(read.flag.name, String(read.value));
    else (values[read.flag.option.name] ??= []).push(read.value);
  }
  if (problems.length > 0) {
    throw fail("invalid_flag", { problem: problems.join("; "), ...(renamedTo.length > 0 && { renamedTo }) });
  }
  return { positionals, own, options: values };
}

const formerFlags: ReadonlyMap<string, string> = new Map(
  [...formerNames].map(([former, name]) => [flagOf({ name: former }), flagOf({ name })]),
);

/** New flag of a former one that the command would take; `undefined` for any other. */
function nowOfFormer(name: string, flags: ReadonlyMap<string, Flag>): string | undefined {
  const now = formerFlags.get(name);
  return now !== undefined && flags.has(now) ? `--${now}` : undefined;
}

function toParseOption({ name, short, placeholder }: Flag): [string, { type: "string" | "boolean"; short?: string }] {
  return [name, { type: placeholder === "" ? "boolean" : "string", ...(short !== undefined && { short }) }];
}

interface OptionToken {
  readonly name: string;
  readonly rawName: string;
  readonly value?: string | undefined;
  /** True when the value was given as `--port=0`. */
  readonly inlineValue?: boolean | undefined;
}

/** Returns the flag and its value, or a text that describes the problem. */
function readToken(
  { name, rawName, value, inlineValue }: OptionToken,
  flags: ReadonlyMap<string, Flag>,
): { readonly flag: Flag; readonly value: string | boolean } | string {
  const positive = flags.get(name.replace(/^no-/, ""));
  const isNegative = !flags.has(name) && positive?.placeholder === "";
  const flag = isNegative ? positive : flags.get(name);
  if (flag === undefined) {
    const now = nowOfFormer(name, flags);
    if (now !== undefined) return `${rawName} was renamed to ${now}`;
    const nearest = pickNearest(name, flags.keys());
    return `there is no flag ${rawName}${nearest === undefined ? "" : `; did you mean --${nearest}?`}`;
  }
  if (flag.placeholder === "") {
    return value === undefined ? { flag, value: !isNegative } : `${rawName} takes no value, got ${value}`;
  }
  // No option has a value that begins with a dash, so a word with a dash is the next flag.
  if (value === undefined || (inlineValue === false && value.startsWith("-"))) {
    const got = value === undefined ? "" : `, got ${value}`;
    return `${rawName} needs a value: --${flag.name} ${flag.placeholder}${got}`;
  }
  if (flag.choices !== undefined && !flag.choices.includes(value)) {
    return `${rawName} is ${value}; it takes ${flag.choices.join(", ")}`;
  }
  return { flag, value };
}
