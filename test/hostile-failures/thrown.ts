import { runInNewContext } from "node:vm";
import { ServingError } from "ekiben";

// Values that an author's code may throw: fixed oddities, and mixtures made from a seed. They are the same in every
// process.

type Make = () => unknown;
type Trait = (value: object) => object;

const refuse = (): never => {
  throw new TypeError("it throws when it is looked at");
};
const throwing =
  (key: PropertyKey): Trait =>
  (value) =>
    Object.defineProperty(value, key, { get: refuse, configurable: true });
const nested = (depth: number): Error => {
  let error = new Error("innermost");
  for (let i = 0; i < depth; i++) error = new Error(`level ${i}`, { cause: error });
  return error;
};
/** Has 31 objects that become 2^30 when each reference is written out. */
const growing = (): unknown => {
  let value: unknown = { x: 1 };
  for (let i = 0; i < 30; i++) value = [value, value];
  return value;
};
const sparse = (): unknown[] => {
  const list: unknown[] = [];
  list[4_000_000_000] = 1;
  return list;
};
const trapped = (value: object): object =>
  new Proxy(value, {
    ...{ get: refuse, has: refuse, getPrototypeOf: refuse, ownKeys: refuse, getOwnPropertyDescriptor: refuse },
    ...{ set: refuse, defineProperty: refuse, isExtensible: refuse, preventExtensions: refuse },
  });
const revoked = (): object => {
  const { proxy, revoke } = Proxy.revocable(new Error("revoked"), {});
  revoke();
  return proxy;
};
const failure = (details: unknown, rest: object = {}): ServingError =>
  new ServingError({
    code: "not_found",
    id: "odd",
    message: "odd",
    details: details as Record<string, unknown>,
    ...rest,
  });
const own = (error: object, key: string, value: unknown): object =>
  Object.defineProperty(error, key, { value, configurable: true, enumerable: true, writable: true });
/** Answers once, and throws when it is read again. */
const onceOnly: Trait = (value) => {
  let reads = 0;
  return Object.defineProperty(value, "message", {
    get: () => (reads++ === 0 ? "first" : refuse()),
    configurable: true,
  });
};

const bases: Readonly<Record<string, () => object>> = {
  error: () => new Error("plain"),
  failure: () => failure({ page: 7 }),
  "a placed failure": () => failure({}, { service: "Else", api: "where" }),
  "an aggregate": () => new AggregateError([new Error("one"), new Error("two")], "several"),
  object: () => ({ message: "an object" }),
  "a null prototype": () => Object.create(null) as object,
  "of another realm": () => runInNewContext("new Error('elsewhere')") as object,
};

const traits: Readonly<Record<string, Trait>> = {
  frozen: Object.freeze,
  "message throws": throwing("message"),
  "name throws": throwing("name"),
  "stack throws": throwing("stack"),
  "cause throws": throwing("cause"),
  "details throw": throwing("details"),
  "code throws": throwing("code"),
  "service throws": throwing("service"),
  "then throws": throwing("then"),
  "toString throws": throwing("toString"),
  "toJSON throws": throwing("toJSON"),
  "errors throw": throwing("errors"),
  "constructor throws": throwing("constructor"),
  "toPrimitive throws": throwing(Symbol.toPrimitive),
  "toStringTag throws": throwing(Symbol.toStringTag),
  "an own getter throws": throwing("extra"),
  "message reads once": onceOnly,
  "message is no text": (value) => own(value, "message", { toString: refuse }),
  "message is long": (value) => own(value, "message", "x".repeat(10_000_000)),
  "stack is long": (value) => own(value, "stack", "y".repeat(10_000_000)),
  "stack is no text": (value) => own(value, "stack", 5),
  "code is unknown": (value) => own(value, "code", "no_such_code"),
  "a status that is none": (value) => own(value, "httpStatus", Number.NaN),
  "a broken status": (value) => own(value, "httpStatus", 404.5),
  "causes itself": (value) => own(value, "cause", value),
  "causes without end": (value) => own(value, "cause", nested(12_000)),
  "holds itself": (value) => own(value, "self", value),
  "details are a proxy": (value) => own(value, "details", trapped({})),
  "details are nothing": (value) => own(value, "details", null),
  "details grow": (value) => own(value, "details", { grown: growing() }),
  "details are sparse": (value) => own(value, "details", { list: sparse() }),
  "details hold a getter": (value) => own(value, "details", throwing("x")({ y: 1 })),
  "a field grows": (value) => own(value, "extra", growing()),
  "a field is a symbol": (value) => own(value, "extra", Symbol("s")),
  "a field is a bigint": (value) => own(value, "extra", 10n),
  "is a proxy": trapped,
};

const fixed: Readonly<Record<string, Make>> = {
  undefined: () => undefined,
  null: () => null,
  symbol: () => Symbol("thrown"),
  bigint: () => 3n,
  function: () => refuse,
  "a long text": () => "z".repeat(10_000_000),
  "a revoked proxy": revoked,
  "an aggregate of itself": () => {
    const error = new AggregateError([], "round");
    error.errors.push(error, growing(), trapped({}));
    return error;
  },
  "a promise that rejects": () => Promise.reject(new Error("in a promise")),
};

/** Small random number generator (mulberry32). */
function createRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** Each trait on an error or on a failure, and mixtures of one to three traits on any base. */
function mix(count: number): [string, Make][] {
  const random = createRandom(11);
  const [baseNames, traitNames] = [Object.keys(bases), Object.keys(traits)];
  const pick = (names: readonly string[]) => names[random(names.length)] as string;
  const single = traitNames.map((trait, i) => [i % 2 === 0 ? "error" : "failure", [trait]] as const);
  const mixed = Array.from({ length: count }, () => {
    const chosen = Array.from({ length: 1 + random(3) }, () => pick(traitNames));
    return [pick(baseNames), chosen] as const;
  });
  const recipes: readonly (readonly [string, readonly string[]])[] = [...single, ...mixed];
  return recipes.map(([base, chosen]) => [
    `${base}: ${chosen.join(", ")}`,
    () => chosen.reduce<object>(applyTrait, (bases[base] as () => object)()),
  ]);
}

/** One trait may have removed a property that the next trait needs. */
function applyTrait(value: object, trait: string): object {
  try {
    return (traits[trait] as Trait)(value);
  } catch {
    return value;
  }
}

const all = new Map<string, Make>([...Object.entries(fixed), ...mix(24)]);

export const thrownNames: readonly string[] = [...all.keys()];
export const makeThrown = (name: string): unknown => (all.get(name) as Make)();
