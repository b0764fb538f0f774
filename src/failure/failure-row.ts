import type { Code } from "./codes.js";

/** One row of the failure table. `D` is what its text names; it is also what the caller gets as `details`. */
export interface FailureRow<D> {
  readonly code: Code;
  /** What happened, with the numbers. */
  readonly text: (details: D) => string;
  /** What to do about it. */
  readonly fix: string;
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
