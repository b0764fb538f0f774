import { type ApiDefinition, defineApi } from "./api.js";
import type { Contract, ContractOptions } from "./contract.js";
import type { MaybePromise, Task } from "./handle-type.js";
import type { InputOf, OutputOf, Schema, Shape } from "./schema.js";

/** What the contract of a task may say besides its types. Its bounds are options of the api. */
export interface TaskContractOptions extends ContractOptions {
  /** How often a task is begun at most; see `idempotent`. Default 3. */
  readonly attempts?: number;
  /** Milliseconds before a task that failed is begun again; doubles with each further attempt. Default 1000. */
  readonly retryBackoffMs?: number;
}

/**
 * Declares a durable task of a service: a class field.
 *
 * A task that was submitted survives the end of every process. It runs at least once: one whose replica ended is begun again, and,
 * where it is `idempotent`, one that failed. Its result is recorded once. Calling it waits for the result; the handle and the
 * client also have `.submit`, `.status`, `.result`, `.cancel` and `.retry`. On an instance made with `new` it runs in place.
 *
 * @param contract `output`; `input` unless there is none; texts and bounds. `timeoutMs` bounds one attempt (default an hour),
 *   `maxConcurrent` is how many run at once in one replica (default 1).
 * @param run      Gets the checked input and gives the output. `currentCall()` has its `signal` and its `progress()`.
 */
export function task<I extends Shape = Schema<void, void>, O extends Shape = never>(
  contract: TaskContractOptions & { readonly input?: I; readonly output: O },
  run: (input: OutputOf<I>) => MaybePromise<InputOf<O>>,
): Task<InputOf<I>, OutputOf<O>>;
export function task(contract: Contract, run: (input: never) => unknown): unknown {
  const definition: ApiDefinition = { kind: "task", contract, run: run as (input: unknown) => unknown };
  return defineApi(definition);
}
