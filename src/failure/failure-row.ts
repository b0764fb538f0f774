import type { Code } from "./serving-error.js";

/** One row of the failure table. `D` is what its text names; it is also what the caller gets as `details`. */
export interface FailureRow<D> {
  readonly code: Code;
  /** What happened, with the numbers. */
  readonly text: (details: D) => string;
  /** What to do about it. */
  readonly fix: string;
  /** More exact fix, made of the details; `undefined` for `fix`. */
  readonly fixFor?: (details: D) => string | undefined;
  /** HTTP status where it is not the one of `code`. */
  readonly httpStatus?: number;
  /** Default: by code. */
  readonly retryable?: boolean;
  /** Of a failure that comes by the thousand and that no code causes: it has no frames, which cost more than the rest of it. */
  readonly hasNoStack?: true;
}

/** One thing a schema found wrong. `path` is e.g. `"lines[2].text"`; `""` is the value itself. */
export interface Issue {
  readonly path: string;
  readonly message: string;
}

/** One fault of a graph: which row, where, and what to do. */
export interface GraphFault {
  readonly id: string;
  readonly service: string;
  /** Class field or option; `""` where the class itself is at fault. */
  readonly field: string;
  readonly message: string;
  readonly fix: string;
}

/** Checks one row where it is written. */
export const row = <D>(definition: FailureRow<D>): FailureRow<D> => definition;

/** The end of a sentence on an unknown name; `""` where no known one is near. */
export const didYouMean = (name: string | undefined): string => (name === undefined ? "" : `; did you mean ${name}?`);

/** Names as a sentence has them; `"none"` for none. */
export const list = (names: readonly string[]): string => (names.length === 0 ? "none" : names.join(", "));

/** What a schema found, in one line. `what` names the value itself: `"input"`. */
export const issueText = (what: string, issues: readonly Issue[]): string =>
  issues.map((issue) => `${issue.path === "" ? what : issue.path}: ${issue.message}`).join("; ");

/** `"Model.predict"`; one of the two alone where the fault has no service, or is the class itself. */
export const placeOf = ({ service, field }: GraphFault): string =>
  [service, field].filter((part) => part !== "").join(".");

/** A value as it may stand in a message: short, and never the whole of something large. */
export function show(value: unknown): string {
  const text = typeof value === "string" ? JSON.stringify(value) : (JSON.stringify(value) ?? String(value));
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}

/** Where a copy of ekiben lies. */
export interface CopyPlace {
  readonly folder: string;
  readonly version: string;
}

/** `"/app/node_modules/ekiben (0.1.0)"` */
export const showCopy = ({ folder, version }: CopyPlace): string => `${folder} (${version})`;

/** The end of a sentence where copies of ekiben that share nothing may be why; `""` where all are of one version. */
export const versionsText = (versions: readonly string[]): string =>
  versions.length < 2
    ? ""
    : `; ${versions.length} versions of ekiben are loaded (${list(versions)}), and none knows what another does`;

/** Milliseconds as a message says them: of short times also a part of one. */
export const formatMs = (ms: number): string => String(ms < 10 ? Number(ms.toPrecision(2)) : Math.round(ms));
