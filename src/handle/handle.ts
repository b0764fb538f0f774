import type { Caller } from "../call/call.js";
import { currentScope } from "../call/current-call.js";
import { isPromiseLike } from "../call/invoke.js";
import type { ApiDescriptor } from "../define/descriptor.js";
import type { CallOptions } from "../define/handle-type.js";
import type { CallRoute } from "./call-route.js";
import type { HandleTarget } from "./handle-target.js";
import { type CallStart, dispatchCall, dispatchStream, openScope } from "./start-call.js";
import { createTaskMethod } from "./task-method.js";

/**
 * Makes the handle of a service: an object with one generated method an api.
 *
 * @param caller Who calls when no api is running: `start()` of a service, or a program.
 */
export function createHandle(target: HandleTarget, caller: Caller): object {
  const handle: Record<string, unknown> = {};
  for (const api of target.apis.values()) {
    const method = createMethod(target, api, caller);
    handle[api.name] = Object.defineProperty(method, "name", { value: `${target.service}.${api.name}` });
  }
  return Object.freeze(handle);
}

function createMethod(target: HandleTarget, api: ApiDescriptor, caller: Caller) {
  switch (api.kind) {
    case "unary":
      return createUnaryMethod(target.routeOf(api), caller);
    case "stream":
      return createStreamMethod(target.routeOf(api), caller);
    case "task":
      return createTaskMethod(target, api, (route) => createUnaryMethod(route, caller));
  }
}

function createUnaryMethod(route: CallRoute, caller: Caller) {
  return (input?: unknown, options?: CallOptions): Promise<unknown> => {
    const parent = currentScope();
    if (!isPromiseLike(input)) return send(route, describeStart(input, options, parent, caller));
    // The options are what they are now, whenever the input comes.
    const start = describeStart(undefined, options, parent, caller);
    return Promise.resolve(input).then((value) => send(route, { ...start, input: value }));
  };
}

function send(route: CallRoute, start: CallStart): Promise<unknown> {
  try {
    return dispatchCall(route, openScope(route, start));
  } catch (error) {
    return Promise.reject(error);
  }
}

function createStreamMethod(route: CallRoute, caller: Caller) {
  return (input?: unknown, options?: CallOptions): AsyncIterable<unknown> => {
    const parent = currentScope();
    const start = describeStart(undefined, options, parent, caller);
    const open = (value: unknown) => dispatchStream(route, openScope(route, { ...start, input: value }));
    return isPromiseLike(input) ? openLater(input, open) : open(input);
  };
}

/** The stream is opened when its input has come, whether or not somebody reads by then. */
function openLater(input: PromiseLike<unknown>, open: (value: unknown) => AsyncIterable<unknown>) {
  const opened = Promise.resolve(input).then(open);
  opened.catch(() => {});
  return readLater(opened);
}

async function* readLater(opened: Promise<AsyncIterable<unknown>>) {
  yield* await opened;
}

function describeStart(
  input: unknown,
  options: CallOptions | undefined,
  parent: ReturnType<typeof currentScope>,
  caller: Caller,
): CallStart {
  return {
    input,
    caller: parent?.identity ?? caller,
    parent: options?.detach === true ? undefined : parent,
    request: parent?.call.request,
    timeoutMs: options?.timeoutMs,
    signal: options?.signal,
    outside: false,
    priority: options?.priority ?? parent?.priority ?? "interactive",
  };
}
