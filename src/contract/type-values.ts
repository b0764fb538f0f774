import { arrayByDType, countElements, type DType, isTensor, Tensor } from "../define/tensor.js";
import {
  type Alternative,
  alternativesOf,
  type Effort,
  type FieldsAlternative,
  type FileAlternative,
  type ListAlternative,
  type NumberAlternative,
  type StringAlternative,
  type TensorAlternative,
} from "./alternatives.js";
import { isUnread, type Type } from "./fold-type.js";
import { samplePattern } from "./sample-pattern.js";
import { writeCanonical } from "./type-form.js";

// Values of types: whether one fits, and examples of those that do.
//
// TV1  "yes" and "no" are certain for any value that `sampleOf` or `listSamples` makes. Everything else is "unknown".
// TV2  No pattern of a stranger runs unless the caller says so: one may need hours for a short text.

/** Answer to whether a value fits a type. */
export type Answer = "yes" | "no" | "unknown";

/** Settings of a comparison. */
export interface Trust {
  /** True when patterns in the contracts may be run, as on a command line of the contracts' own author. */
  readonly runsPatterns: boolean;
  /** Steps that may still be taken. A comparison without any left answers "unknown". */
  readonly effort: Effort;
  /** True to take functions and checks of an author for passed. */
  readonly ignoresChecks?: boolean;
}

/** Deepest value that is looked into. */
const maxDepth = 40;

/** Tells whether a value fits a type. */
export function fits(type: Type, value: unknown, trust: Trust, depth = 0): Answer {
  if (depth > maxDepth || --trust.effort.left < 0) return "unknown";
  return anyOf(alternativesOf(type, trust.effort).map((own) => fitsAlternative(own, value, trust, depth)));
}

function anyOf(answers: readonly Answer[]): Answer {
  if (answers.includes("yes")) return "yes";
  return answers.includes("unknown") ? "unknown" : "no";
}

function allOf(answers: readonly Answer[]): Answer {
  if (answers.includes("no")) return "no";
  return answers.includes("unknown") ? "unknown" : "yes";
}

const answer = (isFit: boolean): Answer => (isFit ? "yes" : "no");

/** Tells whether a value fits one alternative. */
export function fitsAlternative(own: Alternative, value: unknown, trust: Trust, depth = 0): Answer {
  const found = fitsKind(own, value, trust, depth);
  const isSure = own.checks.every((check) => trust.ignoresChecks === true && !isUnread(check));
  return found === "yes" && !isSure ? "unknown" : found;
}

function fitsKind(own: Alternative, value: unknown, trust: Trust, depth: number): Answer {
  const inner = (type: Type, part: unknown) => fits(type, part, trust, depth + 1);
  switch (own.kind) {
    case "any":
      return "yes";
    case "opaque":
      return "unknown";
    case "nothing":
      return answer(value === undefined);
    case "values":
      return answer(isJson(value) && own.values.has(writeCanonical(value)));
    case "number":
      return typeof value === "number" ? fitsNumber(own, value) : "no";
    case "string":
      return typeof value === "string" ? fitsString(own, value, trust) : "no";
    case "list":
      return Array.isArray(value) ? fitsList(own, value, inner) : "no";
    case "fields":
      if (isFields(value)) return fitsFields(own, value, inner);
      return isSpecial(value) && [...own.required].every((name) => name in (value as object)) ? "unknown" : "no";
    case "tensor":
      return isTensor(value) ? fitsTensor(own, value) : hasTensorForm(value) ? "unknown" : "no";
    case "file":
      return value instanceof Blob ? fitsFile(own, value) : isFields(value) ? "unknown" : "no";
    case "date":
      return value instanceof Date ? answer(!Number.isNaN(value.getTime())) : "no";
    case "bigint":
      return answer(typeof value === "bigint");
    case "bytes":
      return value instanceof Uint8Array ? "yes" : "no";
    case "map":
      return value instanceof Map
        ? allOf([...value].flatMap(([key, part]) => [inner(own.keys, key), inner(own.values, part)]))
        : isFields(value) || Array.isArray(value)
          ? "unknown"
          : "no";
    case "set":
      return value instanceof Set
        ? allOf([...value].map((part) => inner(own.item, part)))
        : Array.isArray(value)
          ? "unknown"
          : "no";
  }
}

/** True for a value that JSON has a notation for. */
function isJson(value: unknown): boolean {
  if (Array.isArray(value)) return value.every(isJson);
  if (isFields(value)) return Object.values(value).every(isJson);
  return value === null || typeof value === "string" || typeof value === "boolean" || Number.isFinite(value);
}

/** True for a plain object. */
function isFields(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

const isSpecial = (value: unknown): boolean => typeof value === "object" && value !== null && !Array.isArray(value);

/** True for JSON that may stand for a tensor. */
const hasTensorForm = (value: unknown): boolean => Array.isArray(value) || typeof value === "number" || isFields(value);

function fitsNumber(
  { isInteger, min, max, isMinOpen, isMaxOpen, multiples }: NumberAlternative,
  value: number,
): Answer {
  if (!Number.isFinite(value)) return "unknown";
  if (isInteger && !Number.isInteger(value)) return "no";
  if (isMinOpen ? value <= min : value < min) return "no";
  if (isMaxOpen ? value >= max : value > max) return "no";
  return allOf(multiples.map((multiple) => isMultiple(value, multiple)));
}

/** Largest number of which libraries agree whether it is a multiple of another. */
const maxDivided = 2 ** 40;

/** Fractions are rounded, so that only whole numbers of moderate size are certain. */
function isMultiple(value: number, of: number): Answer {
  const areWhole = Number.isInteger(value) && Number.isInteger(of) && of !== 0;
  if (areWhole && Math.abs(value) <= maxDivided) return answer(value % of === 0);
  return value === 0 ? "yes" : "unknown";
}

function fitsString(
  { minLength, maxLength, patterns, formats }: StringAlternative,
  value: string,
  trust: Trust,
): Answer {
  if (value.length < minLength || value.length > maxLength) return "no";
  const tested = patterns.map((pattern) => test(pattern, value, trust));
  // Libraries check a format by a pattern where they give one.
  const format = formats.length === 0 || patterns.length > 0 ? "yes" : fitsFormats(formats, value);
  return allOf([...tested, format]);
}

function fitsFormats(formats: readonly string[], value: string): Answer {
  return allOf(formats.map((format) => (format === "uri" && !URL.canParse(value) ? "no" : "unknown")));
}

/** Longest text that a pattern is run on, and longest pattern. */
const maxTested = 64;
const maxPattern = 2000;

function test(pattern: string, value: string, { runsPatterns, ignoresChecks }: Trust): Answer {
  if (!runsPatterns && ignoresChecks === true) return "yes";
  if (!runsPatterns || value.length > maxTested || pattern.length > maxPattern) return "unknown";
  try {
    return answer(new RegExp(pattern, /\\[pPu]\{/.test(pattern) ? "u" : "").test(value));
  } catch {
    return "unknown";
  }
}

type Inner = (type: Type, part: unknown) => Answer;

function fitsList(own: ListAlternative, value: readonly unknown[], inner: Inner): Answer {
  if (value.length < own.minItems || value.length > own.maxItems) return "no";
  const parts = value.map((item, index) => inner(own.first[index] ?? own.rest, item));
  return allOf(own.isUnique && value.length > 1 ? [...parts, "unknown"] : parts);
}

function fitsFields(
  { fields, required, rest, names }: FieldsAlternative,
  value: Readonly<Record<string, unknown>>,
  inner: Inner,
): Answer {
  const answers: Answer[] = [...required].map((name) => answer(Object.hasOwn(value, name)));
  for (const [name, part] of Object.entries(value)) {
    const type = fields.get(name);
    if (type !== undefined) {
      // Whether an absent field may also be there as `undefined` differs between libraries.
      answers.push(part === undefined && !required.has(name) ? "unknown" : inner(type, part));
    } else if (rest !== "dropped") answers.push(rest === "refused" ? "no" : inner(rest, part));
    answers.push(inner(names, name));
  }
  return allOf(answers);
}

function fitsTensor({ dtype, shape, onlyFinite }: TensorAlternative, value: Tensor): Answer {
  if (value.dtype !== dtype || value.shape.length !== shape.length) return "no";
  if (!shape.every((size, axis) => typeof size === "string" || size === value.shape[axis])) return "no";
  return answer(!onlyFinite || dtype.includes("int") || [...(value.data as Float32Array)].every(Number.isFinite));
}

function fitsFile({ contentTypes, maxBytes }: FileAlternative, value: Blob): Answer {
  if (value.size > maxBytes) return "no";
  return answer(contentTypes.length === 0 || contentTypes.some((pattern) => coversType(pattern, value.type)));
}

/** True when each media type that fits `inner` fits `pattern` too: `image/*` covers `image/png`. */
export function coversType(pattern: string, inner: string): boolean {
  return pattern === "*/*" || pattern === inner || (pattern.endsWith("/*") && inner.startsWith(pattern.slice(0, -1)));
}

/** Stands for the sample of a type that none is found for. */
export const noSample: unique symbol = Symbol("no sample");

/** Deepest sample that is made; types that contain themselves have smaller ones. */
const maxSampleDepth = 12;

/** Settings of samples. */
export interface SampleSettings extends Trust {
  /** Size of a tensor's axis with a name. Default 1. */
  readonly sizeOf?: (path: string, axis: number) => number;
  /** Further lengths of lists to try. */
  readonly lengths?: readonly number[];
}

/** Makes a small value that fits a type; `noSample` if none is found. */
export function sampleOf(type: Type, settings: SampleSettings, path = "", depth = 0): unknown {
  if (depth > maxSampleDepth || --settings.effort.left < 0) return noSample;
  for (const own of alternativesOf(type, settings.effort)) {
    const value = sampleAlternative(own, settings, path, depth);
    if (value !== noSample) return value;
  }
  return noSample;
}

/** Makes a small value that fits one alternative. Checks that are not understood are left aside. */
export function sampleAlternative(own: Alternative, settings: SampleSettings, path = "", depth = 0): unknown {
  const inner = (type: Type, step: string) => sampleOf(type, settings, path + step, depth + 1);
  switch (own.kind) {
    case "list": {
      const items = Array.from({ length: Math.min(own.minItems, 100) }, (_, i) =>
        inner(own.first[i] ?? own.rest, `[${i}]`),
      );
      return own.minItems > 100 || items.includes(noSample) ? noSample : items;
    }
    case "fields": {
      const value: Record<string, unknown> = {};
      for (const name of own.required) {
        const part = own.fields.get(name) ?? (typeof own.rest === "string" ? [] : own.rest);
        const made = inner(part, `.${name}`);
        if (made === noSample) return noSample;
        Object.defineProperty(value, name, { value: made, enumerable: true, writable: true, configurable: true });
      }
      return value;
    }
    case "tensor":
      return createTensor(own, (axis) => settings.sizeOf?.(path, axis) ?? 1);
    default:
      return samplePlain(own, settings);
  }
}

/** Makes a sample of a value without parts. Where no pattern runs, it is one that the pattern probably matches. */
function samplePlain(own: Alternative, settings: SampleSettings): unknown {
  if (own.kind === "nothing") return undefined;
  const trust = { ...settings, ignoresChecks: true };
  const found = listPlain(own).find((value) => fitsKind(own, value, trust, 0) === "yes");
  return found === undefined ? noSample : found;
}

/** Most elements of a sample tensor. */
const maxElements = 100_000;

function createTensor({ dtype, shape }: TensorAlternative, sizeOf: (axis: number) => number, element = 0): unknown {
  const sizes = shape.map((size, axis) => (typeof size === "string" ? sizeOf(axis) : size));
  const array = Object.hasOwn(arrayByDType, dtype) ? arrayByDType[dtype as DType] : undefined;
  const count = countElements(sizes);
  if (array === undefined || count > maxElements) return noSample;
  const data = new array(count);
  if (element !== 0) (data as Float32Array).fill(element);
  return new Tensor(dtype as DType, sizes, data as never);
}

const texts = [
  ...["", "a", "abc", "A", "0", "1", "12", "-1", "true", " ", "a b", "!", "é", "abc123", "a-b", "a_b", "hello world"],
  ...["a@b.co", "https://example.com/", "2024-02-29T12:00:00Z", "2024-02-29", "12:00:00", "P1D", "127.0.0.1", "::1"],
  ...["f47ac10b-58cc-4372-a567-0e02b2c3d479", "00000000-0000-0000-0000-000000000000", "aGVsbG8=", "deadbeef", "YQ"],
  ...[
    "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "cjld2cjxh0000qzrmn831i7rn",
    "+12125551234",
    "10.0.0.0/8",
    "😀",
    "V1StGXR8_Z5jdHi6B-myT",
  ],
];

/** Longest text of a sample. */
const maxText = 20_000;

/** Most members of an enum that are tried. */
const maxMembers = 1000;

/** Lists values of one kind of those that have no parts, around the limits of an alternative. */
function listPlain(own: Alternative): unknown[] {
  switch (own.kind) {
    case "any":
      return [null, "a", 0];
    case "values":
      return [...own.values.values()].slice(0, maxMembers);
    case "number": {
      const { min, max, multiples } = own;
      const bounds = [min, max].filter(Number.isFinite).flatMap((at) => [at, at - 1, at + 1, at - 0.5, at + 0.5]);
      const steps = multiples.flatMap((step) => [step, -step, step / 2, step * 3]);
      return [0, 1, -1, ...bounds, ...steps, 0.5, 1000, -1000, 1.5, 2 ** 40, -(2 ** 40), 2 ** 53];
    }
    case "string": {
      const { minLength, maxLength, patterns } = own;
      const made = patterns.flatMap((pattern) => samplePattern(pattern) ?? []);
      const lengths = [minLength, minLength - 1, minLength + 1, maxLength, maxLength - 1, maxLength + 1];
      const sized = lengths.filter((length) => length >= 0 && length <= maxText).map((length) => "a".repeat(length));
      return [...made, ...texts, ...sized];
    }
    case "file": {
      const types = own.contentTypes.length === 0 ? ["application/octet-stream"] : own.contentTypes;
      const names = types.map((type) => type.replace("*/*", "text/plain").replace("/*", "/x-any"));
      const sizes = [1, own.maxBytes, own.maxBytes + 1].filter((size) => size <= maxText);
      return names.flatMap((type) => sizes.map((size) => new File([new Uint8Array(size)], "file", { type })));
    }
    case "date":
      return [new Date(0)];
    case "bigint":
      return [0n];
    case "bytes":
      return [new Uint8Array(1)];
    case "map":
      return [new Map()];
    case "set":
      return [new Set()];
    default:
      return [];
  }
}

/** Lists values that fit a type, or nearly: small ones, ones at the limits, ones with each part. */
export function listSamples(type: Type, settings: SampleSettings): unknown[] {
  return alternativesOf(type, settings.effort).flatMap((own) => listOfAlternative(own, settings));
}

/** Lists values that fit one alternative, or nearly. */
export function listOfAlternative(own: Alternative, settings: SampleSettings): unknown[] {
  if (--settings.effort.left < 0) return [];
  const least = sampleAlternative(own, settings);
  const first = least === noSample ? [] : [least];
  switch (own.kind) {
    case "fields":
      return [...first, ...first.flatMap((value) => listObjects(own, value as Record<string, unknown>, settings))];
    case "list":
      return [...first, ...listLists(own, settings)];
    case "tensor":
      return [0, 1, 0.5, 200, -1, 70_000, Number.NaN].flatMap((element) =>
        [1, 2].map((size) => sampleTensor(own, size, element)),
      );
    case "map": {
      const [key, value] = [sampleOf(own.keys, settings), sampleOf(own.values, settings)];
      return key === noSample || value === noSample ? first : [...first, new Map([[key, value]])];
    }
    case "set": {
      const item = sampleOf(own.item, settings);
      return item === noSample ? first : [...first, new Set([item])];
    }
    case "nothing":
      return [undefined];
    default:
      return listPlain(own);
  }
}

const sampleTensor = (own: TensorAlternative, size: number, element: number): unknown =>
  own.dtype === "int64" ? createTensor(own, () => size) : createTensor(own, () => size, element);

/** Most optional fields that are tried one by one. */
const maxFields = 24;

function listObjects(
  own: FieldsAlternative,
  least: Readonly<Record<string, unknown>>,
  settings: SampleSettings,
): unknown[] {
  const optional = [...own.fields].filter(([name]) => !own.required.has(name)).slice(0, maxFields);
  const withEach = optional.flatMap(([name, type]) => {
    const made = sampleOf(type, settings, `.${name}`, 1);
    return made === noSample ? [] : [{ ...least, [name]: made }];
  });
  const extra = typeof own.rest === "string" ? noSample : sampleOf(own.rest, settings, ".other", 1);
  const others = extra === noSample ? [] : ["other", "0", "a b"].map((name) => ({ ...least, [name]: extra }));
  return [...withEach, Object.assign({}, least, ...withEach), ...others];
}

function listLists({ first, rest, minItems, maxItems }: ListAlternative, settings: SampleSettings): unknown[] {
  const lengths = [
    0,
    1,
    2,
    minItems,
    minItems + 1,
    maxItems,
    first.length,
    first.length + 1,
    ...(settings.lengths ?? []),
  ];
  const whole = [...new Set(lengths)].filter((length) => length >= minItems && length <= Math.min(maxItems, 1000));
  return whole.flatMap((length) => {
    const items = Array.from({ length }, (_, i) => sampleOf(first[i] ?? rest, settings, `[${i}]`, 1));
    return items.includes(noSample) ? [] : [items];
  });
}
