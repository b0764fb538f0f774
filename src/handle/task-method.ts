import { isPromiseLike } from "../call/invoke.js";
import { createTaskId, taskOperations } from "../call/task-operation.js";
import type { ApiDescriptor } from "../define/descriptor.js";
import type { CallOptions, SubmitOptions } from "../define/handle-type.js";
import type { CallRoute } from "./call-route.js";
import type { HandleTarget } from "./handle-target.js";

type Method = (input?: unknown, options?: CallOptions & SubmitOptions) => Promise<unknown>;

/**
 * Makes the method of a task: calling it waits for the result; its operations are methods of it.
 *
 * Ids are made here, by the caller: every operation may then be sent again when a replica is lost.
 *
 * @param createMethod Makes the method of an ordinary api; `read` says what its caller gets of the answer.
 */
export function createTaskMethod(
  target: HandleTarget,
  api: ApiDescriptor,
  createMethod: (route: CallRoute, read?: (output: unknown) => unknown) => Method,
): Method {
  const { timeoutMs } = target.routeOf(api);
  const call = createMethod(target.routeOf(api, "call"));
  const methods = Object.fromEntries(
    taskOperations.map((operation) => [operation, createMethod(target.routeOf(api, operation), readers[operation])]),
  ) as Record<(typeof taskOperations)[number], Method>;
  const waiting = (options: CallOptions | undefined): CallOptions => ({ timeoutMs, ...options });
  const task: Method = (input, options) => call(enclose(input, options), waiting(options));
  return Object.assign(task, {
    submit: (input?: unknown, options?: CallOptions & SubmitOptions) =>
      methods.submit(enclose(input, options), options),
    status: (id: string, options?: CallOptions) => methods.status({ id }, options),
    result: (id: string, options?: CallOptions) => methods.result({ id, waits: true }, waiting(options)),
    cancel: (id: string, options?: CallOptions) => methods.cancel({ id }, options),
    retry: (id: string, options?: CallOptions) => methods.retry({ id, newId: createTaskId() }, options),
  });
}

const readId = (output: unknown): unknown => ({ id: (output as { id: string }).id });
const readers: Partial<Record<(typeof taskOperations)[number], (output: unknown) => unknown>> = {
  submit: readId,
  retry: readId,
};

/** An input, or the promise of one, with the id of its task, and its key if it has one. */
function enclose(input: unknown, options: SubmitOptions | undefined): unknown {
  const key = options?.key;
  const named = { id: createTaskId(), ...(key !== undefined && { key }) };
  return isPromiseLike(input)
    ? Promise.resolve(input).then((value) => ({ ...named, input: value }))
    : { ...named, input };
}
