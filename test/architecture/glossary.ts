import { readFileSync } from "node:fs";
import type { SourceFile } from "./source-tree.js";

/** One row of docs/glossary.md. */
export interface GlossaryRow {
  readonly word: string;
  /** Exported names that the row gives as examples. */
  readonly names: readonly string[];
  /** Words that mean the same and are not used in names. */
  readonly refused: readonly string[];
}

/** Reads the rows of every table of the page. @throws {Error} for a table row that does not have four columns. */
export function readGlossary(path: string): GlossaryRow[] {
  const rows = readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line.startsWith("| ") && !/^\| (Word|---)/.test(line));
  return rows.map((line) => {
    const cells = line.split("|").slice(1, -1);
    if (cells.length !== 4) throw new Error(`${path}: this row has ${cells.length} columns, not 4: ${line}`);
    const [word = "", , names = "", refused = ""] = cells.map((cell) => cell.trim());
    return {
      word,
      names: [...names.matchAll(/`(\w+)`/g)].map((match) => match[1] as string),
      refused: refused.split(", ").filter((text) => text !== ""),
    };
  });
}

/** Compares the glossary with what the code exports: one sentence for each difference. */
export function findGlossaryFaults(rows: readonly GlossaryRow[], files: readonly SourceFile[]): string[] {
  const exported = new Set(files.flatMap(({ exports }) => exports));
  const words = rows.map(({ word }) => word);
  const twice = words.filter((word, index) => words.indexOf(word) !== index);
  const refused = new Map(rows.flatMap((row) => row.refused.map((word) => [word, row.word] as const)));
  return [
    ...twice.map((word) => `the glossary has two rows for ${word}`),
    ...rows.flatMap(({ word, names }) =>
      names
        .filter((name) => !exported.has(name))
        .map((name) => `the glossary names ${name} for ${word}: no file exports it`),
    ),
    ...files.flatMap(({ path, exports }) =>
      exports.flatMap((name) => {
        const found = splitWords(name).find((word) => refused.has(word));
        return found === undefined
          ? []
          : [`${path} exports ${name}: the glossary's word for ${found} is ${refused.get(found)}`];
      }),
    ),
  ];
}

/** Splits a name into words in lower case, without a plural s: `"ReplicaSeats"` gives `["replica", "seat"]`. */
function splitWords(name: string): string[] {
  const words = name.replace(/([a-z0-9])([A-Z])/g, "$1 $2").toLowerCase();
  return words.split(/[^a-z0-9]+/).map((word) => word.replace(/(?<=[a-rt-z])s$/, ""));
}
