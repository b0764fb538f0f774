import { fail } from "../failure/fail.js";
import type { Issue } from "../failure/failures.js";
import { batchProblem } from "./row-layout.js";
import {
  type CheckResult,
  checkSchema,
  isSchema,
  type JsonSchema,
  jsonSchemaOf,
  rebaseRefs,
  type Schema,
  type Shape,
} from "./schema.js";
import { isTensor } from "./tensor.js";
import { isTensorSchema } from "./tensor-schema.js";

/** What every contract may say besides its types. Each of the bounds is an option of the api (see `ekiben options`). */
export interface ContractOptions {
  /** HTTP path. Default `/<api name>`. */
  readonly route?: string;
  /** One line for OpenAPI and the docs page. */
  readonly summary?: string;
  /** Inputs for the docs page; each must fit the input schema (`ekiben check` sees to it). */
  readonly examples?: readonly unknown[];
  readonly timeoutMs?: number;
  readonly maxConcurrent?: number;
  readonly maxQueued?: number;
  /** May be retried after it may have run. Default false. */
  readonly idempotent?: boolean;
}

/** How the rows of several calls are joined into one; each field is an option, `batch.maxRows` and so on. */
export interface BatchOptions {
  /** Most rows of a batch, never exceeded; a call with more is run in pieces. */
  readonly maxRows: number;
  /** Milliseconds in which the first call of a batch should be answered: bounds its wait and its size. Default none. */
  readonly targetLatencyMs?: number;
  /** Milliseconds the first call of a batch waits for others. Default: as long as pays, by what batches were seen to cost. */
  readonly windowMs?: number;
  /** Batches that run at once in one replica. Default 1: while one runs, the next gathers. */
  readonly maxConcurrent?: number;
}

/** A contract as `api()` was given it. */
export interface Contract extends ContractOptions {
  readonly input?: Shape;
  readonly output?: Shape;
  readonly yields?: Shape;
  readonly batch?: BatchOptions;
}

/** Checks a value and gives it as its schema hands it on; throws, or rejects, with what is wrong. */
export type Check = (value: unknown) => unknown | Promise<unknown>;

/** The checks of one api, made once. */
export interface ContractChecks {
  readonly input: Check;
  /** Of the output, or of each item a stream yields. `input` is the checked input, for sizes both share. */
  readonly output: (value: unknown, input: unknown) => unknown | Promise<unknown>;
}

/** Compiles the checks of a contract. The contract must have passed `contractProblem`. */
export function createChecks(contract: Contract): ContractChecks {
  const result = (contract.output ?? contract.yields) as Shape;
  const inputs = namedDims(contract.input, true);
  const outputs = namedDims(result, false);
  const ofInput = pairDims(inputs);
  const ofOutput = pairDims([...inputs, ...outputs]).filter(({ other }) => !other.isInput);
  const checkInput = contract.input === undefined ? checkNothing : checkShape(contract.input);
  const checkOutput = checkShape(result);
  return {
    input: (value) => {
      const checked = checkInput(value);
      if (checked instanceof Promise) {
        return checked.then((settled) => accept("invalid_input", settled, ofInput, settled.value));
      }
      return accept("invalid_input", checked, ofInput, checked.value);
    },
    output: (value, input) => {
      const checked = checkOutput(value);
      if (checked instanceof Promise) {
        return checked.then((settled) => accept("invalid_output", settled, ofOutput, input));
      }
      return accept("invalid_output", checked, ofOutput, input);
    },
  };
}

function accept(
  id: "invalid_input" | "invalid_output",
  result: CheckResult,
  pairs: readonly DimPair[],
  input: unknown,
): unknown {
  if (result.issues !== undefined) throw fail(id, { issues: result.issues });
  if (pairs.length > 0) {
    const issue = findUnequal(pairs, input, result.value);
    if (issue !== undefined) throw fail(id, { issues: [issue] });
  }
  return result.value;
}

/** An api without input takes what a caller who has nothing to say may send. */
function checkNothing(value: unknown): CheckResult {
  if (value === undefined || value === null) return { value: undefined };
  if (typeof value === "object" && Object.keys(value).length === 0) return { value: undefined };
  return { issues: [{ path: "", message: "this api takes no input" }] };
}

/** A schema's own check, or that of an object of schemas, field by field; unknown fields are left out, as zod does. */
function checkShape(shape: Shape): (value: unknown) => CheckResult | Promise<CheckResult> {
  if (isSchema(shape)) return (value) => checkSchema(shape, value);
  const fields = Object.entries(shape as Record<string, Schema>);
  return (value) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      const names = fields.map(([name]) => name).join(", ");
      return { issues: [{ path: "", message: `expected an object with ${names}, got ${describeType(value)}` }] };
    }
    const results = fields.map(([name, schema]) =>
      checkSchema(schema, Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined),
    );
    if (results.some((result) => result instanceof Promise)) {
      return Promise.all(results).then((settled) => joinFields(fields, settled));
    }
    return joinFields(fields, results as CheckResult[]);
  };
}

function joinFields(fields: readonly [string, Schema][], results: readonly CheckResult[]): CheckResult {
  const value: Record<string, unknown> = {};
  const issues: Issue[] = [];
  results.forEach((result, i) => {
    const name = (fields[i] as [string, Schema])[0];
    if (result.issues !== undefined) for (const issue of result.issues) issues.push(under(name, issue));
    else if (result.value !== undefined) value[name] = result.value;
  });
  return issues.length > 0 ? { issues } : { value };
}

const under = (name: string, { path, message }: Issue): Issue => ({
  path: path === "" ? name : path.startsWith("[") ? name + path : `${name}.${path}`,
  message,
});

/** A named size of a tensor: `field` is `""` for the value itself. */
interface NamedDim {
  readonly name: string;
  readonly isInput: boolean;
  readonly field: string;
  readonly axis: number;
}

/** Two sizes with one name; they are compared at each call. */
interface DimPair {
  readonly first: NamedDim;
  readonly other: NamedDim;
}

function namedDims(shape: Shape | undefined, isInput: boolean): NamedDim[] {
  if (shape === undefined) return [];
  const fields: [string, unknown][] = isSchema(shape) ? [["", shape]] : Object.entries(shape);
  return fields.flatMap(([field, schema]) => {
    const dims = isTensorSchema(schema) ? schema.tensor.shape : [];
    return dims.flatMap((name, axis) => (typeof name === "string" ? [{ name, isInput, field, axis }] : []));
  });
}

/** Each size with the first one of its name. */
function pairDims(dims: readonly NamedDim[]): DimPair[] {
  return dims.flatMap((other) => {
    const first = dims.find(({ name }) => name === other.name) as NamedDim;
    return first === other ? [] : [{ first, other }];
  });
}

function findUnequal(pairs: readonly DimPair[], input: unknown, value: unknown): Issue | undefined {
  for (const { first, other } of pairs) {
    const bound = readSize(first, input, value);
    const size = readSize(other, input, value);
    if (bound === size || bound === undefined || size === undefined) continue;
    const message = `size "${other.name}" is ${size} here and ${bound} elsewhere in the same call`;
    return { path: other.field, message };
  }
  return undefined;
}

/** `undefined` where an optional field is absent. */
function readSize({ isInput, field, axis }: NamedDim, input: unknown, value: unknown): number | undefined {
  const whole = isInput ? input : value;
  const at = field === "" ? whole : (whole as Record<string, unknown> | undefined)?.[field];
  return isTensor(at) ? at.shape[axis] : undefined;
}

/** What is wrong with a contract as the author wrote it; `undefined` when nothing is. */
export function contractProblem(contract: Contract): string | undefined {
  if (typeof contract !== "object" || contract === null) return "api() was given no contract";
  if (contract.output === undefined && contract.yields === undefined)
    return "the contract has neither output nor yields";
  if (contract.output !== undefined && contract.yields !== undefined) return "the contract has both output and yields";
  for (const part of ["input", "output", "yields"] as const) {
    const shape: unknown = contract[part];
    if (shape === undefined || isSchema(shape)) continue;
    if (typeof shape !== "object" || shape === null || Array.isArray(shape)) return `${part} is not a schema`;
    const wrong = Object.entries(shape).find(([, schema]) => !isSchema(schema));
    if (wrong !== undefined) return `${part}.${wrong[0]} is not a schema`;
  }
  return contract.batch === undefined ? undefined : batchProblem(contract);
}

/** The JSON Schema of a shape; `{}` (anything) stands for a schema that can't say it. */
export function shapeJsonSchema(shape: Shape | undefined, side: "input" | "output"): JsonSchema {
  if (shape === undefined) return { type: "null" };
  if (isSchema(shape)) return jsonSchemaOf(shape, side) ?? {};
  const fields = Object.entries(shape);
  const required = fields.filter(([, schema]) => !acceptsUndefined(schema)).map(([name]) => name);
  return {
    type: "object",
    properties: Object.fromEntries(
      fields.map(([name, schema]) => [name, rebaseRefs(jsonSchemaOf(schema, side) ?? {}, `#/properties/${name}`)]),
    ),
    required,
  };
}

function acceptsUndefined(schema: Schema): boolean {
  try {
    const result = schema["~standard"].validate(undefined);
    return !(result instanceof Promise) && result.issues === undefined;
  } catch {
    return false;
  }
}

function describeType(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  return Array.isArray(value) ? "a list" : `a ${typeof value}`;
}
