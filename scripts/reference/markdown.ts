/** Stands at the top of every page that is written from a table. */
export const generatedNote = (source: string): string =>
  `<!-- Written by scripts/generate-docs.ts from ${source}; edit that, then run \`npm run docs\`. -->`;

/** A table; cells are escaped where Markdown would read them as its own. */
export function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(escapeCell).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

const escapeCell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", "<br>");

/** Text as code, `""` as nothing. */
export const code = (text: string): string => (text === "" ? "" : `\`${text}\``);
