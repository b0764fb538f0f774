import { stripVTControlCharacters, styleText } from "node:util";

/** Text styles of the command line. */
export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";

/** Output stream of a command. */
export interface Output {
  /** True when a person reads it, so that lines may be redrawn. */
  readonly isTerminal: boolean;
  /** Width of a line, in characters. */
  readonly columns: number;
  write(text: string): void;
  /** Returns the text in a style; unchanged when colours are off. */
  paint(style: Style, text: string): string;
}

/** Both output streams. Results go to `out` and messages about the run to `err`, so that results can be piped. */
export interface Terminal {
  readonly out: Output;
  readonly err: Output;
}

/** Part of a process stream that an output needs. */
export interface TerminalStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Wraps a stream. Colours depend on `FORCE_COLOR`, then on `NO_COLOR`, then on a terminal that is not `dumb`. */
export function createOutput(stream: TerminalStream, env: Readonly<Record<string, string | undefined>>): Output {
  const hasColours = wantsColours(stream, env);
  return {
    isTerminal: stream.isTTY === true && env["TERM"] !== "dumb",
    columns: stream.columns ?? 100,
    write: (text) => {
      stream.write(text);
    },
    paint: (style, text) => (hasColours ? styleText(style, text, { validateStream: false }) : text),
  };
}

function wantsColours(stream: TerminalStream, env: Readonly<Record<string, string | undefined>>): boolean {
  const force = env["FORCE_COLOR"];
  if (force !== undefined) return force !== "0" && force !== "false";
  if ((env["NO_COLOR"] ?? "") !== "") return false;
  return stream.isTTY === true && env["TERM"] !== "dumb";
}

/** Formats milliseconds for a person: `"12 ms"`, `"1.2 s"`, `"30 s"`, `"2 min 5 s"`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1).replace(/\.0$/, "")} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** Aligns cells in columns, two spaces apart. The last cell of a row is not padded. Cells may be painted. */
export function formatColumns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => widthOf(row[column] ?? ""))));
  return rows.map((row) => {
    const cells = row.map((cell, i) =>
      i === row.length - 1 ? cell : cell + " ".repeat((widths[i] ?? 0) - widthOf(cell)),
    );
    return cells.join("  ").trimEnd();
  });
}

const widthOf = (text: string): number => stripVTControlCharacters(text).length;

/** Breaks a text at spaces into lines of at most `width` characters; a longer word gets a line of its own. */
export function wrapText(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
