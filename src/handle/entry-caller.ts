import type { Caller } from "../call/call.js";
import { operationApi, taskOperations, waitsForEnd } from "../call/task-operation.js";
import type { ApiDescriptor } from "../define/descriptor.js";
import { unreachable } from "../failure/serving-error.js";
import type { CallRoute } from "./call-route.js";
import type { HandleTarget } from "./handle-target.js";
import type { EdgeCall, EntryCaller } from "./pending-call.js";
import { type CallStart, dispatchStream, openScope, sendCall } from "./start-call.js";

/** How the HTTP edge calls the entry service: the routes of an ordinary handle, with the request's own context. */
export function createEntryCaller(target: HandleTarget): EntryCaller {
  const routes = new Map<string, CallRoute>();
  /** How long what waits for a task waits, unless its client says. */
  const waits = new Map<string, number>();
  for (const api of target.apis.values()) {
    if (api.kind === "task") addTask(target, api, { routes, waits });
    else routes.set(api.name, target.routeOf(api));
  }
  const callers = new Map<string, Caller>();
  const start = (call: EdgeCall, waitMs: number | undefined): CallStart => {
    let caller = callers.get(call.route);
    if (caller === undefined) callers.set(call.route, (caller = { service: "http", api: call.route }));
    const { input, request, timeoutMs = waitMs, priority = "interactive" } = call;
    const own = { input, caller, request, timeoutMs, priority };
    return { ...own, parent: undefined, reader: undefined, signal: undefined, outside: true };
  };
  const routeOf = (api: string) => routes.get(api) ?? unreachable(`the edge has no api ${api}`);
  return {
    call(api, call, taker) {
      const route = routeOf(api);
      const scope = openScope(route, start(call, waits.get(api)));
      sendCall(route, scope, taker);
      return scope;
    },
    open(api, call) {
      const route = routeOf(api);
      const scope = openScope(route, start(call, waits.get(api)));
      return { scope, items: dispatchStream(route, scope) };
    },
  };
}

interface EntryRoutes {
  readonly routes: Map<string, CallRoute>;
  readonly waits: Map<string, number>;
}

/** A task has a route for each of its operations, as a replica has an api for each. */
function addTask(target: HandleTarget, api: ApiDescriptor, { routes, waits }: EntryRoutes): void {
  const { timeoutMs } = target.routeOf(api);
  for (const operation of ["call", ...taskOperations] as const) {
    const name = operation === "call" ? api.name : operationApi(api.name, operation);
    routes.set(name, target.routeOf(api, operation));
    if (waitsForEnd(operation)) waits.set(name, timeoutMs);
  }
}
