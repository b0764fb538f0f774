import type { Issue } from "../failure/failures.js";
import { findSchema, formatSteps, type InnerSchema, joinPath, walkSchema } from "./find-schema.js";
import { isSchema, type Shape } from "./schema.js";
import { isTensor } from "./tensor.js";
import { isTensorSchema, type TensorSchema } from "./tensor-schema.js";

// Compares the sizes of tensors that have the same name, at each call.
//
// A name holds in its scope: the input and the output outside all lists, or one item of a list. An item's names also
// hold for what is outside the list. Different items may have different sizes.

/** Named size of a tensor in its scope. */
interface NamedSize {
  readonly name: string;
  readonly axis: number;
  /** Fields from the value of the scope to the tensor. */
  readonly fields: readonly string[];
}

/** Names of one scope, and of the lists in it. */
interface SizeScope {
  readonly sizes: NamedSize[];
  readonly lists: { readonly fields: readonly string[]; readonly item: SizeScope }[];
}

type Sizes = Map<string, number>;

/** Checks of the sizes of one api; `undefined` where no name appears twice. */
interface SizeChecks {
  readonly input: ((value: unknown) => Issue | undefined) | undefined;
  /** @param input The checked input. */
  readonly output: ((value: unknown, input: unknown) => Issue | undefined) | undefined;
}

/** Finds the named sizes in the tensors of a contract. */
export function createSizeChecks(inputShape: Shape | undefined, outputShape?: Shape): SizeChecks {
  const input = createScope(inputShape);
  const output = createScope(outputShape);
  const shared = new Set(input.sizes.map(({ name }) => name));
  return {
    input: hasPairs(input, new Set()) ? createCheck(input, undefined) : undefined,
    output: hasPairs(output, shared) ? createCheck(output, input) : undefined,
  };
}

/** Creates the check of a scope. @param given Scope of the checked input, when an output is checked. */
function createCheck(
  scope: SizeScope,
  given: SizeScope | undefined,
): (value: unknown, input?: unknown) => Issue | undefined {
  const outside = given?.sizes ?? [];
  if (scope.lists.length > 0) {
    return (value, input) => findUnequal(scope, value, readSizes(outside, input), "");
  }
  const groups = new Map<string, SizeGroup>();
  for (const size of [...outside, ...scope.sizes]) {
    const group = groups.get(size.name) ?? { name: size.name, outside: [], inside: [] };
    groups.set(size.name, group);
    (outside.includes(size) ? group.outside : group.inside).push(size);
  }
  const shared = [...groups.values()].filter(
    ({ outside: some, inside }) => inside.length > 0 && some.length + inside.length > 1,
  );
  return (value, input) => findInGroups(shared, value, input);
}

/** Sizes of one name. */
interface SizeGroup {
  readonly name: string;
  /** Sizes of the checked input. */
  readonly outside: NamedSize[];
  readonly inside: NamedSize[];
}

function findInGroups(groups: readonly SizeGroup[], value: unknown, input: unknown): Issue | undefined {
  for (const { name, outside, inside } of groups) {
    let known: number | undefined;
    for (const { fields, axis } of outside) known ??= readSize(input, fields, axis);
    for (const { fields, axis } of inside) {
      const size = readSize(value, fields, axis);
      if (known === undefined) known = size;
      else if (size !== undefined && size !== known) return unequal(name, size, known, placeOf("", fields));
    }
  }
  return undefined;
}

const unequal = (name: string, size: number, other: number, path: string): Issue => ({
  path,
  message: `size "${name}" is ${size} here and ${other} elsewhere in the same call`,
});

const placeOf = (at: string, fields: readonly string[]): string =>
  joinPath(at, formatSteps(fields.map((field) => ({ field }))));

function createScope(shape: Shape | undefined): SizeScope {
  const scope: SizeScope = { sizes: [], lists: [] };
  for (const { schema, steps, isCompared } of listTensors(shape)) if (isCompared) addTensor(scope, schema, steps);
  return scope;
}

/** A tensor in a contract. */
interface FoundTensor {
  readonly schema: TensorSchema;
  readonly steps: InnerSchema["steps"];
  /** False where a value does not say whether it is this tensor. */
  readonly isCompared: boolean;
}

function listTensors(shape: Shape | undefined): FoundTensor[] {
  if (shape === undefined) return [];
  const found: FoundTensor[] = [];
  const roots: [string, unknown][] = isSchema(shape) ? [["", shape]] : Object.entries(shape);
  for (const [field, root] of roots) {
    const start: InnerSchema["steps"] = field === "" && isSchema(shape) ? [] : [{ field }];
    walkSchema(root, ({ form, steps, unions, isChanged }) => {
      const schema = form?.kind === "leaf" ? form.own : undefined;
      if (isTensorSchema(schema)) {
        found.push({ schema, steps: [...start, ...steps], isCompared: !isChanged && !unions.some(isAmbiguous) });
      }
      return false;
    });
  }
  return found;
}

/** A named size that is compared with no other one. */
interface UncomparedSize {
  readonly name: string;
  /** Path of the tensor. */
  readonly path: string;
}

/** Lists sizes that have the name of another one in the contract and are not compared with it. */
export function listUncompared(shapes: Readonly<Record<string, Shape | undefined>>): UncomparedSize[] {
  const all = Object.entries(shapes).flatMap(([part, shape]) =>
    listTensors(shape).flatMap(({ schema, steps, isCompared }) =>
      [...new Set(schema.tensor.shape)].flatMap((name) =>
        typeof name === "string" ? [{ name, isCompared, path: joinPath(part, formatSteps(steps)) }] : [],
      ),
    ),
  );
  return all.filter((size) => !size.isCompared && all.some((other) => other !== size && other.name === size.name));
}

/** True for a union with tensors in several members: a value does not say which of them it is. */
const isAmbiguous = (members: readonly unknown[]): boolean =>
  members.filter((member) => findSchema(member, ({ form }) => form?.kind === "leaf" && form.type === "tensor")).length >
  1;

function addTensor(root: SizeScope, { tensor }: TensorSchema, steps: InnerSchema["steps"]): void {
  let scope = root;
  let fields: string[] = [];
  for (const step of steps) {
    if (typeof step === "string") {
      scope = listIn(scope, fields);
      fields = [];
    } else {
      fields.push(step.field);
    }
  }
  tensor.shape.forEach((name, axis) => {
    if (typeof name === "string") scope.sizes.push({ name, axis, fields });
  });
}

function listIn({ lists }: SizeScope, fields: readonly string[]): SizeScope {
  const key = JSON.stringify(fields);
  const known = lists.find((list) => JSON.stringify(list.fields) === key);
  if (known !== undefined) return known.item;
  const item: SizeScope = { sizes: [], lists: [] };
  lists.push({ fields, item });
  return item;
}

/** True when a name appears twice, counting those of the scopes around. */
function hasPairs({ sizes, lists }: SizeScope, around: ReadonlySet<string>): boolean {
  const names = new Set(around);
  for (const { name } of sizes) {
    if (names.has(name)) return true;
    names.add(name);
  }
  return lists.some(({ item }) => hasPairs(item, names));
}

function readSizes(sizes: readonly NamedSize[], value: unknown): Sizes {
  const read: Sizes = new Map();
  for (const { name, axis, fields } of sizes) {
    const size = readSize(value, fields, axis);
    if (size !== undefined && !read.has(name)) read.set(name, size);
  }
  return read;
}

/** Finds the first size that differs from an equally named one. @param known Sizes outside the scope; added to. */
function findUnequal({ sizes, lists }: SizeScope, value: unknown, known: Sizes, at: string): Issue | undefined {
  for (const { name, axis, fields } of sizes) {
    const size = readSize(value, fields, axis);
    if (size === undefined) continue;
    const other = known.get(name);
    if (other === undefined) known.set(name, size);
    else if (other !== size) return unequal(name, size, other, placeOf(at, fields));
  }
  for (const { fields, item } of lists) {
    const place = placeOf(at, fields);
    for (const [key, inner] of entriesOf(readField(value, fields))) {
      const issue = findUnequal(item, inner, new Map(known), `${place}[${String(key)}]`);
      if (issue !== undefined) return issue;
    }
  }
  return undefined;
}

function readField(value: unknown, fields: readonly string[]): unknown {
  let at = value;
  for (const field of fields) {
    if (typeof at !== "object" || at === null) return undefined;
    at = (at as Record<string, unknown>)[field];
  }
  return at;
}

/** Reads a size; `undefined` where there is no tensor, such as an optional one that is absent. */
function readSize(value: unknown, fields: readonly string[], axis: number): number | undefined {
  const tensor = readField(value, fields);
  return isTensor(tensor) ? tensor.shape[axis] : undefined;
}

function entriesOf(value: unknown): Iterable<readonly [unknown, unknown]> {
  if (Array.isArray(value)) return value.entries();
  if (value instanceof Map) return value;
  if (value instanceof Set) return [...value].entries();
  return typeof value === "object" && value !== null ? Object.entries(value) : [];
}
