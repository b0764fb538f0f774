import { pause } from "../base/clock.js";
import { followStates, leavable } from "../base/follow-states.js";
import type { Logger } from "../base/logger.js";
import { isPromiseLike, promisedInput } from "../base/promised-input.js";
import type { Caller, RequestContext } from "../call/call.js";
import { CallPromise, type OnUnheard } from "../call/call-promise.js";
import type { CallScope } from "../call/call-scope.js";
import { composeInterceptors, type InterceptedKind, type RawInterceptor } from "../call/compose-interceptors.js";
import { copyValue, holdValue } from "../call/copy-value.js";
import { type AmbientCall, ambientCall, readerOf, scopeOf } from "../call/invoke.js";
import {
  createTaskId,
  isEnded,
  operationApi,
  type TaskOperation,
  type TaskState,
  taskOperations,
  waitsForEnd,
} from "../call/task-state.js";
import type { ApiDescriptor } from "../define/descriptor.js";
import type { CallOptions, SubmitOptions } from "../define/handle-type.js";
import { fail } from "../failure/failures.js";
import { ServingError, unreachable } from "../failure/serving-error.js";
import { toServingError } from "../failure/to-serving-error.js";
import type { CalledService, CallTarget, EntryCaller, HttpCall } from "./call-target.js";
import { LaterStream, type ReplyStream } from "./reply-stream.js";
import { type CallStart, dispatchCall, dispatchStream, openScope, sendCall } from "./start-call.js";
import { noteFailure, type UnheardCall } from "./unheard-failure.js";

/** Owner of a handle: the replica or program that calls by it. */
interface HandleOwner {
  /** Caller of a call that no api makes: `start()` of a service, or a program. */
  readonly caller: Caller;
  /** Logger for calls that fail and whose result is never read. */
  readonly log: Logger;
  /** Creates the request of a call that no api makes. Default: one without a context. */
  readonly createRequest?: (() => RequestContext) | undefined;
  /** Interceptors around its calls, the first outermost. Default: none. */
  readonly intercept?: readonly RawInterceptor[] | undefined;
}

/** Makes the handle of a service: an object with one method for each api. */
export function createHandle(target: CalledService, owner: HandleOwner): object {
  const handle: Record<string, unknown> = {};
  for (const api of target.apis.values()) {
    const method = createMethod(target, api, owner);
    handle[api.name] = Object.defineProperty(method, "name", { value: `${target.service}.${api.name}` });
  }
  return Object.freeze(handle);
}

function createMethod(target: CalledService, api: ApiDescriptor, owner: HandleOwner) {
  switch (api.kind) {
    case "unary":
      return interceptMethod(createUnaryMethod(target.targetOf(api), owner), target, api.name, "unary", owner);
    case "stream":
      return interceptStream(createStreamMethod(target.targetOf(api), owner), target, api.name, owner);
    case "task":
      return createTaskMethod(target, api, owner);
  }
}

/**
 * Makes the method of a unary api. Its promise never becomes an unhandled rejection; see `unheard-failure.ts`.
 *
 * @param read Selects the part of the answer that the caller gets. Default: all of it.
 */
function createUnaryMethod(target: CallTarget, owner: HandleOwner, read?: (output: unknown) => unknown) {
  const onUnheard = createOnUnheard(target, owner);
  const keep = createKeeper(target);
  // The options are read when the method is called, even if the input is a promise.
  const send = (start: CallStart) => dispatchCall(target, openScope(target, start), onUnheard);
  return (input?: unknown, options?: CallOptions): Promise<unknown> => {
    const place = ambientCall();
    let sent: Promise<unknown>;
    try {
      const start = createStart(input, options, place, owner);
      const later = promisedInput(input, keep);
      if (later !== undefined) sent = later.then((value) => send({ ...start, input: value }));
      else if (read === undefined) return send(start);
      else sent = send(start);
    } catch (error) {
      sent = Promise.reject(error);
    }
    return follow(read === undefined ? sent : sent.then(read), nameCall(target, owner, scopeOf(place), options));
  };
}

/** Makes the promise of a call. It settles as `work` does. */
function follow(work: Promise<unknown>, call: UnheardCall): CallPromise<unknown> {
  const promise: CallPromise<unknown> = new CallPromise((resolve, reject) => {
    work.then(resolve, (error: unknown) => {
      noteFailure(promise, error, call);
      reject(error);
    });
  });
  return promise;
}

/**
 * Creates the function that copies the fields of an input whose other fields are promises.
 *
 * @throws {ServingError} from that function: `not_transferable`.
 */
const createKeeper =
  ({ service, api }: { readonly service: string; readonly api: string }) =>
  (fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> => {
    try {
      return copyValue(fields, "input") as Readonly<Record<string, unknown>>;
    } catch (error) {
      throw toServingError(error, service, api);
    }
  };

function createStreamMethod(target: CallTarget, owner: HandleOwner) {
  const onUnheard = createOnUnheard(target, owner);
  const keep = createKeeper(target);
  return (input?: unknown, options?: CallOptions): AsyncIterable<unknown> => {
    const place = ambientCall();
    // The options are read now, even if the input is a promise.
    const start = createStart(input, options, place, owner);
    const open = (value: unknown) => dispatchStream(target, openScope(target, { ...start, input: value }), onUnheard);
    const later = promisedInput(input, keep);
    if (later === undefined) return open(input);
    return new LaterStream(later.then(open), nameCall(target, owner, scopeOf(place), options));
  };
}

const createOnUnheard =
  ({ service, api }: CallTarget, { log }: HandleOwner): OnUnheard =>
  (error, promise, { call, parent }) => {
    const { caller, request } = call;
    noteFailure(promise, error, { callee: `${service}.${api}`, caller, parent, requestId: request.id, log });
  };

function nameCall(
  { service, api }: Pick<CallTarget, "service" | "api">,
  { caller, log }: HandleOwner,
  parent: CallScope | undefined,
  options: CallOptions | undefined,
): UnheardCall {
  return {
    callee: `${service}.${api}`,
    caller: parent?.identity ?? caller,
    parent: options?.detach === true ? undefined : parent,
    requestId: parent?.requestId,
    log,
  };
}

function createStart(
  input: unknown,
  options: CallOptions | undefined,
  place: AmbientCall,
  { caller, createRequest }: HandleOwner,
): CallStart {
  const parent = scopeOf(place);
  return {
    input,
    caller: parent?.identity ?? caller,
    parent: options?.detach === true ? undefined : parent,
    reader: readerOf(place),
    request: parent === undefined ? createRequest?.() : requestBelow(parent),
    timeoutMs: options?.timeoutMs,
    signal: options?.signal,
    outside: false,
    priority: options?.priority ?? parent?.priority ?? "interactive",
  };
}

/** Returns the request of a call made below another. */
const requestBelow = ({ call, isBatched }: CallScope): RequestContext =>
  isBatched ? call.request.withoutAppContext() : call.request;

type Method = (input?: unknown, options?: CallOptions & SubmitOptions) => Promise<unknown>;

/** Puts the interceptors of the owner around a method. They run once for a call, however often it is sent. */
function interceptMethod(
  method: Method,
  { service }: CalledService,
  api: string,
  kind: InterceptedKind,
  owner: HandleOwner,
): Method {
  const chain = composeInterceptors(owner.intercept ?? [], { service, api, kind });
  if (chain === undefined) return method;
  const keep = createKeeper({ service, api });
  return (input, options) => {
    const place = ambientCall();
    const pass = (value: unknown) => chain(holdValue(value), (given) => method(given, options));
    let sent: Promise<unknown>;
    try {
      sent = promisedInput(input, keep)?.then(pass) ?? Promise.resolve(pass(input));
    } catch (error) {
      sent = Promise.reject(error);
    }
    return follow(sent, nameCall({ service, api }, owner, scopeOf(place), options));
  };
}

type StreamMethod = (input?: unknown, options?: CallOptions) => AsyncIterable<unknown>;

/** Puts the interceptors of the owner around the method of a streaming api. They run when it is called. */
function interceptStream(
  method: StreamMethod,
  { service }: CalledService,
  api: string,
  owner: HandleOwner,
): StreamMethod {
  const chain = composeInterceptors(owner.intercept ?? [], { service, api, kind: "stream" });
  if (chain === undefined) return method;
  const keep = createKeeper({ service, api });
  return (input, options) => {
    const place = ambientCall();
    const pass = (value: unknown) => chain(holdValue(value), (given) => method(given, options));
    const later = promisedInput(input, keep);
    const stream = later === undefined ? pass(input) : later.then(pass);
    if (!isPromiseLike(stream)) return stream as AsyncIterable<unknown>;
    const opened = Promise.resolve(stream).then((items) =>
      (items as AsyncIterableIterator<unknown>)[Symbol.asyncIterator](),
    );
    return new LaterStream(opened, nameCall({ service, api }, owner, scopeOf(place), options));
  };
}

/**
 * Makes the method of a task. Calling it waits for the result; its operations are methods of it.
 *
 * The caller makes the ids, so that every operation may be sent again when a replica is lost.
 */
function createTaskMethod(target: CalledService, api: ApiDescriptor, owner: HandleOwner): Method {
  const { timeoutMs } = target.targetOf(api);
  const keep = createKeeper({ service: target.service, api: api.name });
  const enclose = (input: unknown, options: SubmitOptions | undefined) => encloseInput(input, options, keep);
  const createOperation = (operation: TaskOperation | "call"): Method =>
    createUnaryMethod(target.targetOf(api, operation), owner, readers[operation]);
  const call = createOperation("call");
  const methods = Object.fromEntries(
    taskOperations.map((operation) => [operation, createOperation(operation)]),
  ) as Record<TaskOperation, Method>;
  const watch = createWatchMethod(target.targetOf(api, "watch"), owner);
  const waiting = (options: CallOptions | undefined): CallOptions => ({ timeoutMs, ...options });
  const task: Method = (input, options) => call(enclose(input, options), waiting(options));
  const submit: Method = (input, options) => methods.submit(enclose(input, options), options);
  const intercept = (method: Method, name: string, kind: InterceptedKind) =>
    interceptMethod(method, target, name, kind, owner);
  return Object.assign(intercept(task, api.name, "task"), {
    submit: intercept(submit, operationApi(api.name, "submit"), "submit"),
    status: (id: string, options?: CallOptions) => methods.status({ id }, options),
    watch: (id: string, options?: CallOptions) => watch(id, waiting(options)),
    result: (id: string, options?: CallOptions) => methods.result({ id, waits: true }, waiting(options)),
    cancel: (id: string, options?: CallOptions) => methods.cancel({ id }, options),
    retry: (id: string, options?: CallOptions) => methods.retry({ id, newId: createTaskId() }, options),
  });
}

/** Makes the method that follows one task. A call that is lost is replaced by another one, within the same time. */
function createWatchMethod(target: CallTarget, owner: HandleOwner) {
  const { clock } = target.time;
  return (id: string, options: CallOptions): AsyncIterable<TaskState> => {
    const { timeoutMs = Number.POSITIVE_INFINITY } = options;
    const endsAt = clock.now() + timeoutMs;
    const start = createStart({ id }, options, ambientCall(), owner);
    const end = new AbortController();
    // A pause ends with the calling api too: the next call is refused then.
    start.parent?.onEnd(() => end.abort());
    const ended = options.signal === undefined ? end.signal : AbortSignal.any([end.signal, options.signal]);
    let isLeft = false;
    let states: ReplyStream | undefined;
    const all = followStates<TaskState>({
      open: () => {
        const left = { ...start, timeoutMs: Math.max(0, endsAt - clock.now()) };
        states = dispatchStream(target, openScope(target, left));
        return states as AsyncIterable<unknown> as AsyncIterable<TaskState>;
      },
      isLast: isEnded,
      isPassing: (error) => error instanceof ServingError && error.code === "unavailable",
      cutOff: () => fail("task_wait_ended", { taskId: id }, target),
      pause: (ms) => pause(clock, ms, ended),
      isLeft: () => isLeft,
    });
    return leavable(all, () => {
      isLeft = true;
      void states?.return();
      end.abort();
    });
  };
}

const readId = (output: unknown): unknown => ({ id: (output as { id: string }).id });
const readers: Partial<Record<TaskOperation | "call", (output: unknown) => unknown>> = {
  submit: readId,
  retry: readId,
};

/** Adds the id of its task, and its key and delay if it has some, to an input or the promise of one. */
function encloseInput(
  input: unknown,
  options: SubmitOptions | undefined,
  keep: ReturnType<typeof createKeeper>,
): unknown {
  const { key, delayMs } = options ?? {};
  const named = {
    ...{ id: createTaskId() },
    ...(key !== undefined && { key }),
    ...(delayMs !== undefined && { delayMs }),
  };
  const later = promisedInput(input, keep);
  return later === undefined ? { ...named, input } : later.then((value) => ({ ...named, input: value }));
}

/**
 * Makes the caller that the HTTP server uses: the call targets of an ordinary handle, with the context of each request.
 */
export function createEntryCaller(target: CalledService): EntryCaller {
  const routes = new Map<string, CallTarget>();
  /** Default time limits of the operations that wait for a task, by route. */
  const waits = new Map<string, number>();
  for (const api of target.apis.values()) {
    if (api.kind === "task") addTask(target, api, { routes, waits });
    else routes.set(api.name, target.targetOf(api));
  }
  const callers = new Map<string, Caller>();
  const start = (call: HttpCall, waitMs: number | undefined): CallStart => {
    let caller = callers.get(call.route);
    if (caller === undefined) callers.set(call.route, (caller = { service: "http", api: call.route }));
    const { input, request, timeoutMs = waitMs, priority = "interactive" } = call;
    const own = { input, caller, request, timeoutMs, priority };
    return { ...own, parent: undefined, reader: undefined, signal: undefined, outside: true };
  };
  const targetOf = (api: string) => routes.get(api) ?? unreachable(`the HTTP server has no api ${api}`);
  return {
    call(api, call, taker) {
      const target = targetOf(api);
      const scope = openScope(target, start(call, waits.get(api)));
      sendCall(target, scope, taker);
      return scope;
    },
    open(api, call) {
      const target = targetOf(api);
      const scope = openScope(target, start(call, waits.get(api)));
      return { scope, items: dispatchStream(target, scope) };
    },
  };
}

interface EntryRoutes {
  readonly routes: Map<string, CallTarget>;
  readonly waits: Map<string, number>;
}

/** Adds a call target for each operation of a task, as a replica has an api for each. */
function addTask(target: CalledService, api: ApiDescriptor, { routes, waits }: EntryRoutes): void {
  const { timeoutMs } = target.targetOf(api);
  for (const operation of ["call", ...taskOperations] as const) {
    const name = operation === "call" ? api.name : operationApi(api.name, operation);
    routes.set(name, target.targetOf(api, operation));
    if (waitsForEnd(operation)) waits.set(name, timeoutMs);
  }
}
