import { parseArgs } from "node:util";

/** Flags of `run.ts`, which passes all except `node` on to each bench. */
export const flags = {
  /** Path of the Node that runs the benches. */
  node: { type: "string" },
  /** Duration of one measured round of one contestant, in seconds. */
  seconds: { type: "string" },
  rounds: { type: "string" },
  /** Parts of a bench, separated by commas: the names of its results. */
  only: { type: "string" },
  /** Includes rivals in Python, which are installed first. */
  python: { type: "boolean", default: false },
  /** Runs one short round of everything and writes no file: shows that a bench works, without valid figures. */
  "dry-run": { type: "boolean", default: false },
} as const;

const { values } = parseArgs({ options: flags, allowPositionals: true });

export const isDryRun = values["dry-run"];
export const withPython = values.python;

export interface Settings {
  readonly seconds: number;
  readonly rounds: number;
}

/** Returns the durations: from the command line, or the default of the bench. */
export function readSettings(own: Settings): Settings {
  const usual = isDryRun ? { seconds: Math.min(own.seconds, 1), rounds: 1 } : own;
  return {
    seconds: readPositive("seconds", usual.seconds),
    rounds: readPositive("rounds", usual.rounds),
  };
}

/** Returns the selected parts. @throws {Error} when a named part does not exist. */
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
