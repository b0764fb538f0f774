import { parseArgs } from "node:util";

/** Flags of `run.ts`, which hands all but `node` on to each bench. */
export const flags = {
  /** Path of the Node that runs the benches. */
  node: { type: "string" },
  /** Of one measured round of one contestant. */
  seconds: { type: "string" },
  rounds: { type: "string" },
  /** Parts of a bench, with commas between: the names its results have. */
  only: { type: "string" },
  /** Also rivals in Python, which are installed first. */
  python: { type: "boolean", default: false },
  /** One short round of everything, and no file written: shows that a bench works, not what it measures. */
  "dry-run": { type: "boolean", default: false },
} as const;

const { values } = parseArgs({ options: flags, allowPositionals: true });

export const isDryRun = values["dry-run"];
export const withPython = values.python;

export interface Settings {
  readonly seconds: number;
  readonly rounds: number;
}

/** How long to measure: what the command line says, else the bench's own. */
export function readSettings(own: Settings): Settings {
  const usual = isDryRun ? { seconds: Math.min(own.seconds, 1), rounds: 1 } : own;
  return {
    seconds: readPositive("seconds", usual.seconds),
    rounds: readPositive("rounds", usual.rounds),
  };
}

/** The parts that are wanted. @throws {Error} when one is named that is not there. */
export function pickParts<Part extends string>(parts: readonly Part[]): readonly Part[] {
  const wanted = values.only?.split(",");
  const unknown = wanted?.filter((name) => !parts.includes(name as Part)) ?? [];
  if (unknown.length > 0) throw new Error(`there is no part ${unknown.join(", ")}; there are ${parts.join(", ")}`);
  return parts.filter((part) => wanted?.includes(part) ?? true);
}

function readPositive(name: "seconds" | "rounds", usual: number): number {
  const value = Number(values[name] ?? usual);
  if (!(value > 0)) throw new Error(`--${name} must be a number above 0`);
  return value;
}
