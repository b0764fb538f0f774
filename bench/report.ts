import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, loadavg, totalmem } from "node:os";
import { join } from "node:path";
import { median } from "./measure.ts";
import { isDryRun } from "./settings.ts";

const nodeMajor = process.versions.node.split(".")[0];

/** One measured figure: the median counts, the rounds show how reliable it is. */
export interface Row {
  readonly what: string;
  readonly unit: string;
  readonly value: number;
  readonly rounds: readonly number[];
}

/** Bound of a figure. */
export type Bound = { readonly atMost: number } | { readonly atLeast: number };

/** Promise about the figures. */
export type Verdict = Bound & {
  readonly claim: string;
  readonly value: number;
  readonly unit: string;
  readonly isMet: boolean;
  /** Reason why it is not judged here, such as a promise for another version of Node. */
  readonly note?: string;
};

export const createRow = (what: string, unit: string, rounds: readonly number[]): Row => ({
  what,
  unit,
  value: round(median(rounds)),
  rounds: rounds.map(round),
});

/** Judges speed on Node 24. On other versions, a figure is printed with a note. */
export const createVerdict = (claim: string, value: number, bound: Bound, unit: string): Verdict => ({
  claim,
  value: round(value),
  ...bound,
  unit,
  isMet: "atMost" in bound ? value <= bound.atMost : value >= bound.atLeast,
  ...(nodeMajor !== "24" && unit !== "MB" && { note: "the target is for Node 24" }),
});

const round = (value: number): number => Number(value.toPrecision(4));
const loadBefore = loadavg();

/** Result of a bench. */
export interface Report {
  readonly rows: readonly Row[];
  readonly verdicts: readonly Verdict[];
  /** Description of the measurement. */
  readonly setup: object;
  /** Text to print instead of the rows, when there are too many rows to read. */
  readonly tables?: readonly Table[];
}

type Table = readonly (readonly string[])[];

/** Prints a bench's figures, and writes them with facts about the machine to `results/<name>-node<major>.json`. */
export function report(name: string, { rows, verdicts, setup, tables }: Report): void {
  console.log(`\n${name}, Node ${process.versions.node}`);
  for (const table of tables ?? [rows.map(formatRow)]) printTable(table);
  printTable(
    verdicts.map((verdict) => [
      verdict.isMet ? "met" : "MISSED",
      verdict.claim,
      `${verdict.value} ${verdict.unit}, ${formatBound(verdict)}${verdict.note === undefined ? "" : ` (${verdict.note})`}`,
    ]),
  );
  if (isDryRun) return;
  const result = {
    name,
    date: new Date().toISOString(),
    node: process.versions.node,
    machine: {
      cpu: cpus()[0]?.model ?? "unknown",
      cores: cpus().length,
      memoryGiB: round(totalmem() / 1024 ** 3),
      platform: `${process.platform} ${process.arch}`,
    },
    load: { before: loadBefore.map(round), after: loadavg().map(round) },
    setup,
    rows,
    verdicts,
  };
  const folder = join(import.meta.dirname, "results");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}-node${nodeMajor}.json`), `${JSON.stringify(result, undefined, 2)}\n`);
}

const formatBound = (bound: Bound) => ("atMost" in bound ? `at most ${bound.atMost}` : `at least ${bound.atLeast}`);

const formatRow = ({ what, value, unit, rounds }: Row) => [what, `${value} ${unit}`, spread(rounds)];

const spread = (rounds: readonly number[]) =>
  `${Math.min(...rounds)} to ${Math.max(...rounds)} in ${rounds.length} rounds`;

function printTable(rows: Table): void {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  for (const cells of rows) {
    console.log(`  ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")}`.trimEnd());
  }
}
