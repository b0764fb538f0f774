import type { ValueType } from "./value-types.js";

/** Widest owner of an option: the whole app, one service, or one api. */
type OptionLevel = "app" | "service" | "api";

/** Kinds of source a value may come from, strongest first. This line is the order of precedence. */
export const sourceKinds = ["command line", "environment", "app file", "api", "service", "default"] as const;

/** One of the kinds of source a value may come from. */
export type SourceKind = (typeof sourceKinds)[number];

/** Kind of api with defaults of its own: a `stream` runs while items move, a durable `task` runs for long. */
export type SpecialKind = "task" | "stream";

/**
 * One row of the option table, as it is written there.
 *
 * `T` is the value once decided, in one form and one unit. `Code` is what authors may write. `Setting` is what the app
 * runs with; it differs from `T` only in rows that have `settle`.
 */
export interface OptionRow<T, Code, Setting> {
  readonly type: ValueType<T, Code>;
  readonly default: T;
  /** Defaults of apis of special kinds, for rows where they differ. */
  readonly defaultsOf?: { readonly [K in SpecialKind]?: T };
  /** Default in words, for rows whose `default` value would not say it. */
  readonly defaultText?: string;
  /**
   * True when a value for the whole app is only a default: values in code are stronger, and apis of special kinds keep
   * their own defaults. Values for one service or one api keep the usual order.
   */
  readonly isWeakAppWide?: true;
  /** Effect of the option, in one or two sentences. */
  readonly text: string;
  /** Sources that may set it; every source of its level when absent. */
  readonly sources?: readonly SourceKind[];
  /** Turns the decided value into the setting. `read` gives options that stand earlier in the table. */
  readonly settle?: (value: T, read: (option: string) => DecidedValue) => Setting;
}

/** Decided value of an option, and the source that won. */
export interface DecidedValue {
  readonly value: any;
  readonly source: SourceKind;
}

/** Rows of one level by field, and groups of rows: `{ port: row(…), http: { cors: row(…) } }`. */
export interface OptionTable {
  readonly [field: string]: OptionRow<any, any, any> | OptionTable;
}

/** One option: its row, and what follows from its place in the table. */
export interface Option<T = unknown> extends OptionRow<T, unknown, unknown> {
  /** Name in code and in the app file; `"http.maxBodyBytes"` is the field `maxBodyBytes` of `http`. */
  readonly name: string;
  /** Widest owner. A value set for a wider one (a service, the whole app) is the default of everything below. */
  readonly level: OptionLevel;
  /** Sources that may set it, strongest first. The default is always one more. */
  readonly sources: readonly SourceKind[];
}

/** Checks one row where it is written. */
export function row<T, Code, Setting = T>(
  type: ValueType<T, Code>,
  rest: Omit<OptionRow<NoInfer<T>, Code, Setting>, "type">,
): OptionRow<T, Code, Setting> {
  return { type, ...rest };
}

/** True for a row, false for a group of rows. */
export const isRow = (entry: OptionRow<any, any, any> | OptionTable): entry is OptionRow<any, any, any> =>
  typeof entry["text"] === "string";

/** Sources outside of the code. */
export const outsideSources: readonly SourceKind[] = ["command line", "environment", "app file"];

const sourcesByLevel: Readonly<Record<OptionLevel, readonly SourceKind[]>> = {
  app: outsideSources,
  service: [...outsideSources, "service"],
  api: [...outsideSources, "api", "service"],
};

/** Options of a table, in its order, those of a group with the group's name in front. */
export function listOptions(level: OptionLevel, table: OptionTable, group = ""): Option<any>[] {
  return Object.entries(table).flatMap(([field, entry]) => {
    const name = `${group}${field}`;
    return isRow(entry)
      ? [{ sources: sourcesByLevel[level], ...entry, name, level }]
      : listOptions(level, entry, `${name}.`);
  });
}

interface Named {
  readonly name: string;
}

/** Flag of an option: `"http.maxBodyBytes"` → `"http-max-body-bytes"`. */
export function flagOf({ name }: Named): string {
  return name
    .replaceAll(".", "-")
    .replace(/[A-Z]/g, (letter) => `-${letter}`)
    .toLowerCase();
}

/** Environment variable of an option: `"http.maxBodyBytes"` → `"EKIBEN_HTTP_MAX_BODY_BYTES"`. */
export function variableOf(option: Named): string {
  return `EKIBEN_${flagOf(option).replaceAll("-", "_").toUpperCase()}`;
}

/** Default as text, for help, docs and `ekiben options`. */
export function formatDefault({
  type,
  default: value,
  defaultText,
  defaultsOf = {},
}: OptionRow<any, any, any>): string {
  const others = Object.entries(defaultsOf).map(([kind, special]) => `; of a ${kind} ${type.format(special)}`);
  return (defaultText ?? type.format(value)) + others.join("");
}

/** Sources that may set an option, in words: `"command line, environment, app file, Service()"`. */
export function formatSources({ sources, level }: Option<any>): string {
  const words = {
    "command line": "command line",
    environment: "environment",
    "app file": level === "app" ? "app file (beside services, not in it)" : "app file",
    api: "api()",
    service: level === "app" ? "Service() of the entry service" : "Service()",
    default: "default",
  };
  return sources.map((source) => words[source]).join(", ");
}
