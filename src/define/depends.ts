import { loadedVersions, shareState } from "../base/shared-state.js";
import { fail } from "../failure/failures.js";
import type { Handle } from "./handle-type.js";
import type { EdgeInterceptor } from "./interceptor.js";
import { readServiceName, type ServiceHooks } from "./service.js";

/** Options of one edge of the graph, to service `T`. */
export interface EdgeOptions<T = any> {
  /** Bounds each call over this edge; can only shorten what the caller has left. */
  readonly timeoutMs?: number;
  /** Functions around each call over this edge, in the caller; the first outermost. */
  readonly intercept?: readonly EdgeInterceptor<T>[];
  /**
   * Returns a key of a call from its input, such as the id of a conversation. Calls with one key go to one replica, as
   * long as that is there and not overloaded; `undefined` is no key. Calls of tasks and input streams have none.
   */
  readonly affinity?: (input: any) => string | number | undefined;
}

/** A class whose instances are services. */
export type ServiceClass<T extends ServiceHooks = ServiceHooks> = new () => T;

/** Makes the values that `depends()` returns while a service is constructed. */
export interface ConstructionScope {
  depends(target: ServiceClass, edge: EdgeOptions): object;
}

/** The service being constructed now. Construction is synchronous and may nest. */
const wiring = shareState("wiring", (): { scope: ConstructionScope | undefined } => ({ scope: undefined }));

/** Constructs a service so that its `depends()` fields are given by `scope`. */
export function constructIn<T>(scope: ConstructionScope, construct: () => T): T {
  const outer = wiring.scope;
  wiring.scope = scope;
  try {
    return construct();
  } finally {
    wiring.scope = outer;
  }
}

/**
 * Declares that a service calls another. Use it as a class field.
 *
 * @param service Class of the dependency. Services that name the same class share one deployment.
 * @param edge    Limits and interceptors of this edge.
 * @returns       A handle with exactly the apis and streams of `service`.
 * @throws {ServingError} `depends_outside_scope` when the class was made with `new` instead of by a graph.
 */
export function depends<T extends ServiceHooks>(service: new () => T, edge: EdgeOptions<T> = {}): Handle<T> {
  if (wiring.scope === undefined) {
    throw fail("depends_outside_scope", {
      dependency: (service as { name?: string } | undefined)?.name ?? "undefined",
      versions: loadedVersions(),
    });
  }
  return wiring.scope.depends(service, edge) as Handle<T>;
}

// A script that both defines services and serves them is loaded again for each replica. In a replica `serve()` and
// `compose()` start nothing:
//
// DH1  The first call with the class of the replica hands the class over and never returns.
// DH2  A call with another class returns if it had returned in the app by the time the replica was ordered, so that the
//      script runs as far as it had run there. Every other call never returns.

/** A server that a program had started when it ordered a replica. Plain data. */
export interface EarlierServer {
  /** Name of its entry service. */
  readonly service: string;
  readonly url: string;
  readonly port: number;
}

/** Behaviour of `serve()` in a replica: never return, or go on as if it had started a server. */
type Handover = { readonly kind: "stop" } | { readonly kind: "go on"; readonly server: EarlierServer };

interface Handovers {
  /** Service that a replica waits for. */
  awaited: Awaited | undefined;
  /** Servers that an app has started by `serve()`, in order. */
  readonly servers: EarlierServer[];
}

interface Awaited {
  readonly service: string;
  /** Servers whose `serve()` the script has not reached yet. */
  readonly earlier: EarlierServer[];
  readonly receive: (entry: ServiceClass) => void;
  readonly onOther: (service: string) => void;
}

const handovers = shareState("handovers", (): Handovers => ({ awaited: undefined, servers: [] }));

/**
 * Makes `serve()` and `compose()` hand over from now on. Used only in the threads and processes of replicas.
 *
 * @param onOther Called for each call of them with another entry service.
 */
export function expectHandover(
  service: string,
  earlier: readonly EarlierServer[],
  onOther: (service: string) => void = () => {},
): Promise<ServiceClass> {
  return new Promise((receive) => {
    handovers.awaited = { service, earlier: [...earlier], receive, onOther };
  });
}

/** @returns `undefined` outside a replica, where `entry` has to be started. */
export function handOver(entry: ServiceClass): Handover | undefined {
  const { awaited } = handovers;
  if (awaited === undefined) return undefined;
  const service = readServiceName(entry);
  if (service === awaited.service) {
    awaited.receive(entry);
    return { kind: "stop" };
  }
  awaited.onOther(service);
  const index = awaited.earlier.findIndex((server) => server.service === service);
  const [server] = index < 0 ? [] : awaited.earlier.splice(index, 1);
  return server === undefined ? { kind: "stop" } : { kind: "go on", server };
}

/** Notes a server that `serve()` has started, for the replicas that are ordered after it. */
export function noteServer(server: EarlierServer): void {
  handovers.servers.push(server);
}

/** Returns the servers that `serve()` has started in this thread so far, closed or not. */
export const listServers = (): readonly EarlierServer[] => [...handovers.servers];
