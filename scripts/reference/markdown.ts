/** First line of every page that is generated from a table. */
export const generatedNote = (source: string): string =>
  `<!-- Written by scripts/generate-docs.ts from ${source}; edit that, then run \`npm run docs\`. -->`;

/** Formats a table; escapes characters that Markdown would interpret. */
export function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(escapeCell).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

const escapeCell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", "<br>");

/** Formats text as code; `""` stays empty. */
export const code = (text: string): string => (text === "" ? "" : `\`${text}\``);
