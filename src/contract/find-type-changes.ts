import { type Alternative, alternativesOf, type FieldsAlternative, type ListAlternative } from "./alternatives.js";
import type { Type } from "./fold-type.js";
import { formatAlternatives, formatType } from "./format-type.js";
import { fieldOf, isSubAlternative, isSubtype, valuesOf } from "./is-subtype.js";
import {
  fits,
  listOfAlternative,
  listSamples,
  noSample,
  type SampleSettings,
  sampleAlternative,
  sampleOf,
  type Trust,
} from "./type-values.js";

/** Way from the values of one version to the type of the other. */
export interface Fit {
  /** `yes`: every value fits. `no`: `example` does not. `unknown`: neither could be shown. */
  readonly answer: "yes" | "no" | "unknown";
  /** Whole value that fits the one version and not the other; `noSample` unless the answer is `no`. */
  readonly example: unknown;
}

/** One place where two types differ. */
export interface TypeChange {
  /** Path from the value as a whole: `".boxes[].label"`. */
  readonly path: string;
  /** Types at this place, in words; `"absent"` for a field that there is not. */
  readonly from: string;
  readonly to: string;
  /** Values of the older version against the newer type. */
  readonly forward: Fit;
  /** Values of the newer version against the older type. */
  readonly backward: Fit;
}

/** Puts a value where a part of a type stands, into a whole value of its version. */
type Wrap = (part: unknown) => unknown;

/** Place in both types. */
interface Site {
  readonly path: string;
  readonly wraps: readonly [Wrap, Wrap];
  readonly depth: number;
  /** True for each direction in which all values around this place are proven to fit. */
  readonly proven: readonly [boolean, boolean];
}

/** Relation of two types at a place, as far as it is proven, and values to disprove the rest. */
interface Report {
  readonly from: string;
  readonly to: string;
  readonly isForward: boolean;
  readonly isBackward: boolean;
  /** True to tell the change also when each version accepts what the other gives. */
  readonly isTold?: boolean;
  readonly samples: readonly [readonly unknown[], readonly unknown[]];
  /** Alternatives of both types at the place. */
  readonly all: readonly [readonly Alternative[], readonly Alternative[]];
}

const fitting: Fit = { answer: "yes", example: noSample };
const unsure: Fit = { answer: "unknown", example: noSample };

/** Deepest place that is described by itself. */
const maxDepth = 24;
/** Most pairs of members of two unions that are looked at for a common field. */
const maxPairs = 1000;
/** Most values of one field that are tried. */
const maxFieldSamples = 20;
/** Most changes of one type that are told apart. */
const maxChanges = 200;

/** Finds the places where two versions of a type differ. An empty list means that each accepts what the other does. */
export function findTypeChanges(older: Type, newer: Type, trust: Trust): TypeChange[] {
  return new Comparison(older, newer, trust).find();
}

class Comparison {
  readonly #older: Type;
  readonly #newer: Type;
  readonly #trust: SampleSettings;
  readonly #changes: TypeChange[] = [];
  readonly #met = new Map<unknown, Set<unknown>>();
  /** Places that are described elsewhere. */
  #repeated = 0;

  constructor(older: Type, newer: Type, trust: Trust) {
    this.#older = older;
    this.#newer = newer;
    this.#trust = trust;
  }

  find(): TypeChange[] {
    const [isForward, isBackward] = this.#prove(this.#older, this.#newer);
    const same: Wrap = (part) => part;
    const site: Site = { path: "", wraps: [same, same], depth: 0, proven: [isForward, isBackward] };
    this.#walk(this.#older, this.#newer, site);
    const changes = this.#changes;
    const isForwardTold = isForward || changes.some(({ forward }) => forward.answer !== "yes");
    const isBackwardTold = isBackward || changes.some(({ backward }) => backward.answer !== "yes");
    if (isForwardTold && isBackwardTold) return changes;
    return [...changes, this.#judge(site, this.#relate(this.#older, this.#newer))];
  }

  #prove(older: Type, newer: Type): readonly [boolean, boolean] {
    return [isSubtype(older, newer, this.#trust), isSubtype(newer, older, this.#trust)];
  }

  #walk(older: Type, newer: Type, at: Site): void {
    const [isForward, isBackward] = this.#prove(older, newer);
    // A proof of the whole stands for its parts: a value may have moved from one member of a union to another.
    const site: Site = { ...at, proven: [at.proven[0] || isForward, at.proven[1] || isBackward] };
    const isSame = isForward && isBackward;
    if (this.#changes.length >= maxChanges || --this.#trust.effort.left < 0 || this.#isMet(older, newer)) return;
    const before = this.#changes.length + this.#repeated;
    const { effort } = this.#trust;
    const all = [alternativesOf(older, effort), alternativesOf(newer, effort)] as const;
    const [olds, news] = isSame ? all : this.#dropShared(...all);
    const pairs = site.depth < maxDepth ? pairAlternatives(olds, news) : [];
    for (const [a, b] of pairs) this.#walkParts(a, b, site);
    const isWhole = pairs.length === olds.length && pairs.length === news.length;
    if (isSame || (isWhole && this.#changes.length + this.#repeated > before)) return;
    const report = this.#relate(older, newer);
    if (pairs.length === 0) this.#add(site, report);
    else {
      const left = (all: readonly Alternative[], side: 0 | 1) =>
        all.filter((own) => !pairs.some((pair) => pair[side] === own));
      const [from, to] = [formatAlternatives(left(olds, 0)), formatAlternatives(left(news, 1))];
      this.#add(site, isWhole ? report : { ...report, from, to });
    }
  }

  /** True for a pair of types that was compared at another place, as in types that contain themselves. */
  #isMet(older: Type, newer: Type): boolean {
    if (older.length !== 1 || newer.length !== 1) return false;
    const [a, b] = [older[0]?.json, newer[0]?.json];
    const met = this.#met.get(a) ?? new Set();
    if (met.has(b)) {
      this.#repeated++;
      return true;
    }
    this.#met.set(a, met.add(b));
    return false;
  }

  /** Leaves out the alternatives that both types have. */
  #dropShared(olds: readonly Alternative[], news: readonly Alternative[]) {
    const isSame = (a: Alternative, b: Alternative) =>
      isSubAlternative(a, b, this.#trust) && isSubAlternative(b, a, this.#trust);
    return [
      olds.filter((own) => !news.some((other) => isSame(own, other))),
      news.filter((own) => !olds.some((other) => isSame(own, other))),
    ] as const;
  }

  #walkParts(older: Alternative, newer: Alternative, site: Site): void {
    this.#walkLimits(older, newer, site);
    if (older.kind === "fields" && newer.kind === "fields") this.#walkFields(older, newer, site);
    else if (older.kind === "list" && newer.kind === "list") this.#walkList(older, newer, site);
    else if (older.kind === "set" && newer.kind === "set") {
      const wrap = (part: unknown) => new Set([part]);
      this.#walk(older.item, newer.item, deeper(site, "[]", [wrap, wrap]));
    } else if (older.kind === "map" && newer.kind === "map") {
      const [keys, values] = [older, newer].map((own) => this.#wrapsOfMap(own)) as [readonly Wrap[], readonly Wrap[]];
      this.#walk(older.keys, newer.keys, deeper(site, "{key}", [keys[0] as Wrap, values[0] as Wrap]));
      this.#walk(older.values, newer.values, deeper(site, "{}", [keys[1] as Wrap, values[1] as Wrap]));
    }
  }

  /** Compares what two alternatives say of the whole value, not of its parts. */
  #walkLimits(older: Alternative, newer: Alternative, site: Site): void {
    const isForward = coversLimits(older, newer);
    const isBackward = coversLimits(newer, older);
    if (isForward && isBackward) return;
    const settings = { ...this.#trust, lengths: listLengths([older, newer]) };
    const samples = [listOfAlternative(older, settings), listOfAlternative(newer, settings)] as const;
    const [from, to] = [formatAlternatives([older]), formatAlternatives([newer])];
    this.#add(site, { from, to, isForward, isBackward, samples, all: [[older], [newer]] });
  }

  #wrapsOfMap({ keys, values }: Extract<Alternative, { kind: "map" }>): readonly Wrap[] {
    const [key, value] = [sampleOf(keys, this.#trust), sampleOf(values, this.#trust)];
    return [
      (part) => (value === noSample ? noSample : new Map([[part, value]])),
      (part) => (key === noSample ? noSample : new Map([[key, part]])),
    ];
  }

  #walkList(older: ListAlternative, newer: ListAlternative, site: Site): void {
    const length = Math.max(older.first.length, newer.first.length);
    for (let i = 0; i < length; i++) {
      const [from, to] = [itemOf(older, i), itemOf(newer, i)];
      if (from === undefined || to === undefined) continue;
      this.#walk(from, to, deeper(site, `[${i}]`, [this.#wrapItem(older, i), this.#wrapItem(newer, i)]));
    }
    const [from, to] = [itemOf(older, length), itemOf(newer, length)];
    if (from !== undefined && to !== undefined) {
      this.#walk(from, to, deeper(site, "[]", [this.#wrapItem(older, length), this.#wrapItem(newer, length)]));
    }
  }

  /** Puts an item into a short list. */
  #wrapItem(own: ListAlternative, index: number): Wrap {
    return (part) => {
      const length = Math.max(Math.min(own.minItems, 1000), index + 1);
      const items = Array.from({ length }, (_, i) =>
        i === index ? part : sampleOf(own.first[i] ?? own.rest, this.#trust, "", 1),
      );
      return items.includes(noSample) ? noSample : items;
    };
  }

  #walkFields(older: FieldsAlternative, newer: FieldsAlternative, site: Site): void {
    const all = [[older], [newer]] as const;
    for (const name of sortNames(older, newer)) {
      const [from, to] = [older.fields.get(name), newer.fields.get(name)];
      const path = site.path + formatStep(name);
      if (from !== undefined && to !== undefined) {
        this.#walk(
          from,
          to,
          deeper(site, formatStep(name), [this.#wrapField(older, name), this.#wrapField(newer, name)]),
        );
        const [was, is] = [older.required.has(name), newer.required.has(name)];
        if (was !== is) {
          const words = (isRequired: boolean) => (isRequired ? "required" : "optional");
          const samples = [this.#sampleField(older, name), this.#sampleField(newer, name)] as const;
          const own = { from: words(was), to: words(is), isForward: was || !is, isBackward: is || !was, samples, all };
          this.#add({ ...site, path }, own);
        }
      } else {
        const own = [this.#sampleField(older, name), this.#sampleField(newer, name)] as const;
        this.#add({ ...site, path }, { ...this.#relateField(older, newer, name), samples: own, all, isTold: true });
      }
    }
    const [from, to] = [restOf(older), restOf(newer)];
    if (from !== undefined && to !== undefined) {
      this.#walk(from, to, deeper(site, "{}", [this.#wrapField(older, "other"), this.#wrapField(newer, "other")]));
    } else if (from !== undefined || to !== undefined || older.rest !== newer.rest) {
      const isForward = from === undefined || newer.rest === "dropped";
      const isBackward = to === undefined || older.rest === "dropped";
      const samples = [listOfAlternative(older, this.#trust), listOfAlternative(newer, this.#trust)] as const;
      const own = { from: formatRest(older), to: formatRest(newer), isForward, isBackward, samples, all };
      if (!isForward || !isBackward) this.#add({ ...site, path: `${site.path}{}` }, own);
    }
  }

  /** Lists objects without a field and with it, also where the type accepts fields that it does not name. */
  #sampleField(own: FieldsAlternative, name: string): unknown[] {
    const type = own.fields.get(name) ?? restOf(own);
    const values = type === undefined ? [] : listSamples(type, this.#trust).slice(0, maxFieldSamples);
    return [sampleAlternative(own, this.#trust), ...values.map(this.#wrapField(own, name))];
  }

  /** Relates a field of one version with none in the other. */
  #relateField(older: FieldsAlternative, newer: FieldsAlternative, name: string): Omit<Report, "samples" | "all"> {
    const show = (own: FieldsAlternative) => {
      const type = own.fields.get(name);
      return type === undefined ? "absent" : `${formatType(type)}${own.required.has(name) ? "" : ", optional"}`;
    };
    const isTaken = (given: FieldsAlternative, taken: FieldsAlternative): boolean => {
      if (taken.required.has(name) && !given.required.has(name)) return false;
      const [type, wanted] = [fieldOf(given, name, true), fieldOf(taken, name, false)];
      if (type === "absent") return true;
      return wanted !== "absent" && isSubtype(type, wanted, this.#trust);
    };
    return { from: show(older), to: show(newer), isForward: isTaken(older, newer), isBackward: isTaken(newer, older) };
  }

  #wrapField(own: FieldsAlternative, name: string): Wrap {
    return (part) => {
      const least = sampleAlternative(own, this.#trust, "", 1);
      return least === noSample ? noSample : { ...(least as object), [name]: part };
    };
  }

  #relate(older: Type, newer: Type): Report {
    const [isForward, isBackward] = this.#prove(older, newer);
    const settings = { ...this.#trust, lengths: listLengths([...alternativesOf(older), ...alternativesOf(newer)]) };
    const [olds, news] = [listSamples(older, settings), listSamples(newer, settings)];
    // Values at the limits of the type that refuses them are the plainest examples.
    const samples = [
      [...news, ...olds],
      [...olds, ...news],
    ] as const;
    const { effort } = this.#trust;
    const all = [alternativesOf(older, effort), alternativesOf(newer, effort)] as const;
    return { from: formatType(older), to: formatType(newer), isForward, isBackward, samples, all };
  }

  #add(site: Site, report: Report): void {
    if (report.isForward && report.isBackward && report.isTold !== true) return;
    this.#changes.push(this.#judge(site, report));
  }

  #judge({ path, wraps, proven }: Site, report: Report): TypeChange {
    const { from, to, isForward, isBackward, samples, all } = report;
    const [olds, news] = all;
    const { runsPatterns } = this.#trust;
    const forward =
      isForward || proven[0]
        ? fitting
        : this.#disprove(samples[0].map(wraps[0]), this.#older, this.#newer, mayPass(olds, news, runsPatterns));
    const backward =
      isBackward || proven[1]
        ? fitting
        : this.#disprove(samples[1].map(wraps[1]), this.#newer, this.#older, mayPass(news, olds, runsPatterns));
    return { path, from, to, forward, backward };
  }

  /**
   * Looks for a value that fits one type and surely not the other.
   *
   * @param isPassed True when functions of the author can be taken to accept it.
   */
  #disprove(values: readonly unknown[], given: Type, taken: Type, isPassed: boolean): Fit {
    const certain = this.#trust;
    for (const trust of isPassed ? [certain, { ...certain, ignoresChecks: true }] : [certain]) {
      const index = values.findIndex(
        (value) => value !== noSample && fits(given, value, trust) === "yes" && fits(taken, value, certain) === "no",
      );
      if (index >= 0) return { answer: "no", example: values[index] };
    }
    return unsure;
  }
}

/**
 * True when the functions of an author in one type are not what the other says in its own words: they are there too, or
 * the other has no such values at all. Patterns that are not run count as such functions.
 */
function mayPass(given: readonly Alternative[], taken: readonly Alternative[], runsPatterns: boolean): boolean {
  const listChecks = (own: Alternative) =>
    own.kind === "string" && !runsPatterns ? [...own.checks, ...own.patterns] : own.checks;
  return given.every((own) => {
    const same = taken.filter(({ kind }) => kind === own.kind);
    return (
      same.length === 0 || listChecks(own).every((check) => same.some((other) => listChecks(other).includes(check)))
    );
  });
}

/** Returns the lengths around the limits of lists. */
const listLengths = (all: readonly Alternative[]): number[] =>
  all.flatMap((own) =>
    own.kind === "list" ? [own.minItems, own.maxItems].flatMap((limit) => [limit - 1, limit, limit + 1]) : [],
  );

/** Lists the fields of both versions. Values without parts come first, so that a change has its shortest path. */
function sortNames(older: FieldsAlternative, newer: FieldsAlternative): string[] {
  const isPlain = (name: string) =>
    alternativesOf(older.fields.get(name) ?? newer.fields.get(name) ?? []).every(
      ({ kind }) => kind !== "fields" && kind !== "list" && kind !== "map",
    );
  const names = [...new Set([...older.fields.keys(), ...newer.fields.keys()])];
  return [...names.filter(isPlain), ...names.filter((name) => !isPlain(name))];
}

const deeper = ({ path, wraps, depth, proven }: Site, step: string, [inOld, inNew]: readonly [Wrap, Wrap]): Site => ({
  path: path + step,
  depth: depth + 1,
  proven,
  wraps: [chain(wraps[0], inOld), chain(wraps[1], inNew)],
});

const chain =
  (outer: Wrap, inner: Wrap): Wrap =>
  (part) => {
    if (part === noSample) return noSample;
    const value = inner(part);
    return value === noSample ? noSample : outer(value);
  };

/** True when each value whose parts fit `outer` is one that `outer` accepts. */
function coversLimits(inner: Alternative, outer: Alternative): boolean {
  if (!outer.checks.every((check) => inner.checks.includes(check))) return false;
  if (inner.kind !== "list" || outer.kind !== "list") return true;
  if (outer.isUnique && !inner.isUnique && inner.maxItems > 1) return false;
  return inner.minItems >= outer.minItems && inner.maxItems <= outer.maxItems;
}

const itemOf = ({ first, rest, maxItems }: ListAlternative, index: number): Type | undefined =>
  index < maxItems ? (first[index] ?? rest) : undefined;

const restOf = ({ rest }: FieldsAlternative): Type | undefined => (typeof rest === "string" ? undefined : rest);

const formatRest = ({ rest }: FieldsAlternative): string =>
  rest === "dropped"
    ? "other fields are dropped"
    : rest === "refused"
      ? "other fields are refused"
      : `other fields: ${formatType(rest)}`;

/** Formats a step to a field, in quotes where it is no name. */
const formatStep = (name: string): string =>
  /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`;

/** Pairs the alternatives of two versions that are the same thing, changed. */
function pairAlternatives(olds: readonly Alternative[], news: readonly Alternative[]): [Alternative, Alternative][] {
  const kinds = ["fields", "list", "map", "set"] as const;
  return kinds.flatMap((kind): [Alternative, Alternative][] => {
    const [from, to] = [olds, news].map((all) => all.filter((own) => own.kind === kind)) as [
      Alternative[],
      Alternative[],
    ];
    if (from.length === 1 && to.length === 1) return [[from[0] as Alternative, to[0] as Alternative]];
    if (kind !== "fields" || from.length * to.length > maxPairs) return [];
    return from.flatMap((own): [Alternative, Alternative][] => {
      const same = to.filter((other) => hasSameTag(own as FieldsAlternative, other as FieldsAlternative));
      return same.length === 1 ? [[own, same[0] as Alternative]] : [];
    });
  });
}

/** True for two members of unions that the same value of a field tells. */
function hasSameTag(a: FieldsAlternative, b: FieldsAlternative): boolean {
  return [...a.fields].some(([name, type]) => {
    const [[own, further], [other, another]] = [valuesOf(type) ?? [], valuesOf(b.fields.get(name)) ?? []];
    return own !== undefined && further === undefined && another === undefined && own === other;
  });
}
