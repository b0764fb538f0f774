import type { ValueType } from "./value-types.js";

/** How far one value of an option reaches: the whole app, one service, or one api. */
export type OptionLevel = "app" | "service" | "api";

/** Where a value may come from, strongest first. This line is the order of precedence. */
export const sourceKinds = ["command line", "environment", "app file", "api", "service", "default"] as const;

/** One of the places a value may come from. */
export type SourceKind = (typeof sourceKinds)[number];

/** An api that takes or yields a `stream`: it may go on for as long as something moves. A durable `task`: it takes long. */
export type SpecialKind = "task" | "stream";

/** One row of the option table. `T` is the value once decided: one form, fixed unit. */
export interface Option<T = unknown> {
  /** As it stands in code and in the app file; `"http.maxBodyBytes"` is the field `maxBodyBytes` of `http`. */
  readonly name: string;
  /** A wider place (a service, the whole app) may set it too: as the default of everything below. */
  readonly level: OptionLevel;
  readonly type: ValueType<T>;
  readonly default: T;
  /** The defaults of apis of special kinds, where they are others. */
  readonly defaultsOf?: { readonly [K in SpecialKind]?: T };
  /** The default in words, where the value itself would not say it. */
  readonly defaultText?: string;
  /** Where it may be set, strongest first; the default is always there. */
  readonly sources: readonly SourceKind[];
  /** What it does, in one line. */
  readonly text: string;
}

/** The flag of an option: `"http.maxBodyBytes"` → `"http-max-body-bytes"`. */
export function flagOf(option: Option<any>): string {
  return option.name
    .replaceAll(".", "-")
    .replace(/[A-Z]/g, (letter) => `-${letter}`)
    .toLowerCase();
}

/** The environment variable of an option: `"http.maxBodyBytes"` → `"EKIBEN_HTTP_MAX_BODY_BYTES"`. */
export function variableOf(option: Option<any>): string {
  return `EKIBEN_${flagOf(option).replaceAll("-", "_").toUpperCase()}`;
}

/** The default as text, for help, docs and `ekiben options`. */
export function formatDefault(option: Option<any>): string {
  const text = option.defaultText ?? option.type.format(option.default);
  const others = Object.entries(option.defaultsOf ?? {}).map(
    ([kind, value]) => `; of a ${kind} ${option.type.format(value)}`,
  );
  return text + others.join("");
}

/** Where an option may be set, in words: `"command line, environment, app file, Service()"`. */
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
