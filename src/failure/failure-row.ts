import type { Code } from "./serving-error.js";

/** One row of the failure table. `D` are the values its text names; the caller gets them as `details`. */
export interface FailureRow<D> {
  readonly code: Code;
  /** Message: the fact, with its numbers. */
  readonly text: (details: D) => string;
  /** Instruction that solves the problem. */
  readonly fix: string;
  /** More exact fix, made of the details; `undefined` for `fix`. */
  readonly fixFor?: (details: D) => string | undefined;
  /** HTTP status, if it differs from the one of `code`. */
  readonly httpStatus?: number;
  /** True when the same call may succeed if it is made again later, whether or not it has run. Default: by code. */
  readonly retryable?: boolean;
  /**
   * Set for failures that occur by the thousand and that no code causes: stack frames would cost more than all the
   * rest.
   */
  readonly hasNoStack?: true;
}

/** One problem that a schema found. `path` is for example `"lines[2].text"`; `""` is the value itself. */
export interface Issue {
  readonly path: string;
  readonly message: string;
}

/** One fault of a graph: its row, its position, its message and its fix. */
export interface GraphFault {
  readonly id: string;
  readonly service: string;
  /** Class field or option; `""` for a fault of the class itself. */
  readonly field: string;
  readonly message: string;
  readonly fix: string;
}

/** Checks one row where it is written. */
export const row = <D>(definition: FailureRow<D>): FailureRow<D> => definition;

/** Row of a failure that clients raise too. Its fix stands apart, so that clients do not carry it. */
export type ClientRow<D> = Omit<FailureRow<D>, "fix" | "fixFor">;

/** Checks one row of a failure that clients raise too. */
export const clientRow = <D>(definition: ClientRow<D>): ClientRow<D> => definition;

/** End of a sentence about an unknown name; `""` when no known name is near. */
export const didYouMean = (name: string | undefined): string => (name === undefined ? "" : `; did you mean ${name}?`);

/**
 * Names an option and the place where it was set: `"timeoutMs of Model.train, from EKIBEN_TIMEOUT_MS"`.
 *
 * @param from As `OptionReport.where` names it; absent where that is unknown.
 */
export const optionText = (option: string, from: string | undefined): string =>
  from === undefined ? option : `${option}, ${from === "default" ? "its default" : `from ${from}`}`;

/** Joins names for a sentence; `"none"` for an empty list. */
export const list = (names: readonly string[]): string => (names.length === 0 ? "none" : names.join(", "));

/** Formats the problems that a schema found, in one line. `what` names the value itself: `"input"`. */
export const issueText = (what: string, issues: readonly Issue[]): string =>
  issues.map((issue) => `${issue.path === "" ? what : issue.path}: ${issue.message}`).join("; ");

/** Position of a fault: `"Model.predict"`, or one of the two names alone. */
export const placeOf = ({ service, field }: GraphFault): string =>
  [service, field].filter((part) => part !== "").join(".");

/** Formats a value for a message, cut at 80 characters. */
export function show(value: unknown): string {
  const text = typeof value === "string" ? JSON.stringify(value) : (JSON.stringify(value) ?? String(value));
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}

/** Location of a copy of ekiben. */
export interface CopyPlace {
  readonly folder: string;
  readonly version: string;
}

/** Formats a copy: `"/app/node_modules/ekiben (0.1.0)"`. */
export const showCopy = ({ folder, version }: CopyPlace): string => `${folder} (${version})`;

/** End of a sentence: several versions of ekiben are loaded, which may be the reason; `""` for a single version. */
export const versionsText = (versions: readonly string[]): string =>
  versions.length < 2
    ? ""
    : `; ${versions.length} versions of ekiben are loaded (${list(versions)}), and they share no state`;

/** Formats milliseconds for a message; short times keep two digits. */
export const formatMs = (ms: number): string => String(ms < 10 ? Number(ms.toPrecision(2)) : Math.round(ms));
