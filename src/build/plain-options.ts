import type { ServiceDescriptor } from "../define/descriptor.js";
import { toFault } from "../define/descriptor.js";
import { fail, type GraphFault } from "../failure/failures.js";
import { contractFields, options } from "../options/options.js";
import { isSecret, secret } from "../options/secret.js";
import type { DeclaredPlain } from "./manifest.js";

// Options of a build as plain JSON. A secret is kept by its name, never by its text; a value that was read from the
// environment is refused, since a manifest is copied to other machines.

/** Field of the object that stands for a secret: its name. */
const secretField = "$secret";
/** Field of the object that stands for a number that JSON does not have. */
const numberField = "$number";

/** Fields that are code: they are in the bundle. */
const codeFields = ["intercept", "fastify", "context"];

/** Shortest text of an environment variable that is looked for among options. Shorter ones are equal by chance. */
const minSecretLength = 6;

/** Environment to look for, and where faults go. */
export interface PlainContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly faults: GraphFault[];
}

/** Turns an option into JSON. Functions are left out. */
export function toPlain(value: unknown, at: string, context: PlainContext, service = ""): unknown {
  if (isSecret(value)) return { [secretField]: value.variable };
  if (typeof value === "number" && !Number.isFinite(value)) return { [numberField]: String(value) };
  if (typeof value === "function" || value === undefined) return undefined;
  if (typeof value === "string") {
    const variable = findVariable(value, context.env);
    if (variable !== undefined) {
      context.faults.push(toFault(service, at, fail("value_of_environment", { option: at, variable })));
    }
    return value;
  }
  if (Array.isArray(value))
    return value.map((item: unknown, index) => toPlain(item, `${at}[${index}]`, context, service));
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value).flatMap(([name, inner]) => {
    const plain = toPlain(inner, at === "" ? name : `${at}.${name}`, context, service);
    return plain === undefined ? [] : [[name, plain] as const];
  });
  return Object.fromEntries(fields);
}

/** Finds a variable whose text is part of a value. Names that say where a program runs are no secrets. */
function findVariable(value: string, env: PlainContext["env"]): string | undefined {
  return Object.keys(env).find((name) => {
    const text = env[name] ?? "";
    return (
      text.length >= minSecretLength && /KEY|TOKEN|SECRET|PASS|CREDENTIAL|URL|DSN/i.test(name) && value.includes(text)
    );
  });
}

/** Turns JSON made by `toPlain` back into options. */
export function fromPlain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(fromPlain);
  if (typeof value !== "object" || value === null) return value;
  const { [secretField]: name, [numberField]: number } = value as Readonly<Record<string, unknown>>;
  if (typeof name === "string") return secret(name);
  if (typeof number === "string") return Number(number);
  return Object.fromEntries(Object.entries(value).map(([field, inner]) => [field, fromPlain(inner)]));
}

/** Options that the code of a service declares, as JSON. */
export function declaredPlain({ name, options: own, apis }: ServiceDescriptor, context: PlainContext): DeclaredPlain {
  const { name: _, ...rest } = own as Readonly<Record<string, unknown>>;
  const plainApis = [...apis.values()].map(({ name: api, contract }) => {
    const given = Object.entries(contract).filter(([field]) => !contractFields.includes(field));
    const { cache, ...others } = Object.fromEntries(given) as Readonly<Record<string, unknown>>;
    const limits = cache === undefined ? others : { ...others, cache: optionsOf("cache", cache) };
    return [api, toPlain(limits, api, context, name)] as const;
  });
  return {
    options: toPlain(without(rest, codeFields), "", context, name) as DeclaredPlain["options"],
    apis: Object.fromEntries(plainApis) as DeclaredPlain["apis"],
  };
}

/** Keeps the fields of a group that are options. */
const optionsOf = (group: string, fields: unknown): object =>
  Object.fromEntries(Object.entries(fields as object).filter(([field]) => options.has(`${group}.${field}`)));

const without = (fields: Readonly<Record<string, unknown>>, names: readonly string[]): object =>
  Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name)));

/** Options of the HTTP server and of the app as a whole that only the entry service needs. */
const entryOptions = ["http", "port", "host", "adminPort", "adminHost"];

/**
 * Cuts the values of an app file down to what the services of one folder need.
 *
 * @param value   Plain value of the app file.
 * @param names   Services in the folder.
 * @param isEntry True for the folder of the entry service.
 */
export function cutAppFile(value: unknown, names: readonly string[], isEntry: boolean): unknown {
  if (typeof value !== "object" || value === null) return value;
  const { services, ...rest } = value as Readonly<Record<string, unknown>>;
  const own = Object.entries((services ?? {}) as object).filter(([name]) => names.includes(name));
  return {
    ...without(rest, isEntry ? [] : entryOptions),
    ...(own.length > 0 && { services: Object.fromEntries(own) }),
  };
}
