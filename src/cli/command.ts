import type { Flag, ParsedArgs } from "./flags.js";
import type { Terminal } from "./terminal.js";
import type { Watcher } from "./watch/watcher.js";

/** What a command is run with. */
export interface CommandContext {
  readonly args: ParsedArgs;
  /** The arguments as they were given, the command's own name first. */
  readonly words: readonly string[];
  readonly terminal: Terminal;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The process above this one, where this is a version that `serve --watch` runs. */
  readonly watcher?: Watcher;
}

/** One command of `ekiben`. */
export interface Command {
  readonly name: string;
  /** One line for the overview. */
  readonly summary: string;
  /** What else one should know; a paragraph each. */
  readonly details: readonly string[];
  /** Flags of its own. */
  readonly flags: readonly Flag[];
  /** Whether every option may be given as a flag. */
  readonly takesOptions: boolean;
  /** Words it takes besides flags. Default: one, the file. */
  readonly words?: { readonly most: number; readonly usage: string };
  /** Command lines that show its use. */
  readonly examples: readonly string[];
  /** @returns The exit code. */
  readonly run: (context: CommandContext) => Promise<number>;
}

/** What the exit codes of every command mean. */
export const exitCodes = {
  ok: { code: 0, text: "Done. `serve`: stopped after a drain. `check`: no faults; there may be warnings." },
  failed: { code: 1, text: "A fault or a failure, shown on stderr with its fix. Nothing is left running." },
  usage: { code: 2, text: "The command line itself is wrong: no such command or flag." },
  interrupted: { code: 130, text: "Ended at once by Ctrl-C: by the second, or by one before the server was ready." },
  terminated: { code: 143, text: "The same by SIGTERM; 129 by SIGHUP, 131 by SIGQUIT." },
} as const;

/** Formats that `ekiben graph` writes. */
export const graphFormats = ["text", "mermaid", "svg", "json"] as const;

/** What `ekiben tasks` can do. */
export const taskActions = ["list", "show", "cancel", "retry", "move"] as const;
