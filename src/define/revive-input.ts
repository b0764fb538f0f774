import { decodeBase64 } from "../base/base64.js";
import { PacedWork } from "../base/clock.js";
import { fileFromJson } from "./file.js";
import { holdsMore } from "./find-misfits.js";
import { findSchema } from "./find-schema.js";
import { hasJsonForm } from "./json-forms.js";
import { acceptsNow, isSchema, type Shape } from "./schema.js";
import { coreOf, type FieldsForm, type Form, formOf, type LeafType } from "./schema-form.js";
import { UnionMembers } from "./union-members.js";

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
  readonly #unions = new WeakMap<readonly unknown[], UnionMembers>();

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
        return this.#atMember(this.#membersOf(form), value);
      default:
        return value;
    }
  }

  #atMember(members: UnionMembers, value: unknown): unknown {
    if (Array.isArray(value)) return this.#at(members.forList, value);
    if (isFields(value)) return this.#at(members.pick(value), value);
    // No member with a structure takes a single value.
    for (const { schema, form } of members.forSingle) {
      const revived = this.#at(schema, value);
      if ((form === undefined || revived !== value) && acceptsNow(schema, revived)) return revived;
    }
    return value;
  }

  #membersOf({ members }: Extract<Form, { kind: "union" }>): UnionMembers {
    const known = this.#unions.get(members) ?? new UnionMembers(members);
    this.#unions.set(members, known);
    return known;
  }

  /** Revives a large value, with turns of the event loop between its parts. */
  async #inTurns(form: Form | undefined, value: unknown, work: PacedWork): Promise<unknown> {
    if (work.isRestDue) await work.rest();
    switch (form?.kind) {
      case "list":
        return Array.isArray(value) ? this.#listInTurns((i) => form.items[i] ?? form.rest, value, work) : value;
      case "set":
        return Array.isArray(value) ? new Set(await this.#listInTurns(() => form.item, value, work)) : value;
      case "fields":
        return isFields(value) ? this.#fieldsInTurns(form, value, work) : value;
      case "map":
        return this.#mapInTurns(form, value, work);
      case "wrapped": {
        let revived = value;
        for (const inner of form.inner) revived = await this.#part(inner, revived, work);
        return revived;
      }
      case "loose":
        return this.#inTurns(form.form, value, work);
      case "union": {
        const members = this.#membersOf(form);
        if (Array.isArray(value)) return this.#part(members.forList, value, work);
        return isFields(value) ? this.#part(members.pick(value), value, work) : this.#atMember(members, value);
      }
      default:
        return this.#atForm(form, value);
    }
  }

  async #listInTurns(schemaAt: (i: number) => unknown, items: readonly unknown[], work: PacedWork): Promise<unknown[]> {
    const list: unknown[] = [];
    for (let i = 0; i < items.length; i++) {
      const part = this.#part(schemaAt(i), items[i], work);
      list.push(part instanceof Promise ? await part : part);
    }
    return list;
  }

  async #fieldsInTurns(form: FieldsForm, value: Record<string, unknown>, work: PacedWork): Promise<unknown> {
    const fields: [string, unknown][] = [];
    for (const name of Object.keys(value)) {
      const part = this.#part(fieldOf(form, name), value[name], work);
      fields.push([name, part instanceof Promise ? await part : part]);
    }
    return Object.fromEntries(fields);
  }

  async #mapInTurns(form: Extract<Form, { kind: "map" }>, value: unknown, work: PacedWork): Promise<unknown> {
    const isList = Array.isArray(value);
    if (!isList && !isFields(value)) return value;
    const map = new Map<unknown, unknown>();
    for (const entry of isList ? (value as unknown[]) : Object.keys(value)) {
      if (isList && !isPair(entry)) return value;
      const [key, item] = isPair(entry) ? entry : [entry, (value as Record<string, unknown>)[entry as string]];
      const revivedKey = this.#part(form.key, key, work);
      const settledKey = revivedKey instanceof Promise ? await revivedKey : revivedKey;
      const revived = this.#part(form.value, item, work);
      map.set(settledKey, revived instanceof Promise ? await revived : revived);
    }
    return map;
  }

  /** Revives a part of a large value. Returns a promise only where the event loop is due a turn. */
  #part(schema: unknown, item: unknown, work: PacedWork): unknown {
    if (item === undefined || item === null || !this.wants(schema)) return item;
    if (holdsMore(item, shortCount) || work.isRestDue) return this.#inTurns(formOf(schema), item, work);
    return this.#at(schema, item);
  }
}

/** True for values that JSON has no notation for. `file()` and `tensor()` read JSON by themselves. */
const isForeign = (form: Form | undefined): boolean =>
  hasJsonForm(form) && !(form.kind === "leaf" && (form.own !== undefined || form.type === "tensor"));

const fieldOf = ({ fields, rest }: FieldsForm, name: string): unknown =>
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
  if (Array.isArray(value)) return value.every(isPair) ? new Map(value.map(([key, item]) => change(key, item))) : value;
  return isFields(value) ? new Map(Object.entries(value).map(([key, item]) => change(key, item))) : value;
}

const isPair = (item: unknown): item is readonly [unknown, unknown] => Array.isArray(item) && item.length === 2;

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
