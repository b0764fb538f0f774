import { coreOf, type Form } from "./schema-form.js";

/** Member of a union that takes objects. */
interface ObjectMember {
  readonly schema: unknown;
  /** Position among these members. */
  readonly at: number;
  readonly names: readonly string[];
  /** Fields with the only values that they take. */
  readonly literals: readonly (readonly [name: string, values: readonly unknown[]])[];
}

/**
 * Members of a union, told apart by the beginning of a value alone: to try one after the other would take a time that
 * grows with each level.
 *
 * All that the members say is read once, and a value is compared with those members only that know one of its fields:
 * a union of many members costs a value no more than its own size.
 */
export class UnionMembers {
  /** First member that takes a list. */
  readonly forList: unknown;
  /** Members that take values without a structure, in order. */
  readonly forSingle: readonly { readonly schema: unknown; readonly form: Form | undefined }[];
  readonly #objects: readonly ObjectMember[];
  readonly #byField = new Map<string, number[]>();
  /** Field that names the member, where the most members have a literal. */
  readonly #tag: string | undefined;
  readonly #byTag = new Map<unknown, ObjectMember[]>();
  /** Members that take any value of the tag. */
  readonly #untagged: readonly ObjectMember[];
  /** Fields that each member shares with the value at hand. */
  readonly #shared: Uint32Array;

  constructor(members: readonly unknown[]) {
    const flat = listMembers(members).map((schema) => ({ schema, form: coreOf(schema) }));
    this.forList = flat.find(({ form }) => form !== undefined && takesList(form))?.schema;
    this.forSingle = flat.filter(({ form }) => form === undefined || form.kind === "leaf");
    this.#objects = flat.flatMap(({ schema, form }) => readFields(form, schema)).map((read, at) => ({ ...read, at }));
    this.#shared = new Uint32Array(this.#objects.length);
    for (const { names, at } of this.#objects) {
      for (const name of names) this.#byField.set(name, [...(this.#byField.get(name) ?? []), at]);
    }
    this.#tag = findTag(this.#objects);
    const valuesOf = ({ literals }: ObjectMember) => literals.find(([name]) => name === this.#tag)?.[1];
    this.#untagged = this.#objects.filter((member) => valuesOf(member) === undefined);
    for (const value of new Set(this.#objects.flatMap((member) => valuesOf(member) ?? []))) {
      this.#byTag.set(
        value,
        this.#objects.filter((member) => valuesOf(member)?.includes(value) ?? true),
      );
    }
  }

  /** Picks the member for an object: with the same literals, and then with the most of its fields. */
  pick(value: Readonly<Record<string, unknown>>): unknown {
    const tag = this.#tag;
    const members = tag === undefined ? this.#objects : (this.#byTag.get(readOwn(value, tag)) ?? this.#untagged);
    const [first, second] = members;
    if (second === undefined) return first !== undefined && hasLiterals(first, value) ? first.schema : undefined;
    const shared = this.#shared.fill(0);
    for (const name of Object.keys(value)) {
      for (const at of this.#byField.get(name) ?? none) shared[at] = (shared[at] as number) + 1;
    }
    let best: ObjectMember | undefined;
    for (const member of members) {
      const isBetter = best === undefined || (shared[member.at] as number) > (shared[best.at] as number);
      if (isBetter && hasLiterals(member, value)) best = member;
    }
    return best?.schema;
  }
}

const none: readonly number[] = [];

/** Returns the members of a union and of the unions in it. */
function listMembers(members: readonly unknown[], depth = 0): readonly unknown[] {
  return members.flatMap((member) => {
    const form = coreOf(member);
    return form?.kind === "union" && depth < maxUnions ? listMembers(form.members, depth + 1) : [member];
  });
}

const maxUnions = 8;

const takesList = ({ kind }: Form): boolean => kind === "list" || kind === "set" || kind === "map";

/** Reads a member that takes objects; returns none for any other. */
function readFields(form: Form | undefined, schema: unknown): readonly Omit<ObjectMember, "at">[] {
  if (form?.kind === "leaf" && form.type === "file") return [{ schema, names: fileFields, literals: [] }];
  if (form?.kind === "map") return [{ schema, names: [], literals: [] }];
  if (form?.kind !== "fields") return [];
  const fields = Object.entries(form.fields);
  const literals = fields.flatMap(([name, field]) => {
    const values = literalsOf(field);
    return values === undefined ? [] : [[name, values] as const];
  });
  return [{ schema, names: fields.map(([name]) => name), literals }];
}

const fileFields = ["data", "contentType"];

/** Returns the field that has literals in the most members. */
function findTag(members: readonly ObjectMember[]): string | undefined {
  const counts = new Map<string, number>();
  for (const [name] of members.flatMap(({ literals }) => literals)) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].sort(([, one], [, other]) => other - one)[0]?.[0];
}

const hasLiterals = ({ literals }: ObjectMember, value: Readonly<Record<string, unknown>>): boolean =>
  literals.every(([name, values]) => values.includes(readOwn(value, name)));

const readOwn = (value: Readonly<Record<string, unknown>>, name: string): unknown =>
  Object.hasOwn(value, name) ? value[name] : undefined;

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
