import type { Caller } from "../call/call.js";
import { unreachable } from "../failure/serving-error.js";
import type { CallRoute } from "./call-route.js";
import type { HandleTarget } from "./handle.js";
import type { EdgeCall, EntryCaller } from "./pending-call.js";
import { type CallStart, dispatchCall, dispatchStream, openScope } from "./start-call.js";

/** How the HTTP edge calls the entry service: the routes of an ordinary handle, with the request's own context. */
export function createEntryCaller(target: HandleTarget): EntryCaller {
  const routes = new Map<string, CallRoute>();
  for (const api of target.apis.values()) routes.set(api.name, target.routeOf(api));
  const callers = new Map<string, Caller>();
  const start = (call: EdgeCall): CallStart => {
    let caller = callers.get(call.route);
    if (caller === undefined) callers.set(call.route, (caller = { service: "http", api: call.route }));
    const { input, request, timeoutMs, priority = "interactive" } = call;
    return { input, caller, parent: undefined, request, timeoutMs, signal: undefined, outside: true, priority };
  };
  const routeOf = (api: string) => routes.get(api) ?? unreachable(`the edge has no api ${api}`);
  return {
    call(api, call) {
      const route = routeOf(api);
      const scope = openScope(route, start(call));
      return { scope, reply: dispatchCall(route, scope) };
    },
    open(api, call) {
      const route = routeOf(api);
      const scope = openScope(route, start(call));
      return { scope, items: dispatchStream(route, scope) };
    },
  };
}
