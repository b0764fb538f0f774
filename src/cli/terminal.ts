import { stripVTControlCharacters, styleText } from "node:util";

/** The few styles the command line uses. */
export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";

/** One of the two streams a command writes to. */
export interface Output {
  /** A person reads it: lines may be redrawn. */
  readonly isTerminal: boolean;
  /** Characters a line has room for. */
  readonly columns: number;
  write(text: string): void;
  /** The text in a style, or as it is where colours are not wanted. */
  paint(style: Style, text: string): string;
}

/** Results go to `out`, everything about the run itself to `err`, so that results can be piped. */
export interface Terminal {
  readonly out: Output;
  readonly err: Output;
}

/** What of the process a terminal depends on. */
export interface TerminalStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Wraps one stream. Colours: `FORCE_COLOR`, else `NO_COLOR`, else only on a terminal that is not `dumb`. */
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

/** Milliseconds as a person reads them: `"12 ms"`, `"1.2 s"`, `"30 s"`, `"2 min 5 s"`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1).replace(/\.0$/, "")} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** Rows as aligned columns, two spaces apart; the last cell of a row is not padded. Cells may be painted. */
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

/** Breaks a text at spaces into lines of at most `width` characters; a longer word stands alone. */
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
