import {
  type Alternative,
  alternativesOf,
  type FieldsAlternative,
  type FileAlternative,
  type ListAlternative,
  type NumberAlternative,
  type StringAlternative,
  type TensorAlternative,
} from "./alternatives.js";
import type { Type } from "./fold-type.js";
import { coversType, fitsAlternative, type Trust } from "./type-values.js";

// Proofs that every value of one type fits another.
//
// IS1  True is a proof, as far as the checks of both sides that are not understood do what they did: they count as
//      equal when their texts are. False says only that none was found.
// IS2  Types that contain themselves are compared by assuming what is to be shown, which is sound for values of
//      finite depth.

/** Deepest nesting that is compared. */
const maxDepth = 64;
/** Most values of a field by which an object is cut into parts. */
const maxCuts = 64;

/** True when every value of `inner` is proven to fit `outer`. */
export function isSubtype(inner: Type, outer: Type, trust: Trust): boolean {
  return new Proof(trust).covers(inner, outer, 0);
}

/** True when every value of one alternative is proven to fit another. */
export const isSubAlternative = (inner: Alternative, outer: Alternative, trust: Trust): boolean =>
  new Proof(trust).coversOne(inner, outer, 0);

class Proof {
  readonly #trust: Trust;
  /** Pairs of types that are being compared, or that fit if those do. */
  readonly #assumed = new Map<unknown, Set<unknown>>();
  /** The same pairs, in the order in which they were assumed. */
  readonly #order: (readonly [unknown, unknown])[] = [];

  constructor(trust: Trust) {
    this.#trust = trust;
  }

  covers(inner: Type, outer: Type, depth: number): boolean {
    if (outer.length === 0) return true;
    if (depth > maxDepth || --this.#trust.effort.left < 0) return false;
    const isPlain = inner.length === 1 && outer.length === 1;
    if (!isPlain) return this.#coversAll(inner, outer, depth);
    const [a, b] = [inner[0]?.json, outer[0]?.json];
    if (a === b || this.#assumed.get(a)?.has(b) === true) return true;
    const before = this.#order.length;
    this.#assume(a, b);
    const isCovered = this.#coversAll(inner, outer, depth);
    if (!isCovered) this.#forget(before);
    return isCovered;
  }

  #assume(a: unknown, b: unknown): void {
    this.#assumed.set(a, (this.#assumed.get(a) ?? new Set()).add(b));
    this.#order.push([a, b]);
  }

  /** Takes back a pair that does not fit, and all that was found while it was assumed to. */
  #forget(before: number): void {
    for (const [a, b] of this.#order.splice(before)) this.#assumed.get(a)?.delete(b);
  }

  #coversAll(inner: Type, outer: Type, depth: number): boolean {
    const { effort } = this.#trust;
    const outers = alternativesOf(outer, effort);
    return alternativesOf(inner, effort).every((own) => this.#isCovered(own, outers, depth));
  }

  #isCovered(own: Alternative, outers: readonly Alternative[], depth: number): boolean {
    if (outers.some((outer) => this.coversOne(own, outer, depth))) return true;
    if (own.kind === "values") {
      return [...own.values].every(([text, value]) => {
        const single: Alternative = { ...own, values: new Map([[text, value]]) };
        return outers.some((outer) => this.coversOne(single, outer, depth));
      });
    }
    if (own.kind !== "fields") return false;
    // Each member of a union may cover the objects with one value of a field.
    const parts = this.#cutByField(own, outers);
    return parts?.every((part) => outers.some((outer) => this.coversOne(part, outer, depth))) === true;
  }

  #cutByField(own: FieldsAlternative, outers: readonly Alternative[]): FieldsAlternative[] | undefined {
    for (const name of own.required) {
      const values = valuesOf(own.fields.get(name));
      if (values === undefined || values.length < 2 || values.length > maxCuts) continue;
      const isTold = outers.some((outer) => outer.kind === "fields" && valuesOf(outer.fields.get(name)) !== undefined);
      if (!isTold) continue;
      return values.map((value) => {
        const json = { enum: [value] };
        return { ...own, fields: new Map(own.fields).set(name, [{ json, root: json }]) };
      });
    }
    return undefined;
  }

  /** True when every value of one alternative fits another. */
  coversOne(inner: Alternative, outer: Alternative, depth: number): boolean {
    if (--this.#trust.effort.left < 0) return false;
    if (!outer.checks.every((check) => inner.checks.includes(check))) return false;
    if (outer.kind === "any") return true;
    if (inner.kind === "values") {
      if (outer.kind === "values") return [...inner.values.keys()].every((text) => outer.values.has(text));
      const understood = { ...outer, checks: [] };
      return [...inner.values.values()].every((value) => fitsAlternative(understood, value, this.#trust) === "yes");
    }
    if (inner.kind !== outer.kind) return false;
    return this.#coversKind(inner, outer, depth);
  }

  #coversKind(inner: Alternative, outer: Alternative, depth: number): boolean {
    switch (inner.kind) {
      case "number":
        return coversNumber(inner, outer as NumberAlternative);
      case "string":
        return coversString(inner, outer as StringAlternative);
      case "tensor":
        return coversTensor(inner, outer as TensorAlternative);
      case "file":
        return coversFile(inner, outer as FileAlternative);
      case "list":
        return this.#coversList(inner, outer as ListAlternative, depth + 1);
      case "fields":
        return this.#coversFields(inner, outer as FieldsAlternative, depth + 1);
      case "map": {
        const { keys, values } = outer as typeof inner;
        return this.covers(inner.keys, keys, depth + 1) && this.covers(inner.values, values, depth + 1);
      }
      case "set":
        return this.covers(inner.item, (outer as typeof inner).item, depth + 1);
      case "opaque":
        return inner.text === (outer as typeof inner).text && inner.checks.length === outer.checks.length;
      default:
        return true;
    }
  }

  #coversList(inner: ListAlternative, outer: ListAlternative, depth: number): boolean {
    if (inner.minItems < outer.minItems || inner.maxItems > outer.maxItems) return false;
    if (outer.isUnique && !inner.isUnique && inner.maxItems > 1) return false;
    const length = Math.min(Math.max(inner.first.length, outer.first.length), inner.maxItems);
    for (let i = 0; i < length; i++) {
      if (!this.covers(inner.first[i] ?? inner.rest, outer.first[i] ?? outer.rest, depth)) return false;
    }
    return inner.maxItems <= length || this.covers(inner.rest, outer.rest, depth);
  }

  #coversFields(inner: FieldsAlternative, outer: FieldsAlternative, depth: number): boolean {
    if (![...outer.required].every((name) => inner.required.has(name))) return false;
    for (const name of new Set([...inner.fields.keys(), ...outer.fields.keys(), ...inner.required])) {
      const [from, to] = [fieldOf(inner, name, true), fieldOf(outer, name, false)];
      if (from === "absent") continue;
      if (to === "absent" || !this.covers(from, to, depth)) return false;
      if (!this.#coversName(inner, outer, name)) return false;
    }
    if (typeof inner.rest === "string") return true;
    if (outer.rest === "refused" || !this.covers(inner.names, outer.names, depth)) return false;
    return outer.rest === "dropped" || this.covers(inner.rest, outer.rest, depth);
  }

  #coversName(inner: FieldsAlternative, { names }: FieldsAlternative, name: string): boolean {
    const json = { enum: [name] };
    return this.covers(inner.names, names, 0) || this.covers([{ json, root: json }], names, 0);
  }
}

/** Returns the values of a type that has no others; `undefined` for any other type. */
export function valuesOf(type: Type | undefined): unknown[] | undefined {
  if (type === undefined) return undefined;
  const all = alternativesOf(type);
  return all.every((own) => own.kind === "values")
    ? all.flatMap((own) => (own.kind === "values" ? [...own.values.values()] : []))
    : undefined;
}

/**
 * Returns the type of a field that may be there; `"absent"` if none may.
 *
 * @param isGiven True for the side that gives the value: it gives no field that it does not name, even where others
 *   would be dropped.
 */
export function fieldOf(own: FieldsAlternative, name: string, isGiven: boolean): Type | "absent" {
  const type = own.fields.get(name);
  if (type !== undefined) return type;
  if (own.rest === "dropped") return isGiven && !own.required.has(name) ? "absent" : [];
  return own.rest === "refused" ? "absent" : own.rest;
}

function coversNumber(inner: NumberAlternative, outer: NumberAlternative): boolean {
  if (
    outer.isInteger &&
    !inner.isInteger &&
    !inner.multiples.some((step) => Number.isSafeInteger(step) && step !== 0)
  ) {
    return false;
  }
  const [a, b] = [readBounds(inner), readBounds(outer)];
  if (a.min < b.min || (a.min === b.min && b.isMinOpen && !a.isMinOpen)) return false;
  if (a.max > b.max || (a.max === b.max && b.isMaxOpen && !a.isMaxOpen)) return false;
  return outer.multiples.every(
    (step) =>
      (step === 1 && inner.isInteger) || inner.multiples.some((own) => own === step || isWhole(own / step, own, step)),
  );
}

const isWhole = (ratio: number, ...steps: readonly number[]): boolean =>
  Number.isInteger(ratio) && steps.every(Number.isSafeInteger);

/** Returns the bounds of a number. Those of whole numbers are whole and never open. */
function readBounds({ isInteger, min, max, isMinOpen, isMaxOpen }: NumberAlternative) {
  if (!isInteger) return { min, max, isMinOpen, isMaxOpen };
  const [low, high] = [Math.ceil(min), Math.floor(max)];
  return {
    min: isMinOpen && low === min ? low + 1 : low,
    max: isMaxOpen && high === max ? high - 1 : high,
    isMinOpen: false,
    isMaxOpen: false,
  };
}

function coversString(inner: StringAlternative, outer: StringAlternative): boolean {
  if (inner.minLength < outer.minLength || inner.maxLength > outer.maxLength) return false;
  const has = (own: readonly string[], wanted: readonly string[]) => wanted.every((one) => own.includes(one));
  return has(inner.patterns, outer.patterns) && has(inner.formats, outer.formats);
}

/** Named sizes are compared with one another elsewhere (`find-size-changes.ts`). */
function coversTensor(inner: TensorAlternative, outer: TensorAlternative): boolean {
  if (inner.dtype !== outer.dtype || inner.shape.length !== outer.shape.length) return false;
  if (outer.onlyFinite && !inner.onlyFinite && inner.dtype.startsWith("float")) return false;
  return outer.shape.every((size, axis) => typeof size === "string" || size === inner.shape[axis]);
}

function coversFile(inner: FileAlternative, outer: FileAlternative): boolean {
  if (inner.maxBytes > outer.maxBytes) return false;
  if (outer.contentTypes.length === 0) return true;
  const isTaken = (type: string) => outer.contentTypes.some((pattern) => coversType(pattern, type));
  return inner.contentTypes.length > 0 && inner.contentTypes.every(isTaken);
}
