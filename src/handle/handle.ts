import type { Logger } from "../base/logger.js";
import type { Caller } from "../call/call.js";
import { CallPromise, type OnUnheard } from "../call/call-promise.js";
import type { CallScope } from "../call/call-scope.js";
import { currentPlace, type Place, readerOf, scopeOf } from "../call/current-call.js";
import { isPromiseLike } from "../call/invoke.js";
import type { ApiDescriptor } from "../define/descriptor.js";
import type { CallOptions } from "../define/handle-type.js";
import type { CallRoute } from "./call-route.js";
import type { HandleTarget } from "./handle-target.js";
import { LaterStream } from "./later-stream.js";
import { type CallStart, dispatchCall, dispatchStream, openScope } from "./start-call.js";
import { createTaskMethod } from "./task-method.js";
import { noteFailure, type UnheardCall } from "./unheard-failure.js";

/** Who calls by a handle. */
export interface HandleOwner {
  /** Names the caller where no api is running: `start()` of a service, or a program. */
  readonly caller: Caller;
  /** Hears of calls that fail and that nobody looks at. */
  readonly log: Logger;
}

/** Makes the handle of a service: an object with one generated method an api. */
export function createHandle(target: HandleTarget, owner: HandleOwner): object {
  const handle: Record<string, unknown> = {};
  for (const api of target.apis.values()) {
    const method = createMethod(target, api, owner);
    handle[api.name] = Object.defineProperty(method, "name", { value: `${target.service}.${api.name}` });
  }
  return Object.freeze(handle);
}

function createMethod(target: HandleTarget, api: ApiDescriptor, owner: HandleOwner) {
  switch (api.kind) {
    case "unary":
      return createUnaryMethod(target.routeOf(api), owner);
    case "stream":
      return createStreamMethod(target.routeOf(api), owner);
    case "task":
      return createTaskMethod(target, api, (route, read) => createUnaryMethod(route, owner, read));
  }
}

/**
 * Nothing that the method returns can become an unhandled rejection; see `unheard-failure.ts`.
 *
 * @param read What the caller gets of the answer. Default: all of it.
 */
function createUnaryMethod(route: CallRoute, owner: HandleOwner, read?: (output: unknown) => unknown) {
  const onUnheard = createOnUnheard(route, owner);
  // The options are what they are when the call is made, whenever its input comes.
  const send = (start: CallStart) => dispatchCall(route, openScope(route, start), onUnheard);
  return (input?: unknown, options?: CallOptions): Promise<unknown> => {
    const place = currentPlace();
    let sent: Promise<unknown>;
    try {
      const start = describeStart(input, options, place, owner.caller);
      if (isPromiseLike(input)) sent = Promise.resolve(input).then((value) => send({ ...start, input: value }));
      else if (read === undefined) return send(start);
      else sent = send(start);
    } catch (error) {
      sent = Promise.reject(error);
    }
    return follow(read === undefined ? sent : sent.then(read), nameCall(route, owner, scopeOf(place), options));
  };
}

/** The promise of a call that settles as `work` does. */
function follow(work: Promise<unknown>, call: UnheardCall): CallPromise<unknown> {
  const promise: CallPromise<unknown> = new CallPromise((resolve, reject) => {
    work.then(resolve, (error: unknown) => {
      noteFailure(promise, error, call);
      reject(error);
    });
  });
  return promise;
}

function createStreamMethod(route: CallRoute, owner: HandleOwner) {
  const onUnheard = createOnUnheard(route, owner);
  return (input?: unknown, options?: CallOptions): AsyncIterable<unknown> => {
    const place = currentPlace();
    // The options are what they are now, whenever the input comes.
    const start = describeStart(input, options, place, owner.caller);
    const open = (value: unknown) => dispatchStream(route, openScope(route, { ...start, input: value }), onUnheard);
    if (!isPromiseLike(input)) return open(input);
    return new LaterStream(Promise.resolve(input).then(open), nameCall(route, owner, scopeOf(place), options));
  };
}

const createOnUnheard =
  ({ service, api }: CallRoute, { log }: HandleOwner): OnUnheard =>
  (error, promise, { call, parent }) => {
    noteFailure(promise, error, {
      ...{ callee: `${service}.${api}`, caller: call.caller, parent, requestId: call.request.id, log },
    });
  };

function nameCall(
  { service, api }: CallRoute,
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

function describeStart(input: unknown, options: CallOptions | undefined, place: Place, caller: Caller): CallStart {
  const parent = scopeOf(place);
  return {
    input,
    caller: parent?.identity ?? caller,
    parent: options?.detach === true ? undefined : parent,
    reader: readerOf(place),
    request: parent?.call.request,
    timeoutMs: options?.timeoutMs,
    signal: options?.signal,
    outside: false,
    priority: options?.priority ?? parent?.priority ?? "interactive",
  };
}
