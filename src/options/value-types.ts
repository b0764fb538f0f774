import { namePattern } from "../base/name-pattern.js";
import { isSecret, type Secret } from "./secret.js";

/**
 * Type of an option's value: reads it from code and from text, and writes it for people.
 *
 * `T` is the value once read, in one form and one unit. `Code` is the type of what authors may write for it.
 */
export interface ValueType<T, Code = T> {
  /** Description of a valid value; completes the sentence "expected …". */
  readonly expected: string;
  /** Stands for the value in help: `"<ms>"`. */
  readonly placeholder: string;
  /** Unit of a value once read; `""` for a value without unit. */
  readonly unit: string;
  /** Reads a value from code or an app file; `undefined` when it is invalid. */
  readonly fromCode: (value: unknown) => T | undefined;
  /** Reads a value from a flag or an environment variable; `undefined` when it is invalid. */
  readonly fromText: (text: string) => T | undefined;
  /** Writes a value as people read it. */
  readonly format: (value: T) => string;
  /** True when a value may hold a password: messages and reports show only what `format` returns. */
  readonly isSecret?: boolean;
  /** Carries `Code` for the compiler; never set. */
  readonly code?: Code;
}

/** Longest delay of the platform's timers: 2^31 - 1 ms, nearly 25 days. */
const longestMs = 2 ** 31 - 1;

interface IntegerRange {
  readonly unit?: string;
  readonly placeholder?: string;
  readonly min: number;
  readonly max?: number;
}

/** A whole number between two bounds, both included. */
export function integer({ unit = "", placeholder = "<n>", min, max }: IntegerRange): ValueType<number> {
  const fromCode = (value: unknown) =>
    Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= (max ?? Number.MAX_SAFE_INTEGER)
      ? (value as number)
      : undefined;
  return {
    expected: `a whole number${unit === "" ? "" : ` of ${unit}`} ${max === undefined ? `from ${min}` : `from ${min} to ${max}`}`,
    placeholder,
    unit,
    fromCode,
    fromText: (text) => (/^\d{1,16}$/.test(text) ? fromCode(Number(text)) : undefined),
    format: (value) => (value === Number.POSITIVE_INFINITY ? "none" : unit === "ms" ? `${value} ms` : String(value)),
  };
}

/** Time in whole milliseconds. */
export const milliseconds = (min: number): ValueType<number> =>
  integer({ unit: "ms", placeholder: "<ms>", min, max: longestMs });

/** Value of another type, or one word in its place. */
export function orWord<T, Code, const W extends string>(word: W, type: ValueType<T, Code>): ValueType<T | W, Code | W> {
  const read = (value: unknown, other: (value: never) => T | undefined) =>
    value === word ? word : other(value as never);
  return {
    expected: `"${word}", or ${type.expected}`,
    placeholder: `${word}|${type.placeholder}`,
    unit: type.unit,
    fromCode: (value) => read(value, type.fromCode),
    fromText: (text) => read(text, type.fromText),
    format: (value) => (value === word ? word : type.format(value as T)),
  };
}

/** One of a few words. */
export function choice<const T extends string>(words: readonly T[]): ValueType<T> {
  const fromCode = (value: unknown) => words.find((word) => word === value);
  const quoted = words.map((word) => JSON.stringify(word));
  return {
    expected: `${quoted.slice(0, -1).join(", ")} or ${quoted.at(-1)}`,
    placeholder: words.join("|"),
    unit: "",
    fromCode,
    fromText: fromCode,
    format: (value) => value,
  };
}

/** `true` or `false`; as text also `1`, `0`, `yes`, `no`, `on`, `off`. */
export const bool: ValueType<boolean> = {
  expected: "true or false",
  placeholder: "true|false",
  unit: "",
  fromCode: (value) => (typeof value === "boolean" ? value : undefined),
  fromText: (text) => {
    if (/^(true|1|yes|on)$/i.test(text)) return true;
    return /^(false|0|no|off)$/i.test(text) ? false : undefined;
  },
  format: String,
};

/** Any text. */
export const anyText: ValueType<string> = {
  expected: "a text",
  placeholder: "<text>",
  unit: "",
  fromCode: (value) => (typeof value === "string" ? value : undefined),
  fromText: (text) => text,
  format: (value) => (value === "" ? "(none)" : value),
};

/** Text without spaces and not empty: an address, a name. */
export function words(expected: string, placeholder: string): ValueType<string> {
  const fromText = (text: string) => (/^\S+$/.test(text) ? text : undefined);
  return {
    ...anyText,
    expected,
    placeholder,
    fromCode: (value) => (typeof value === "string" ? fromText(value) : undefined),
    fromText,
  };
}

/** Names and texts: `{ team: "vision" }`. Has no text form: flags and variables can't set it. */
export const textRecord: ValueType<Readonly<Record<string, string>>> = recordOf(
  "an object whose values are texts",
  (entry) => typeof entry === "string",
);

/** Environment variables: texts, or secrets, which are printed as `***`. */
export const variables: ValueType<Readonly<Record<string, string | Secret>>> = recordOf(
  'an object whose values are texts, or secret("NAME")',
  (entry) => typeof entry === "string" || isSecret(entry),
);

function recordOf<T>(expected: string, isEntry: (entry: unknown) => boolean): ValueType<Readonly<Record<string, T>>> {
  return {
    expected,
    placeholder: "",
    unit: "",
    fromCode: (value) => {
      if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
      return Object.values(value).every(isEntry) ? { ...(value as Record<string, T>) } : undefined;
    },
    fromText: () => undefined,
    format: (value) => {
      const entries = Object.entries(value);
      return entries.length === 0 ? "(none)" : entries.map(([name, text]) => `${name}=${text}`).join(" ");
    },
  };
}

/** Path of a folder; `""` stands for the usual one, which `usual` names. */
export function folder(usual: string): ValueType<string> {
  return { ...anyText, expected: "the path of a folder", placeholder: "<folder>", format: (value) => value || usual };
}

/** Address of this machine; `""` stands for the usual one, which `usual` names. */
export function addressOr(usual: string): ValueType<string> {
  const expected = "an address or a host name";
  return { ...anyText, expected, placeholder: "<address>", format: (value) => value || usual };
}

/** Name in a shared store; `""` stands for the usual one, which `usual` names. */
export function namespace(usual: string): ValueType<string> {
  const read = (text: unknown) => (typeof text === "string" && /^[\w@./:+-]{0,200}$/.test(text) ? text : undefined);
  return {
    expected: "at most 200 letters, digits and @ . / : + - _",
    placeholder: "<name>",
    unit: "",
    fromCode: read,
    fromText: read,
    format: (value) => value || usual,
  };
}

/** One replica to debug. */
export interface InspectTarget {
  readonly service: string;
  readonly index: number;
  /** Port of its inspector on 127.0.0.1; 0 takes a free one. */
  readonly port: number;
}

const inspectPattern = new RegExp(`^(${namePattern})(?:#(\\d{1,6}))?(?:=(\\d{1,5}))?$`, "u");

/** Replicas to debug, several with commas: `"Model#0"`, `"Model"` for its first one, `"Model#0=9230"` with a port. */
export const inspectTargets: ValueType<readonly InspectTarget[], string | readonly string[]> = {
  expected: "replicas such as Model#0, or Model#0=9230 with a port, joined by commas",
  placeholder: "<replica>[=<port>]",
  unit: "",
  fromCode: (value) => {
    const parts: readonly unknown[] = Array.isArray(value) ? value : [value];
    return parts.every((part) => typeof part === "string") ? readInspectTargets(parts) : undefined;
  },
  fromText: (text) => readInspectTargets(text.split(",")),
  format: (targets) => targets.map(formatInspectTarget).join(",") || "none",
};

function readInspectTargets(parts: readonly string[]): readonly InspectTarget[] | undefined {
  const targets = parts.map((part) => {
    const [whole, service = "", index = "0", port = "0"] = inspectPattern.exec(part) ?? [];
    return whole === undefined || Number(port) > 65_535
      ? undefined
      : { service, index: Number(index), port: Number(port) };
  });
  return targets.every((target) => target !== undefined) ? targets : undefined;
}

const formatInspectTarget = ({ service, index, port }: InspectTarget): string =>
  `${service}#${index}${port === 0 ? "" : `=${port}`}`;

/** `"sqlite"`, or the URL of a PostgreSQL database. */
export const storeUrl: ValueType<string, string | Secret> = {
  expected: '"sqlite", or a URL such as postgres://user:password@host/database, or secret("NAME") for one',
  placeholder: "sqlite|<url>",
  unit: "",
  isSecret: true,
  fromCode: (value) => {
    const given = isSecret(value) ? value.value() : value;
    return typeof given === "string" ? storeUrl.fromText(given) : undefined;
  },
  fromText: (text) =>
    text === "sqlite" || (/^postgres(ql)?:\/\//.test(text) && URL.canParse(text)) ? text : undefined,
  format: (value) => (value === "sqlite" ? value : formatStoreUrl(value)),
};

/** Hides the password of a URL, and all its parameters, which may hold one too. */
function formatStoreUrl(value: string): string {
  const url = new URL(value);
  if (url.password !== "") url.password = "***";
  url.search = "";
  return url.href;
}

/** Number of bytes, as a number or as `"16MiB"`; whole and at least `min`. */
export function size(min: number, mayBeInfinite = false): ValueType<number, number | string> {
  const inRange = (bytes: number | undefined) => {
    if (bytes === undefined || bytes < min) return undefined;
    return Number.isSafeInteger(bytes) || (mayBeInfinite && bytes === Number.POSITIVE_INFINITY) ? bytes : undefined;
  };
  return {
    expected: `a size of at least ${formatBytes(min)}: bytes, or "512Mi", "2GiB"${mayBeInfinite ? "; Infinity for no bound" : ""}`,
    placeholder: "<size>",
    unit: "bytes",
    fromCode: (value) =>
      inRange(typeof value === "number" ? value : typeof value === "string" ? parseSize(value) : undefined),
    fromText: (text) => inRange(parseSize(text)),
    format: formatBytes,
  };
}

/** Cores: `2`, `0.5`, or thousandths as `"500m"`. */
export const cores: ValueType<number, number | string> = {
  expected: 'a number of cores above 0: 2, 0.5, or thousandths as "500m"',
  placeholder: "<cores>",
  unit: "cores",
  fromCode: (value) => (typeof value === "string" ? cores.fromText(value) : positive(value)),
  fromText: (text) => {
    if (/^\d{1,9}m$/.test(text)) return positive(Number(text.slice(0, -1)) / 1000);
    return /^\d{1,6}(\.\d{1,3})?$/.test(text) ? positive(Number(text)) : undefined;
  },
  format: String,
};

const positive = (value: unknown) =>
  typeof value === "number" && value > 0 && Number.isFinite(value) ? value : undefined;

/** Devices: a whole number, or a fraction of one. */
export const devices: ValueType<number> = {
  expected: "a whole number of devices, or a fraction below 1 that shares one",
  placeholder: "<n>",
  unit: "devices",
  fromCode: (value) =>
    typeof value === "number" && value >= 0 && (value < 1 || Number.isSafeInteger(value)) ? value : undefined,
  fromText: (text) => (/^\d{1,6}(\.\d{1,6})?$/.test(text) ? devices.fromCode(Number(text)) : undefined),
  format: String,
};

const mostDeviceId = 9999;

/** Ids of devices, each once, or `"auto"`; as text `0,1`, or `none` for an empty list. */
export const deviceIds: ValueType<"auto" | readonly number[]> = {
  expected: '"auto", or ids of devices, each once: [0, 1], as text 0,1 or none',
  placeholder: "auto|none|<id,…>",
  unit: "",
  fromCode: (value) => {
    if (value === "auto") return value;
    return Array.isArray(value) && value.every(isDeviceId) && new Set(value).size === value.length
      ? [...value]
      : undefined;
  },
  fromText: (text) => {
    if (text === "auto") return text;
    if (text === "none") return [];
    return /^\d+( *, *\d+)*$/.test(text) ? deviceIds.fromCode(text.split(",").map(Number)) : undefined;
  },
  format: (value) => {
    if (typeof value === "string") return value;
    return value.length === 0 ? "none" : value.join(",");
  },
};

const isDeviceId = (value: unknown) =>
  Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= mostDeviceId;

/** Number of replicas; `min` equals `max` for a fixed number. */
export interface ReplicaRange {
  readonly min: number;
  readonly max: number;
  /** Calls in flight for which one replica is meant; more start another replica. */
  readonly targetInFlight: number;
}

/** Number of replicas as authors write it: fixed, or a range. */
export type Replicas = number | { readonly min: number; readonly max: number; readonly targetInFlight?: number };

const defaultTargetInFlight = 8;
const mostReplicas = 10_000;

/** `4`, or `{ min: 1, max: 4, targetInFlight: 8 }`; as text `4` or `1..4`. */
export const replicaRange: ValueType<ReplicaRange, Replicas> = {
  expected: "a whole number from 1, or { min, max, targetInFlight? } with 1 <= min <= max; as text 4 or 1..4",
  placeholder: "<n>|<min>..<max>",
  unit: "",
  fromCode: (value) => {
    if (typeof value === "number") return toRange(value, value);
    if (typeof value !== "object" || value === null) return undefined;
    const { min, max, targetInFlight, ...rest } = value as Record<string, unknown>;
    return Object.keys(rest).length === 0 ? toRange(min, max, targetInFlight) : undefined;
  },
  fromText: (text) => {
    const parts = /^(\d{1,6})(?:\.\.(\d{1,6}))?$/.exec(text);
    return parts === null ? undefined : toRange(Number(parts[1]), Number(parts[2] ?? parts[1]));
  },
  format: ({ min, max, targetInFlight }) =>
    min === max ? String(min) : `${min}..${max}, ${targetInFlight} in flight each`,
};

function toRange(
  min: unknown,
  max: unknown,
  targetInFlight: unknown = defaultTargetInFlight,
): ReplicaRange | undefined {
  const isCount = (value: unknown): value is number =>
    Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= mostReplicas;
  return isCount(min) && isCount(max) && isCount(targetInFlight) && min <= max
    ? { min, max, targetInFlight }
    : undefined;
}

const steps = ["", "k", "m", "g", "t"];

/**
 * Reads a size such as `"16MiB"`, `"2Gi"`, `"500MB"` or `"1048576"`: `Ki`, `Mi`, `Gi`, `Ti` are powers of 1024, without
 * the `i` powers of 1000. A final `B` and the case change nothing. `"Infinity"` is no limit.
 *
 * @returns `undefined` when the text is not a size. The result may have a fraction: `"0.3B"`.
 */
function parseSize(text: string): number | undefined {
  if (text === "Infinity") return Number.POSITIVE_INFINITY;
  const parts = /^(\d{1,16}(?:\.\d{1,6})?)\s*(?:([kmgt])(i)?)?b?$/i.exec(text.trim());
  if (parts === null) return undefined;
  const [, count, step = "", binary] = parts;
  return Number(count) * (binary === undefined ? 1000 : 1024) ** steps.indexOf(step.toLowerCase());
}

/** Formats bytes for people: `"16 MiB"`, `"1500 bytes"`. Exact: a size that no unit divides stays in bytes. */
function formatBytes(bytes: number): string {
  if (bytes === Number.POSITIVE_INFINITY) return "no bound";
  for (let step = steps.length - 1; step > 0; step--) {
    const unit = 1024 ** step;
    if (bytes >= unit && bytes % unit === 0) return `${bytes / unit} ${steps[step]?.toUpperCase()}iB`;
  }
  return `${bytes} ${bytes === 1 ? "byte" : "bytes"}`;
}
