import { decodeBase64 } from "../base/base64.js";
import { PacedWork } from "../base/clock.js";
import { fileFromJson } from "./file.js";
import { holdsMore } from "./find-misfits.js";
import { findSchema } from "./find-schema.js";
import { hasJsonForm } from "./json-forms.js";
import { acceptsNow, isSchema, type Shape } from "./schema.js";
import { coreOf, type Form, formOf, type LeafType } from "./schema-form.js";

/**
 * Turns the JSON forms in an input into what its schema wants: ISO texts into `Date`, digits into `bigint`, base64 into
 * bytes, objects or lists of pairs into `Map`, lists into `Set`. What does not fit is left for the schema to refuse.
 * The given value is not changed. A large one is revived in turns, and a promise returned.
 */
export type Revive = (value: unknown) => unknown;

/** Creates the revival for an input; `undefined` when its schemas want no such value, or can't be read. */
export function createRevive(shape: Shape | undefined): Revive | undefined {
  if (shape === undefined) return undefined;
  const reviver = new Reviver();
  if (isSchema(shape)) return reviver.wants(shape) ? (value) => reviver.revive(shape, value) : undefined;
  const fields = Object.fromEntries(Object.entries(shape).filter(([, schema]) => reviver.wants(schema)));
  if (Object.keys(fields).length === 0) return undefined;
  const form: Form = { kind: "fields", fields, rest: undefined, keys: undefined };
  return (value) => reviver.reviveAs(form, value);
}

/** Inner values up to which an input is revived within a few milliseconds. */
const shortCount = 5_000;
/** Milliseconds after which the event loop gets a turn. */
const turnMs = 4;

class Reviver {
  readonly #wants = new Map<unknown, boolean>();

  /** True when a schema, or one inside it, wants a value that JSON has no notation for. */
  wants(schema: unknown): boolean {
    let wants = this.#wants.get(schema);
    if (wants === undefined) {
      wants = findSchema(schema, ({ form }) => isForeign(form)) !== undefined;
      this.#wants.set(schema, wants);
    }
    return wants;
  }

  revive(schema: unknown, value: unknown): unknown {
    return holdsMore(value, shortCount)
      ? this.#inTurns(coreOf(schema), value, new PacedWork(turnMs))
      : this.#at(schema, value);
  }

  reviveAs(form: Form, value: unknown): unknown {
    return holdsMore(value, shortCount) ? this.#inTurns(form, value, new PacedWork(turnMs)) : this.#atForm(form, value);
  }

  #at(schema: unknown, value: unknown): unknown {
    if (value === undefined || value === null || !this.wants(schema)) return value;
    return this.#atForm(formOf(schema), value);
  }

  #atForm(form: Form | undefined, value: unknown): unknown {
    switch (form?.kind) {
      case "leaf":
        return form.own === undefined ? reviveLeaf(form.type, value) : value;
      case "list":
        return Array.isArray(value) ? mapList(value, (item, i) => this.#at(form.items[i] ?? form.rest, item)) : value;
      case "fields":
        return isFields(value) ? mapFields(value, (name, item) => this.#at(fieldOf(form, name), item)) : value;
      case "set":
        return Array.isArray(value) ? new Set(mapList(value, (item) => this.#at(form.item, item))) : value;
      case "map":
        return toMap(value, (key, item) => [this.#at(form.key, key), this.#at(form.value, item)]);
      case "wrapped":
        return form.inner.reduce((revived, inner) => this.#at(inner, revived), value);
      case "loose":
        return this.#atForm(form.form, value);
      case "union":
        return this.#atMember(listMembers(form.members), value);
      default:
        return value;
    }
  }

  /**
   * Revives by one member of a union. It is picked by the beginning of the value alone: to try the members one after
   * the other would take a time that grows with each level.
   */
  #atMember(members: readonly unknown[], value: unknown): unknown {
    if (Array.isArray(value)) return this.#at(members.find(takesList), value);
    if (isFields(value)) return this.#at(pickMember(members, value), value);
    for (const member of members) {
      const form = coreOf(member);
      // No other member with a structure takes a single value.
      if (form !== undefined && form.kind !== "leaf") continue;
      const revived = this.#at(member, value);
      if ((form === undefined || revived !== value) && acceptsNow(member, revived)) return revived;
    }
    return value;
  }

  /** Revives a large list or object, with turns of the event loop between its parts. */
  async #inTurns(form: Form | undefined, value: unknown, work: PacedWork): Promise<unknown> {
    if (work.isRestDue) await work.rest();
    if (Array.isArray(value) && (form?.kind === "list" || form?.kind === "set")) {
      const schemaAt = (i: number) => (form.kind === "list" ? (form.items[i] ?? form.rest) : form.item);
      const list: unknown[] = [];
      for (let i = 0; i < value.length; i++) {
        const part = this.#part(schemaAt(i), value[i], work);
        list.push(part instanceof Promise ? await part : part);
      }
      return form.kind === "set" ? new Set(list) : list;
    }
    if (form?.kind === "fields" && isFields(value)) {
      const fields: [string, unknown][] = [];
      for (const [name, item] of Object.entries(value)) {
        const part = this.#part(fieldOf(form, name), item, work);
        fields.push([name, part instanceof Promise ? await part : part]);
      }
      return Object.fromEntries(fields);
    }
    return this.#atForm(form, value);
  }

  /** Revives a part of a large value. Returns a promise only where the event loop is due a turn. */
  #part(schema: unknown, item: unknown, work: PacedWork): unknown {
    if (holdsMore(item, shortCount) || work.isRestDue) return this.#inTurns(coreOf(schema), item, work);
    return this.#at(schema, item);
  }
}

/** True for values that JSON has no notation for. `file()` and `tensor()` read JSON by themselves. */
const isForeign = (form: Form | undefined): boolean =>
  hasJsonForm(form) && !(form.kind === "leaf" && (form.own !== undefined || form.type === "tensor"));

const fieldOf = ({ fields, rest }: Extract<Form, { kind: "fields" }>, name: string): unknown =>
  Object.hasOwn(fields, name) ? fields[name] : rest;

/** True for an object of JSON. */
export function isFields(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function mapList(list: readonly unknown[], change: (item: unknown, index: number) => unknown): readonly unknown[] {
  let changed: unknown[] | undefined;
  for (let i = 0; i < list.length; i++) {
    const item = change(list[i], i);
    if (item !== list[i]) (changed ??= list.slice())[i] = item;
  }
  return changed ?? list;
}

function mapFields(fields: Record<string, unknown>, change: (name: string, item: unknown) => unknown): unknown {
  let changed: Record<string, unknown> | undefined;
  for (const name of Object.keys(fields)) {
    const item = change(name, fields[name]);
    // A key `__proto__` does not come this far: bodies with one are refused.
    if (item !== fields[name]) (changed ??= { ...fields })[name] = item;
  }
  return changed ?? fields;
}

/** Makes a map of an object, or of a list of pairs. */
function toMap(value: unknown, change: (key: unknown, item: unknown) => readonly [unknown, unknown]): unknown {
  if (Array.isArray(value)) {
    const isPairs = value.every((pair) => Array.isArray(pair) && pair.length === 2);
    return isPairs ? new Map(value.map(([key, item]) => change(key, item))) : value;
  }
  return isFields(value) ? new Map(Object.entries(value).map(([key, item]) => change(key, item))) : value;
}

/** Returns the members of a union and of the unions in it. */
function listMembers(members: readonly unknown[], depth = 0): readonly unknown[] {
  return members.flatMap((member) => {
    const form = coreOf(member);
    return form?.kind === "union" && depth < maxUnions ? listMembers(form.members, depth + 1) : [member];
  });
}

const maxUnions = 8;

function takesList(member: unknown): boolean {
  const kind = coreOf(member)?.kind;
  return kind === "list" || kind === "set" || kind === "map";
}

/** Picks the member for an object: with the same literals, and then with the most of its fields. */
function pickMember(members: readonly unknown[], value: Readonly<Record<string, unknown>>): unknown {
  let best: { readonly member: unknown; readonly shared: number } | undefined;
  for (const member of members) {
    const form = coreOf(member);
    const isFile = form?.kind === "leaf" && form.type === "file";
    const fields = form?.kind === "fields" ? form.fields : isFile ? fileFields : form?.kind === "map" ? {} : undefined;
    if (fields === undefined || !hasLiterals(fields, value)) continue;
    const shared = Object.keys(fields).filter((name) => Object.hasOwn(value, name)).length;
    if (best === undefined || shared > best.shared) best = { member, shared };
  }
  return best?.member;
}

const fileFields = { data: undefined, contentType: undefined };

function hasLiterals(fields: Readonly<Record<string, unknown>>, value: Readonly<Record<string, unknown>>): boolean {
  return Object.entries(fields).every(([name, schema]) => {
    const literals = literalsOf(schema);
    return literals === undefined || literals.includes(Object.hasOwn(value, name) ? value[name] : undefined);
  });
}

/** Returns the only values that a schema accepts, if it is one of literals. */
function literalsOf(schema: unknown): readonly unknown[] | undefined {
  const { _zod, type, literal, kind, unit } = (schema ?? {}) as {
    _zod?: { def?: { type?: unknown; values?: readonly unknown[] } };
    type?: unknown;
    literal?: unknown;
    kind?: unknown;
    unit?: unknown;
  };
  if (_zod?.def?.type === "literal") return _zod.def.values;
  if (kind === "schema" && type === "literal") return [literal];
  return kind === "unit" ? [unit] : undefined;
}

function reviveLeaf(type: LeafType, value: unknown): unknown {
  switch (type) {
    case "date":
      return typeof value === "string" ? (readDate(value) ?? value) : value;
    case "bigint":
      return readBigint(value) ?? value;
    case "bytes":
      return typeof value === "string" ? readBytes(value) : value;
    case "file":
      return isFields(value) ? (fileFromJson(value) ?? value) : value;
    default:
      return value;
  }
}

/** ISO 8601 as `toISOString` writes it, with an offset instead of Z, with less precise times, or a day alone. */
const isoForm = /^(\d{4}|[+-]\d{6})-(\d\d)-(\d\d)(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d))?$/;

/** Reads a time. A time without an offset is none: it would mean another moment on each server. */
function readDate(text: string): Date | undefined {
  const [, year, month, day] = isoForm.exec(text) ?? [];
  if (year === undefined) return undefined;
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) return undefined;
  // Node takes February 30 for March 2.
  const last = new Date(Date.UTC(2000 + (Number(year) % 400), Number(month), 0)).getUTCDate();
  return Number(day) <= last ? date : undefined;
}

/** An integer of at most 1,000 digits: reading takes time with the square of their number. */
const integerForm = /^-?\d{1,1000}$/;

function readBigint(value: unknown): bigint | undefined {
  if (typeof value === "number") return Number.isSafeInteger(value) ? BigInt(value) : undefined;
  return typeof value === "string" && integerForm.test(value) ? BigInt(value) : undefined;
}

/** Reads base64 into memory of its own: small results of the decoder share theirs. */
function readBytes(text: string): unknown {
  const bytes = decodeBase64(text);
  return bytes === undefined ? text : new Uint8Array(bytes);
}
