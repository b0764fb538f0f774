import { RequestContext } from "../call/call.js";
import { CallScope, systemTime } from "../call/call-scope.js";
import { type ApiTarget, currentScope, invoke } from "../call/invoke.js";
import { CallerInput } from "../call/streams/caller-input.js";
import { InvokedStream } from "../call/streams/invoked-stream.js";
import { ItemReader, streamProblem } from "../call/streams/item-reader.js";
import { type ItemSink, type ItemSource, readerGone } from "../call/streams/item-source.js";
import { fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import type { ApiFileOptions } from "../options/app-file.js";
import type { CacheOptions } from "./cache-options.js";
import {
  type BatchOptions,
  type Contract,
  type ContractOptions,
  contractProblem,
  createChecks,
  readStreamOutput,
} from "./contract.js";
import {
  type Api,
  type ApiKind,
  apiKey,
  type Inside,
  type MaybePromise,
  type StreamApi,
  type Task,
} from "./handle-type.js";
import { createRowLayout, runRows } from "./rows/row-layout.js";
import type { ScheduleOptions } from "./schedule.js";
import { type InputOf, isStreamSchema, type OutputOf, type Schema, type Shape, type StreamSchema } from "./schema.js";
import type { Tensor } from "./tensor.js";

type Void = Schema<void, void>;

/**
 * Definition behind a class field of `api()` or `task()`: its contract, and the author's function bound to its
 * instance.
 */
export interface ApiDefinition {
  readonly kind: ApiKind;
  readonly contract: Contract;
  readonly run: (input: unknown) => unknown;
}

/**
 * Items of an `output` that is a `stream()`, as its author gives them and as a caller gets them; `never` for any other
 * output.
 */
type ItemsOf<O> = 0 extends 1 & O
  ? never
  : [O] extends [never]
    ? never
    : O extends StreamSchema<infer In, infer Out>
      ? { readonly given: In; readonly read: Out }
      : never;

/** Result of a contract: `output`, or `yields` for the items of a stream. */
interface Result<O, Y> {
  readonly output?: O;
  readonly yields?: Y;
}
/** Type of the `output` of a contract that has none. */
interface Absent extends Schema {
  readonly isAbsent: true;
}
/** Requirement that a contract without a result, or with two, does not meet: the compiler's message then names it. */
type OneResult<O, Y> = [O] extends [Absent]
  ? 0 extends 1 & O
    ? unknown
    : [Y] extends [never]
      ? ContractWithOutput
      : unknown
  : [Y] extends [never]
    ? unknown
    : ContractWithOutputOnly;
interface ContractWithOutput {
  readonly output: Shape;
}
interface ContractWithOutputOnly {
  readonly yields?: "not beside output";
}

/**
 * Type of the author's function, from its contract.
 *
 * It is a conditional type on purpose: the compiler decides it before it reads the function. So `"spam"` in a result is
 * the literal that an enum needs and not a `string`, and a wrong result is reported at the result.
 */
type Run<I extends Shape, O extends Shape, Y extends Shape, B> = [Y] extends [never]
  ? [ItemsOf<O>] extends [never]
    ? (input: OutputOf<I>) => MaybePromise<[B] extends [undefined] ? InputOf<O> : Rows<InputOf<O>>>
    : (input: OutputOf<I>) => AsyncIterable<ItemsOf<O>["given"]>
  : (input: OutputOf<I>) => AsyncIterable<InputOf<Y>>;

/** Result of a batching api: an array may have a failure in place of a row. */
type Rows<V> = V extends Tensor
  ? V
  : V extends readonly unknown[]
    ? RowsOrFailures<V>
    : { [K in keyof V]: V[K] extends readonly unknown[] ? RowsOrFailures<V[K]> : V[K] };
/** Refuses fields that `BatchOptions` does not have, which an inferred type would allow. */
type NothingElse<B> = { readonly [K in Exclude<keyof B, keyof BatchOptions>]: never };
type RowsOrFailures<V extends readonly unknown[]> = readonly (V[number] | ServingError)[];

type ApiOf<I extends Shape, O extends Shape, Y extends Shape> = [Y] extends [never]
  ? [ItemsOf<O>] extends [never]
    ? WithInside<Api<InputOf<I>, OutputOf<O>>, I, OutputOf<O>, InputOf<O>>
    : WithInside<StreamApi<InputOf<I>, ItemsOf<O>["read"]>, I, ItemsOf<O>["read"], ItemsOf<O>["given"]>
  : WithInside<StreamApi<InputOf<I>, OutputOf<Y>>, I, OutputOf<Y>, InputOf<Y>>;

/** Adds the types inside an api to its type, unless they are those of its callers, as they mostly are. */
type WithInside<A, I extends Shape, Read, Given> =
  Same<InputOf<I>, OutputOf<I>> extends true
    ? Same<Read, Given> extends true
      ? A
      : A & Inside<OutputOf<I>, Given>
    : A & Inside<OutputOf<I>, Given>;

type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;

/**
 * Declares an api of a service. Use it as a class field.
 *
 * @param contract `output`, or `yields` (the same as `output: stream(…)`) for a stream; `input` unless there is none;
 *                 route, texts and bounds; `batch` to join the rows of several calls; `cache` to keep answers.
 * @param run      Function of the author. Gets the checked input; returns the output, or for a stream an
 *   `AsyncIterable` of items. `this` of a generator is the service; TypeScript wants its class named: `async function*
 *   (this: Writer, text) { … }`.
 */
export function api<
  I extends Shape = Void,
  O extends Shape = Absent,
  Y extends Shape = never,
  B extends BatchOptions | undefined = undefined,
>(
  contract: ContractOptions & {
    readonly input?: I;
    readonly batch?: B & NothingElse<B>;
    readonly cache?: CacheOptions;
  } & Result<O, Y> &
    OneResult<O, Y>,
  run: Run<I, O, Y, B>,
): ApiOf<I, O, Y>;
export function api(contract: Contract, run: (input: never) => unknown): unknown {
  const read = readStreamOutput(contract);
  const kind = read?.yields === undefined ? "unary" : "stream";
  return defineApi({ kind, contract: read, run: run as (input: unknown) => unknown });
}

/** Makes the value of the class field: a function that runs the api in place. */
function defineApi(definition: ApiDefinition): object {
  const direct = definition.kind === "stream" ? streamDirectly(definition) : callDirectly(definition);
  return Object.defineProperty(direct, apiKey, { value: definition });
}

/** Returns the definition behind a class field; `undefined` for any other value. */
export function readApi(value: unknown): ApiDefinition | undefined {
  return typeof value === "function" ? (value as { [apiKey]?: ApiDefinition })[apiKey] : undefined;
}

/**
 * Names an author's function after its api, `"Model.predict"`: the name that stacks and logs show. A function that
 * already has a name keeps it.
 */
export function nameRun({ run }: ApiDefinition, name: string): void {
  if (typeof run === "function" && run.name === "") Reflect.defineProperty(run, "name", { value: name });
}

/**
 * Binds a definition for calling.
 *
 * @param self `this` of a function that is no arrow function: the instance of the service.
 * @throws {ServingError} `invalid_contract`.
 */
export function createTarget({ kind, contract, run }: ApiDefinition, self: unknown): ApiTarget {
  const problem = contractProblem(contract, kind);
  if (problem !== undefined) throw fail("invalid_contract", { problem });
  const { input: checkInput, output: checkOutput, itemSchema } = createChecks(contract);
  const bound = typeof run === "function" ? run.bind(self) : run;
  const target: ApiTarget = {
    ...{ kind: kind === "stream" ? kind : "unary", run: bound },
    ...{ checkInput, checkOutput, itemSchema },
  };
  return contract.batch === undefined ? target : { ...target, rows: createRowLayout(contract) };
}

/**
 * Makes `instance.predict(x)`, for unit tests and for an api that uses another one of its own service. Runs in place.
 */
function callDirectly(definition: ApiDefinition) {
  const targetOf = createTargets(definition);
  return async function (this: unknown, input?: unknown): Promise<unknown> {
    const target = targetOf(this);
    const scope = createDirectScope();
    try {
      const given = feedDirectly(definition, scope, input);
      return await (target.rows === undefined
        ? invokeDirectly(target, given, scope)
        : runRows(target, target.rows, { input: given, scope, maxRows: readMaxRows(definition.contract) }));
    } finally {
      scope.close();
    }
  };
}

/** Creates the function that gives the target of an instance: the one on which the api is called as a method. */
function createTargets(definition: ApiDefinition): (self: unknown) => ApiTarget {
  let last: { readonly self: unknown; readonly target: ApiTarget } | undefined;
  return (self) => {
    if (last?.self !== self) last = undefined;
    last ??= { self, target: createTarget(definition, self) };
    return last.target;
  };
}

const invokeDirectly = (target: ApiTarget, input: unknown, scope: CallScope): Promise<unknown> =>
  new Promise((output, failure) => {
    invoke(target, input, scope, true, { output, failure });
  });

/** Reads `batch.maxRows`; no limit for an invalid one, which a graph refuses but a class made with `new` does not. */
function readMaxRows({ batch }: Contract): number {
  const { maxRows } = batch ?? {};
  return Number.isSafeInteger(maxRows) && Number(maxRows) >= 1 ? Number(maxRows) : Number.POSITIVE_INFINITY;
}

function streamDirectly(definition: ApiDefinition) {
  const targetOf = createTargets(definition);
  return function (this: unknown, input?: unknown): AsyncIterableIterator<unknown> {
    const open = (sink: ItemSink): ItemSource => {
      const target = targetOf(this);
      const scope = createDirectScope();
      const given = feedDirectly(definition, scope, input);
      const source = new InvokedStream({ target, input: given, scope, isChecked: true }, closingAtEnd(scope, sink));
      const stop = () => {
        scope.cancel(readerGone());
        source.stop();
      };
      return { pull: () => source.pull(), stop };
    };
    return readLazily(open);
  };
}

/** Ends the scope of a stream with the stream. */
const closingAtEnd = (scope: CallScope, sink: ItemSink): ItemSink => ({
  takesEncoded: false,
  item: (value, isFresh) => sink.item(value, isFresh),
  encoded: (items) => sink.encoded(items),
  end: () => {
    scope.close();
    sink.end();
  },
  fail: (error) => {
    scope.close();
    sink.fail(error);
  },
});

/** Makes a reader that calls `open` when the first item is asked for. Nothing runs or fails before that. */
function readLazily(open: (sink: ItemSink) => ItemSource): ItemReader {
  let source: ItemSource | undefined;
  const reader: ItemReader = new ItemReader(
    {
      pull: () => {
        try {
          source ??= open(reader);
          source.pull();
        } catch (error) {
          reader.fail(error);
        }
      },
      stop: () => (source === undefined ? reader.end() : source.stop()),
    },
    () => "the stream of an api that was called directly",
  );
  return reader;
}

/** Ties an input that is a stream to the scope of its call. Any other input is left to the check. */
function feedDirectly({ contract }: ApiDefinition, scope: CallScope, input: unknown): unknown {
  if (!isStreamSchema(contract.input) || streamProblem(input) !== undefined) return input;
  return new CallerInput(scope, input as AsyncIterable<unknown>);
}

function createDirectScope(): CallScope {
  const parent = currentScope();
  const call = {
    service: parent?.call.service ?? "",
    api: parent?.call.api ?? "",
    deadline: parent?.expiresAt ?? Number.POSITIVE_INFINITY,
    caller: parent?.call.caller ?? { service: "local", api: "" },
    request: parent?.call.request ?? new RequestContext(),
    outside: false,
    priority: parent?.priority ?? ("interactive" as const),
  };
  const time = parent?.time ?? systemTime;
  const scope = new CallScope(call, parent, time, time.clock.now());
  if (parent !== undefined) {
    scope.runBy({ log: parent.logger });
    if (parent.isBatched) scope.joinBatch();
    else if (parent.responseEnd !== undefined) scope.endResponse(parent.responseEnd);
  }
  return scope;
}

/** Fields of the contract of a task besides its types. Its limits are options of the api. */
export interface TaskContractOptions
  extends ContractOptions,
    ScheduleOptions,
    Pick<ApiFileOptions, "attempts" | "retryBackoffMs"> {}

/**
 * Declares a durable task of a service. Use it as a class field.
 *
 * A task that was submitted survives the end of every process. It runs at least once: one whose replica ended is begun
 * again, and, where it is `idempotent`, one that failed. Its result is recorded once. Calling it waits for the result;
 * the handle and the client also have `.submit`, `.status`, `.watch`, `.result`, `.cancel` and `.retry`. On an instance
 * made with `new` it runs in place.
 *
 * @param contract `output`; `input` unless there is none; texts and bounds. `timeoutMs` limits one attempt,
 *   `maxConcurrent` the attempts that run at once in one replica. `every` or `cron` submits it by a schedule, with
 *   `scheduleInput` if it has an input.
 * @param run      Gets the checked input and gives the output. `currentCall()` has its `signal` and its `progress()`.
 */
export function task<I extends Shape = Schema<void, void>, O extends Shape = never>(
  contract: TaskContractOptions & { readonly input?: I; readonly output: O; readonly scheduleInput?: InputOf<I> },
  run: (input: OutputOf<I>) => MaybePromise<InputOf<O>>,
): WithInside<Task<InputOf<I>, OutputOf<O>>, I, OutputOf<O>, InputOf<O>>;
export function task(contract: Contract, run: (input: never) => unknown): unknown {
  const definition: ApiDefinition = { kind: "task", contract, run: run as (input: unknown) => unknown };
  return defineApi(definition);
}
