import { isObject } from "../define/json-forms.js";
import type { SchemaMark } from "../define/schema-marks.js";
import {
  copyFolded,
  createFolded,
  type Folded,
  fitsKeywords,
  fold,
  mapValues,
  type RestOfFields,
  type Type,
  unread,
} from "./fold-type.js";
import { writeCanonical } from "./type-form.js";

// Types as lists of alternatives, each for values of one kind. References, unions and intersections are resolved here,
// so that code which compares types or tries values sees none.
//
// ALT1  An alternative says nothing that the type does not say: what is not understood is in its `checks`, as text.
// ALT2  Reading is bounded: of a type that unfolds without end, or into too many alternatives, one opaque is left.

interface Common {
  /** Constraints that are not understood, as texts. */
  readonly checks: readonly string[];
}

export interface NumberAlternative extends Common {
  readonly kind: "number";
  readonly isInteger: boolean;
  readonly min: number;
  readonly max: number;
  /** True when the bound itself is refused. */
  readonly isMinOpen: boolean;
  readonly isMaxOpen: boolean;
  readonly multiples: readonly number[];
}

export interface StringAlternative extends Common {
  readonly kind: "string";
  readonly minLength: number;
  readonly maxLength: number;
  readonly patterns: readonly string[];
  readonly formats: readonly string[];
}

export interface ListAlternative extends Common {
  readonly kind: "list";
  /** Types of the first items. */
  readonly first: readonly Type[];
  /** Type of further items. */
  readonly rest: Type;
  readonly minItems: number;
  readonly maxItems: number;
  readonly isUnique: boolean;
}

export interface FieldsAlternative extends Common {
  readonly kind: "fields";
  readonly fields: ReadonlyMap<string, Type>;
  readonly required: ReadonlySet<string>;
  /** Type of other fields; `dropped` when they are accepted and not kept, `refused` when there may be none. */
  readonly rest: RestOfFields;
  /** Type of the names of fields. */
  readonly names: Type;
}

export interface TensorAlternative extends Common {
  readonly kind: "tensor";
  readonly dtype: string;
  readonly shape: readonly (number | string)[];
  readonly onlyFinite: boolean;
}

export interface FileAlternative extends Common {
  readonly kind: "file";
  readonly contentTypes: readonly string[];
  readonly maxBytes: number;
}

export interface MapAlternative extends Common {
  readonly kind: "map";
  readonly keys: Type;
  readonly values: Type;
}

export interface SetAlternative extends Common {
  readonly kind: "set";
  readonly item: Type;
}

/** Values one by one: members of an enum, booleans, `null`. */
export interface ValuesAlternative extends Common {
  readonly kind: "values";
  /** Values by their canonical text. */
  readonly values: ReadonlyMap<string, unknown>;
}

export interface PlainAlternative extends Common {
  readonly kind: "any" | "nothing" | "date" | "bigint" | "bytes";
}

/** Values that only the library of the schema knows. */
export interface OpaqueAlternative extends Common {
  readonly kind: "opaque";
  readonly text: string;
}

/** One kind of values that a type accepts. */
export type Alternative =
  | NumberAlternative
  | StringAlternative
  | ListAlternative
  | FieldsAlternative
  | TensorAlternative
  | FileAlternative
  | MapAlternative
  | SetAlternative
  | ValuesAlternative
  | PlainAlternative
  | OpaqueAlternative;

/** Most alternatives of one type, besides single values. */
const maxAlternatives = 100;
/** Most characters by which large types are told apart. */
const maxText = 4096;
/** Most single values that are members of unions. */
const maxValues = 4096;
/** Most members of unions that are joined for one type. */
const maxSteps = 1024;
/** Most unions inside one another that are unfolded. */
const maxUnfolds = 64;

/** Alternatives of types that were read, by the numbers of their parts. */
const known = new WeakMap<object, Map<string, readonly Alternative[]>>();
const numbers = new WeakMap<object, number>();
let lastNumber = 0;

/** Steps that a comparison may still take. */
export interface Effort {
  left: number;
}

/**
 * Returns the alternatives of a type; an empty list for a type that no value fits.
 *
 * @param effort Pays for reading; a type for which it does not suffice is opaque.
 */
export function alternativesOf(type: Type, effort?: Effort): readonly Alternative[] {
  const first = type[0]?.json;
  if (!isObject(first)) return readAlternatives(type, effort);
  const kept = known.get(first) ?? new Map<string, readonly Alternative[]>();
  known.set(first, kept);
  const key = type.map(({ json }) => (isObject(json) ? numberOf(json) : String(json))).join(" ");
  const read = kept.get(key);
  if (read !== undefined) return read;
  const isAffordable = effort === undefined || effort.left >= maxSteps;
  const made = readAlternatives(type, effort);
  // A type that was too large for a comparison near its end is read again by the next one.
  if (isAffordable) kept.set(key, made);
  return made;
}

function numberOf(json: object): number {
  const number = numbers.get(json) ?? ++lastNumber;
  numbers.set(json, number);
  return number;
}

function readAlternatives(type: Type, effort: Effort | undefined): readonly Alternative[] {
  const found: Alternative[] = [];
  try {
    const folded = fold(type);
    const steps = { left: Math.min(maxSteps, effort?.left ?? maxSteps) };
    const given = steps.left;
    if (folded !== undefined) unfold(folded, new Set(), found, steps);
    if (effort !== undefined) effort.left -= given - steps.left;
  } catch (error) {
    if (!(error instanceof TooLarge)) throw error;
    if (effort !== undefined) effort.left -= maxSteps;
    // Without steps left, no text is needed: nothing more is proven.
    const isOver = effort !== undefined && effort.left <= 0;
    const text = isOver ? "" : writeCanonical(type.map(({ json }) => json)).slice(0, maxText);
    return [{ kind: "opaque", text: `a large type ${text}`, checks: isOver ? [unread("not compared")] : [] }];
  }
  return joinEnums(found);
}

/** Joins the values of all members of a union that are single values. */
function joinEnums(found: readonly Alternative[]): readonly Alternative[] {
  const [first, second] = found.filter(({ kind, checks }) => kind === "values" && checks.length === 0);
  if (first === undefined || second === undefined) return found;
  const isJoined = (own: Alternative): own is ValuesAlternative => own.kind === "values" && own.checks.length === 0;
  const values = new Map(found.filter(isJoined).flatMap((own) => [...own.values]));
  return [{ kind: "values", values, checks: [] }, ...found.filter((own) => !isJoined(own))];
}

class TooLarge extends Error {}

/** Joins a type with each member of its unions in turn. */
function unfold(folded: Folded, above: ReadonlySet<unknown>, found: Alternative[], steps: Effort): void {
  if (--steps.left < 0) throw new TooLarge();
  const [union, ...unions] = folded.unions;
  if (union === undefined) {
    found.push(...listAlternatives(folded));
    if (found.length > maxValues || countParts(found) > maxAlternatives) {
      throw new TooLarge();
    }
    return;
  }
  if (above.size > maxUnfolds) throw new TooLarge();
  for (const member of union) {
    // A union that has itself as a member gains nothing from it.
    if (above.has(member.json)) continue;
    const joined = fold([member], { ...copyFolded(folded), unions: [...unions] });
    if (joined !== undefined) unfold(joined, new Set([...above, member.json]), found, steps);
  }
}

const countParts = (found: readonly Alternative[]): number => found.filter(({ kind }) => kind !== "values").length;

function listAlternatives(folded: Folded): Alternative[] {
  const { mark, values, types } = folded;
  const checks = [...folded.checks].sort();
  if (mark?.type !== undefined) {
    if (values === undefined && types === undefined) return [readMarked(mark, folded, checks)];
    // JSON may stand for a tensor or a file, and nothing is known of what is opaque. Nothing else is both.
    if (!["tensor", "file", "opaque"].includes(mark.type)) return [];
    return [readMarked(mark, folded, [...checks, unread("a type of JSON as well")])];
  }
  if (values !== undefined) {
    const fitting = new Map([...values].filter(([, value]) => fitsKeywords(folded, value)));
    const { patterns } = folded.strings;
    const own = patterns.length === 0 ? checks : [...checks, unread(`patterns ${patterns.join(" ")}`)].sort();
    return fitting.size === 0 ? [] : [{ kind: "values", values: fitting, checks: own }];
  }
  if (types === undefined) {
    // Keywords without a type bind only values of their own type.
    const own = describeUntyped(folded);
    return [{ kind: "any", checks: own === undefined ? checks : [...checks, unread(own)].sort() }];
  }
  return types.flatMap((type) => listOfType(type, folded, checks));
}

function describeUntyped({ numbers, strings, lists, objects }: Folded): string | undefined {
  const plain = createFolded();
  const said = [numbers, strings, lists, { ...objects, fields: [...objects.fields], required: [...objects.required] }];
  const empty = [plain.numbers, plain.strings, plain.lists, { ...plain.objects, fields: [], required: [] }];
  const text = writeCanonical(said.map((part) => writeLimits(part)));
  return text === writeCanonical(empty.map((part) => writeLimits(part))) ? undefined : `keywords ${text}`;
}

const writeLimits = (part: object): string =>
  JSON.stringify(part, (key, value: unknown) =>
    key === "root" ? undefined : typeof value === "number" ? String(value) : value,
  );

function listOfType(type: string, folded: Folded, checks: readonly string[]): Alternative[] {
  switch (type) {
    case "null":
      return [{ kind: "values", values: mapValues([null]), checks }];
    case "boolean":
      return [{ kind: "values", values: mapValues([false, true]), checks }];
    case "number":
    case "integer":
      return [{ kind: "number", isInteger: type === "integer", ...folded.numbers, checks }];
    case "string":
      return [{ kind: "string", ...folded.strings, checks }];
    case "array":
      return [{ kind: "list", ...folded.lists, checks }];
    case "object":
      return [{ kind: "fields", ...folded.objects, checks }];
    default:
      return [{ kind: "opaque", text: `type ${type}`, checks }];
  }
}

function readMarked(mark: SchemaMark, { lists, objects }: Folded, checks: readonly string[]): Alternative {
  const { type } = mark;
  switch (type) {
    case "tensor":
      return {
        ...{ kind: "tensor", dtype: String(mark.dtype), onlyFinite: mark.finite === true, checks },
        shape: Array.isArray(mark.shape) ? mark.shape : [],
      };
    case "file":
      return {
        ...{
          kind: "file",
          checks,
          contentTypes: Array.isArray(mark.contentTypes) ? mark.contentTypes.map(String) : [],
        },
        maxBytes: typeof mark.maxBytes === "number" ? mark.maxBytes : Infinity,
      };
    case "map":
      return { kind: "map", keys: objects.names, values: typeof objects.rest === "string" ? [] : objects.rest, checks };
    case "set":
      return { kind: "set", item: lists.rest, checks };
    case "nothing":
    case "date":
    case "bigint":
    case "bytes":
      return { kind: type, checks };
    default:
      return { kind: "opaque", text: String(mark.of), checks };
  }
}
