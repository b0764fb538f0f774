import { holdValue } from "../call/copy-value.js";
import { openItems, streamProblem } from "../call/streams/item-reader.js";
import { lastStep } from "../call/streams/item-source.js";
import { nameStream, onceKey, StreamUse } from "../call/streams/stream-use.js";
import { settlePromises } from "../call/value-walk.js";
import { fail, type Issue } from "../failure/failures.js";
import type { ApiFileOptions, BatchFileOptions } from "../options/app-file.js";
import type { CacheOptions } from "./cache-options.js";
import { findSchema, formatSteps, joinPath } from "./find-schema.js";
import type { ApiKind } from "./handle-type.js";
import { createSizeChecks } from "./named-sizes.js";
import { ownTypeOf } from "./own-schema.js";
import { batchProblem } from "./rows/row-layout.js";
import type { ScheduleOptions } from "./schedule.js";
import {
  type CheckResult,
  createPacedCheck,
  createSchemaCheck,
  isSchema,
  isStreamSchema,
  type JsonSchema,
  jsonSchemaOf,
  rebaseRefs,
  type Schema,
  type SchemaCheck,
  type Shape,
} from "./schema.js";

/** Fields of a contract besides its types. Each limit is an option of the api (see `ekiben options`). */
export interface ContractOptions extends Omit<ApiFileOptions, "batch" | "cache" | "attempts" | "retryBackoffMs"> {
  /** HTTP path. Default `/<api name>`. */
  readonly route?: string;
  /** Status of the answer over HTTP, 200 unless given; 204 sends no body. `currentCall().response` may set another. */
  readonly status?: 200 | 201 | 202 | 203 | 204;
  /** One line for OpenAPI and the docs page. */
  readonly summary?: string;
  /** Inputs for the docs page; each must fit the input schema (`ekiben check` sees to it). */
  readonly examples?: readonly unknown[];
}

/** Fields that the contract of a task can't have. */
const taskUnfit: readonly string[] = ["yields", "batch"];

/** Options of `batch` in a contract, `batch.maxRows` and so on. */
export interface BatchOptions extends Omit<BatchFileOptions, "maxRows"> {
  /** Most rows in one batch, never exceeded; a call with more rows runs in several batches. */
  readonly maxRows: number;
}

/** A contract as `api()` or `task()` was given it. */
export interface Contract extends ContractOptions, ScheduleOptions {
  readonly input?: Shape;
  readonly output?: Shape;
  readonly yields?: Shape;
  readonly batch?: BatchOptions;
  readonly scheduleInput?: unknown;
  readonly cache?: CacheOptions;
}

/** Checks a value and returns it as its schema transforms it. Throws, or rejects, with the issues. */
export type Check = (value: unknown) => unknown | Promise<unknown>;

/** Checks of one api, made once. */
interface ContractChecks {
  readonly input: Check;
  /**
   * Check of the output, or of each item of a stream. `input` is the checked input, for tensor sizes that both share.
   */
  readonly output: (value: unknown, input: unknown) => unknown | Promise<unknown>;
  /**
   * Schema of a stream's items; `undefined` when items share named sizes with the input, so that the schema is not
   * enough.
   */
  readonly itemSchema: Shape | undefined;
}

/** Compiles the checks of a contract. The contract must have passed `contractProblem`. */
export function createChecks(contract: Contract): ContractChecks {
  const result = (contract.output ?? contract.yields) as Shape;
  const sizes = createSizeChecks(contract.input, result);
  return {
    itemSchema: sizes.output === undefined ? contract.yields : undefined,
    input: createInputCheck(contract.input, sizes.input),
    output: createOutputCheck(checkShape(result), sizes.output),
  };
}

/** Finds a size that differs from another one of its name. @param input The checked input. */
type SizeCheck = (value: unknown, input: unknown) => Issue | undefined;

/**
 * Creates the check of an output. The author may change an output as soon as other code runs, so an asynchronous check
 * reads a copy. Only its first run shows that a check is asynchronous, so the first value is checked twice.
 */
function createOutputCheck(check: SchemaCheck, sizes: SizeCheck | undefined): ContractChecks["output"] {
  let isSlow = false;
  return (value, input) => {
    let checked = check(isSlow ? holdValue(value) : value);
    if (!(checked instanceof Promise)) return acceptOutput(value, checked, sizes, input);
    if (!isSlow) {
      isSlow = true;
      checked.catch(() => {});
      checked = Promise.resolve(check(holdValue(value)));
    }
    return checked.then((settled) => acceptOutput(value, settled, sizes, input));
  };
}

/** Creates the check of an input. @param sizes Compares tensor sizes in it that share a name. */
export function createInputCheck(shape: Shape | undefined, sizes?: SizeCheck): Check {
  if (isStreamSchema(shape)) return createStreamCheck(shape.stream.item);
  const check = shape === undefined ? checkNothing : checkShape(shape, createPacedCheck);
  return (value) => {
    const checked = check(value);
    if (checked instanceof Promise) {
      return checked.then((settled) => accept("invalid_input", settled, sizes, undefined));
    }
    return accept("invalid_input", checked, sizes, undefined);
  };
}

/** Creates the check of an input that is a stream. Its items are checked as they are read, each by itself. */
function createStreamCheck(item: Shape): Check {
  const { input: sizes } = createSizeChecks(item);
  const check = checkShape(item);
  const acceptItem = (result: CheckResult, index: number) => {
    const issue = result.issues === undefined ? sizes?.(result.value) : undefined;
    const issues = result.issues ?? (issue === undefined ? [] : [issue]);
    if (issues.length === 0) return result.value;
    throw fail("invalid_input", { issues: issues.map((found) => under(`[${index}]`, found)) });
  };
  const checkItem: ItemCheck = (value, index) => {
    const checked = check(value);
    if (checked instanceof Promise) return checked.then((settled) => acceptItem(settled, index));
    return acceptItem(checked, index);
  };
  return (value) => {
    const problem = streamProblem(value);
    if (problem !== undefined) throw fail("invalid_input", { issues: [{ path: "", message: problem }] });
    const stream = () => nameStream(value as object);
    return new CheckedItems(openItems(value as AsyncIterable<unknown>, "checked"), checkItem, stream);
  };
}

/**
 * Accepts or refuses an output. Settles unawaited promises in a refused one, so that they cause no unhandled rejection.
 */
function acceptOutput(value: unknown, result: CheckResult, sizes: SizeCheck | undefined, input: unknown): unknown {
  if (result.issues !== undefined) settlePromises(value);
  return accept("invalid_output", result, sizes, input);
}

function accept(
  id: "invalid_input" | "invalid_output",
  result: CheckResult,
  sizes: SizeCheck | undefined,
  input: unknown,
): unknown {
  if (result.issues !== undefined) throw fail(id, { issues: result.issues });
  const issue = sizes?.(result.value, input);
  if (issue !== undefined) throw fail(id, { issues: [issue] });
  return result.value;
}

/** Checks the input of an api that takes none: `undefined`, `null` and `{}` are accepted. */
function checkNothing(value: unknown): CheckResult {
  if (value === undefined || value === null) return { value: undefined };
  if (typeof value === "object" && Object.keys(value).length === 0) return { value: undefined };
  return { issues: [{ path: "", message: "this api takes no input" }] };
}

/**
 * Creates the check of a schema, or of an object of schemas, field by field. Unknown fields are left out, as in zod.
 */
function checkShape(shape: Shape, createCheck = createSchemaCheck): SchemaCheck {
  if (isSchema(shape)) return createCheck(shape);
  const fields = Object.entries(shape as Record<string, Schema>).map(
    ([name, schema]) => [name, createCheck(schema)] as const,
  );
  return (value) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      const names = fields.map(([name]) => name).join(", ");
      return { issues: [{ path: "", message: `expected an object with ${names}, got ${formatType(value)}` }] };
    }
    const results = fields.map(([name, check]) =>
      check(Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined),
    );
    if (results.some((result) => result instanceof Promise)) {
      return Promise.all(results).then((settled) => joinFields(fields, settled));
    }
    return joinFields(fields, results as CheckResult[]);
  };
}

function joinFields(fields: readonly (readonly [string, SchemaCheck])[], results: readonly CheckResult[]): CheckResult {
  const value: Record<string, unknown> = {};
  const issues: Issue[] = [];
  results.forEach((result, i) => {
    const name = (fields[i] as readonly [string, SchemaCheck])[0];
    if (result.issues !== undefined) for (const issue of result.issues) issues.push(under(name, issue));
    else if (result.value !== undefined) value[name] = result.value;
  });
  return issues.length > 0 ? { issues } : { value };
}

const under = (name: string, { path, message }: Issue): Issue => ({
  path: path === "" ? name : path.startsWith("[") ? name + path : `${name}.${path}`,
  message,
});

/** Turns `output: stream(x)` into `yields: x`, so that a contract has one form from here on. */
export function readStreamOutput(contract: Contract): Contract {
  if (contract?.yields !== undefined || !isStreamSchema(contract?.output)) return contract;
  const { output, ...rest } = contract;
  return { ...rest, yields: output.stream.item };
}

/** Returns the problem of a contract as the author wrote it; `undefined` for a valid one. */
export function contractProblem(written: Contract, kind?: ApiKind): string | undefined {
  if (typeof written !== "object" || written === null)
    return `${kind === "task" ? "task" : "api"}() was given no contract`;
  const contract = kind === "task" ? written : readStreamOutput(written);
  const unfit =
    kind === "task" ? taskUnfit.find((field) => (contract as Record<string, unknown>)[field] !== undefined) : undefined;
  if (unfit !== undefined) return `a task can't have ${unfit}: only its one result is stored`;
  if (kind !== "task" && (written.every !== undefined || written.cron !== undefined))
    return "only a task can have a schedule (every, cron); make it with task()";
  if (kind === "task" && isStreamSchema(contract.output))
    return "a task can't have a stream() as output: only its one result is stored";
  if (contract.output === undefined && contract.yields === undefined)
    return "the contract has neither output nor yields";
  if (contract.output !== undefined && contract.yields !== undefined) return bothResults(contract);
  const status = statusProblem(contract);
  if (status !== undefined) return status;
  if (isStreamSchema(contract.yields)) return "yields is a stream() of streams; give it the schema of one item";
  for (const part of ["input", "output", "yields"] as const) {
    const shape = contract[part];
    const problem =
      part === "input" && isStreamSchema(shape)
        ? shapeProblem(shape.stream.item, "stream()")
        : shapeProblem(shape, part);
    if (problem !== undefined) return problem;
  }
  return contract.batch === undefined ? undefined : batchProblem(contract);
}

function statusProblem({ status, output }: Contract): string | undefined {
  if (status === undefined) return undefined;
  if (![200, 201, 202, 203, 204].includes(status)) {
    return `status is ${String(status)}; the answer of an api has 200, 201, 202, 203 or 204, and a ServingError has the others`;
  }
  const isEmpty = isSchema(output) && acceptsUndefined(output);
  return status === 204 && !isEmpty
    ? "status 204 sends no body, so the output must be z.void() or the like"
    : undefined;
}

const bothResults = ({ output }: Contract): string =>
  isStreamSchema(output)
    ? "the contract has both output and yields; output: stream(x) means the same as yields: x, so give one of them"
    : "the contract has both output and yields";

/** @param part Name of the shape, in words. */
function shapeProblem(shape: unknown, part: string): string | undefined {
  if (isStreamSchema(shape)) return `the items of ${part} are streams themselves`;
  if (shape === undefined && part !== "stream()") return undefined;
  if (isSchema(shape)) return foreignProblem(shape, part);
  if (typeof shape !== "object" || shape === null || Array.isArray(shape)) return `${part} is not a schema`;
  for (const [field, schema] of Object.entries(shape)) {
    if (!isSchema(schema)) return `${part}.${field} is not a schema`;
    if (isStreamSchema(schema)) return `${part}.${field} is a stream(); only a whole input or output can be one`;
    const problem = foreignProblem(schema, `${part}.${field}`);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/**
 * Finds a schema inside `schema` that its library can't run: it would fail at each call and not before. `file()` and
 * `tensor()` may stand anywhere.
 */
function foreignProblem(schema: Schema, part: string): string | undefined {
  const library = schema["~standard"].vendor;
  const foreign = findSchema(
    schema,
    (inner) => isSchema(inner.schema) && inner.schema["~standard"].vendor !== library && !ownTypeOf(inner.schema),
  );
  if (foreign === undefined) return undefined;
  const place = joinPath(part, formatSteps(foreign.steps));
  if (isStreamSchema(foreign.schema)) return `${place} is a stream(); only a whole input or output can be one`;
  const { vendor } = (foreign.schema as Schema)["~standard"];
  const advice = "write it with the same library, or make it a field of its own in an object of schemas";
  return `${place} is a schema of ${vendor} inside a schema of ${library}, which can't check it; ${advice}`;
}

/**
 * Returns the JSON Schema of a shape; `{}` (anything) for a schema without one. A stream is a list, as in a JSON body.
 */
export function shapeJsonSchema(shape: Shape | undefined, side: "input" | "output"): JsonSchema {
  if (shape === undefined) return { type: "null" };
  if (isStreamSchema(shape)) {
    return { type: "array", items: rebaseRefs(shapeJsonSchema(shape.stream.item, side), "#/items") };
  }
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

function formatType(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  return Array.isArray(value) ? "a list" : `a ${typeof value}`;
}

type Step = IteratorResult<unknown, undefined>;

/**
 * Checks one item and returns it as its schema transforms it. Throws, or rejects, with the issues.
 *
 * @param index From 0.
 */
type ItemCheck = (item: unknown, index: number) => unknown | Promise<unknown>;

/**
 * Items of an input stream, as an api reads them. Each is checked when it is read; the first invalid one ends the
 * stream.
 */
class CheckedItems implements AsyncIterableIterator<unknown> {
  readonly #items: AsyncIterator<unknown>;
  readonly #check: ItemCheck;
  #index = 0;
  #isEnded = false;

  readonly [onceKey]: StreamUse;

  /** @param stream Describes the stream, for failures. */
  constructor(items: AsyncIterator<unknown>, check: ItemCheck, stream: () => string) {
    this.#items = items;
    this.#check = check;
    this[onceKey] = new StreamUse(stream);
  }

  /** @throws {ServingError} `stream_used_twice`. */
  [Symbol.asyncIterator](): this {
    this[onceKey].read();
    return this;
  }

  next(): Promise<Step> {
    if (this.#isEnded) return Promise.resolve(lastStep);
    const next = this.#items.next().then(this.#onStep);
    // An item that is requested ahead and never awaited must not cause an unhandled rejection.
    next.then(undefined, ignore);
    return next;
  }

  return(): Promise<Step> {
    this.#isEnded = true;
    return Promise.resolve(this.#items.return?.()).then(() => lastStep);
  }

  readonly #onStep = (step: IteratorResult<unknown, unknown>): Step | Promise<Step> => {
    if (step.done === true || this.#isEnded) return lastStep;
    try {
      const checked = this.#check(step.value, this.#index++);
      if (!(checked instanceof Promise)) return { done: false, value: checked };
      return checked.then((value): Step => ({ done: false, value }), this.#refuse);
    } catch (error) {
      return this.#refuse(error);
    }
  };

  readonly #refuse = (error: unknown): never => {
    try {
      this.return().then(undefined, ignore);
    } catch {}
    throw error;
  };
}

const ignore = (): void => {};
