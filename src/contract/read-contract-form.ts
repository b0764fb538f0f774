import { isName } from "../base/name-pattern.js";
import { fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import { type ApiForm, type ContractForm, contractVersion, type TypeForm } from "./contract-form.js";

// Reads contracts that come from outside: from a peer, a file, a URL.
//
// RCF1  A value that is accepted is plain JSON of bounded size and depth, without a name that a prototype has.
// RCF2  Reading takes time in proportion to the limits below, whatever the value.

/** Most apis of one service. */
const maxApis = 1000;
/** Most values in one contract: fields, items of lists, texts and numbers. */
const maxValues = 200_000;
/** Deepest nesting inside a type. Schemas that refer to themselves do so by `$ref`, not by depth. */
const maxDepth = 64;
/** Most characters of a name or of an HTTP path. */
const maxNameLength = 1024;

const kinds: readonly unknown[] = ["unary", "stream", "task"];
const apiFields = ["name", "kind", "takesStream", "input", "output", "idempotent", "timeoutMs", "route"];
/** Names that a prototype has, or that reach one. */
const refusedNames = new Set(["__proto__", "constructor", "prototype"]);

/**
 * Reads a contract of unknown origin and returns a copy of it.
 *
 * @throws {ServingError} `invalid_contract_form`, with the place and the problem.
 */
export function readContractForm(value: unknown): ContractForm {
  const form = readObject(value, "", ["contract", "service", "apis"]);
  if (form["contract"] !== contractVersion) {
    throw refuse(
      "contract",
      `its form has version ${show(form["contract"])}; this ekiben reads version ${contractVersion}`,
    );
  }
  const apis = form["apis"];
  if (!Array.isArray(apis)) throw refuse("apis", "it is not a list");
  if (apis.length > maxApis) throw refuse("apis", `it has ${apis.length} apis, at most ${maxApis} are read`);
  const budget = { left: maxValues };
  const read = apis.map((api: unknown, index) => readApiForm(api, `apis[${index}]`, budget));
  const names = new Set(read.map(({ name }) => name));
  if (names.size < read.length) throw refuse("apis", "two apis have the same name");
  const service = readName(form["service"], "service");
  return { contract: contractVersion, service, apis: read.sort((a, b) => (a.name < b.name ? -1 : 1)) };
}

interface Budget {
  left: number;
}

function readApiForm(value: unknown, at: string, budget: Budget): ApiForm {
  const api = readObject(value, at, apiFields);
  const { kind, takesStream, idempotent, route, timeoutMs } = api;
  if (!kinds.includes(kind)) throw refuse(`${at}.kind`, `it is ${show(kind)}, expected unary, stream or task`);
  if (typeof takesStream !== "boolean") throw refuse(`${at}.takesStream`, "it is not true or false");
  if (typeof idempotent !== "boolean") throw refuse(`${at}.idempotent`, "it is not true or false");
  if (typeof route !== "string" || route.length > maxNameLength) throw refuse(`${at}.route`, "it is not a path");
  if (timeoutMs !== undefined && !(Number.isSafeInteger(timeoutMs) && Number(timeoutMs) > 0)) {
    throw refuse(`${at}.timeoutMs`, "it is not a number of milliseconds");
  }
  const typeAt = (field: string): TypeForm => readType(api[field], `${at}.${field}`, budget);
  return {
    name: readName(api["name"], `${at}.name`),
    kind: kind as ApiForm["kind"],
    takesStream,
    ...(api["input"] !== undefined && { input: typeAt("input") }),
    output: typeAt("output"),
    idempotent,
    ...(timeoutMs !== undefined && { timeoutMs: Number(timeoutMs) }),
    route,
  };
}

function readName(value: unknown, at: string): string {
  if (typeof value !== "string" || value.length > maxNameLength || !isName(value) || refusedNames.has(value)) {
    throw refuse(at, `${show(value)} is no name`);
  }
  return value;
}

function readType(value: unknown, at: string, budget: Budget): TypeForm {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw refuse(at, "it is not a JSON Schema");
  return copyJson(value, at, budget, 0) as TypeForm;
}

/** Copies plain JSON. The path is that of the type, which is precise enough and costs nothing. */
function copyJson(value: unknown, at: string, budget: Budget, depth: number): unknown {
  if (--budget.left < 0) throw refuse(at, `the contract has more than ${maxValues} values`);
  if (depth > maxDepth) throw refuse(at, `it is nested deeper than ${maxDepth}`);
  if (value === null || typeof value === "boolean" || typeof value === "string") return value;
  if (typeof value === "number") {
    if (Number.isFinite(value)) return value;
    throw refuse(at, "it has a number that JSON can't carry");
  }
  if (Array.isArray(value)) return value.map((item: unknown) => copyJson(item, at, budget, depth + 1));
  if (typeof value !== "object") throw refuse(at, `it has a ${typeof value}, which JSON can't carry`);
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    if (key === "__proto__") throw refuse(at, "it has a field named __proto__");
    copy[key] = copyJson((value as Record<string, unknown>)[key], at, budget, depth + 1);
  }
  return copy;
}

function readObject(value: unknown, at: string, known: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw refuse(at, "it is not an object");
  const unknown = Object.keys(value).find((field) => !known.includes(field));
  if (unknown !== undefined) throw refuse(at, `it has an unknown field ${show(unknown)}`);
  return value as Readonly<Record<string, unknown>>;
}

const refuse = (at: string, problem: string): ServingError => fail("invalid_contract_form", { at, problem });

/** Formats a value of a stranger, cut short. */
function show(value: unknown): string {
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "a list" : "an object";
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
